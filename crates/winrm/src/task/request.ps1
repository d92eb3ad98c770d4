# What stands in front of launch.ps1 and tasks.ps1: reads from standard input what is asked for, behind the script itself, and tells on standard
# output what came of it, with a mark that the other side has chosen.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$in = [Console]::OpenStandardInput()
function Read-Part([int] $length) {
    $bytes = New-Object byte[] $length
    $count = 0
    while ($count -lt $length) {
        $read = $in.Read($bytes, $count, $length - $count)
        if ($read -le 0) { throw 'what is to be run did not arrive as a whole' }
        $count += $read
    }
    [System.Text.Encoding]::UTF8.GetString($bytes)
}
function Write-State([string] $stage, [long] $code, [string] $text) {
    [Console]::Out.Write("MARK $stage $code $($text -replace '[\r\n]+', ' ')`n")
    [Console]::Out.Flush()
}
