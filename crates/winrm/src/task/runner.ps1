# What a scheduled task of ours does: runs a command, which it is told through the pipe $p, and hands its streams to pipes, or to files in a folder
# when nobody stays. `Read-Part` reads from the pipe, see bootstrap.ps1.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$program, $arguments, $directory, $folder, $seconds, $variables = (Read-Part ([Convert]::ToInt32((Read-Part 8), 16))).Split([char] 0)
$ends = @{}
$names = @('control')
if (-not $folder) { $names += 'out', 'err' }
foreach ($name in $names) {
    $direction = 'Out'
    if ($name -eq 'control') { $direction = 'InOut' }
    $ends[$name] = New-Object System.IO.Pipes.NamedPipeClientStream '.', "winrm-CHANNEL-$name", $direction, 'Asynchronous'
    $ends[$name].Connect(60000)
}
function Say([string] $line) {
    $bytes = [System.Text.Encoding]::UTF8.GetBytes("$line`n")
    try {
        $ends.control.Write($bytes, 0, $bytes.Length)
        $ends.control.Flush()
    } catch { $Error.Clear() }
}
function Open-File([string] $name) {
    # Without a buffer: who follows it sees everything at once. And may remove it.
    New-Object System.IO.FileStream ([System.IO.Path]::Combine($folder, $name)), 'CreateNew', 'Write', 'ReadWrite, Delete', 1
}
$source = $p
if ($folder) {
    # Whoever gave it won't stay: it is taken whole.
    $source = New-Object System.IO.MemoryStream
    $p.CopyTo($source)
    $source.Position = 0
    $me = [System.Diagnostics.Process]::GetCurrentProcess()
    [System.IO.File]::WriteAllText([System.IO.Path]::Combine($folder, 'process'), "$($me.Id) $($me.StartTime.ToUniversalTime().Ticks)")
    $ends.out = Open-File 'out'
    $ends.err = Open-File 'err'
}
$info = New-Object System.Diagnostics.ProcessStartInfo
$info.FileName = $program
$info.Arguments = $arguments
$info.UseShellExecute = $false
$info.CreateNoWindow = $true
$info.RedirectStandardInput = $true
$info.RedirectStandardOutput = $true
$info.RedirectStandardError = $true
if ($directory) { $info.WorkingDirectory = $directory } elseif ($env:USERPROFILE -and [System.IO.Directory]::Exists($env:USERPROFILE)) { $info.WorkingDirectory = $env:USERPROFILE }
foreach ($variable in @($variables)) {
    if ($variable) {
        $sign = $variable.IndexOf('=', 1)
        $info.EnvironmentVariables[$variable.Substring(0, $sign)] = $variable.Substring($sign + 1)
    }
}
$code = 1
try {
    if ($directory -and -not [System.IO.Directory]::Exists($directory)) { throw (New-Object System.ComponentModel.Win32Exception 267) }
    $child = [System.Diagnostics.Process]::Start($info)
} catch {
    $cause = $_.Exception.GetBaseException()
    $number = 0
    if ($cause -is [System.ComponentModel.Win32Exception]) { $number = $cause.NativeErrorCode }
    Say "start $number $($cause.Message -replace '[\r\n]+', ' ')"
    if ($folder) { try { $ends.out.Dispose(); $ends.err.Dispose(); [System.IO.Directory]::Delete($folder, $true) } catch { $Error.Clear() } }
    exit 1
}
Say "started $($child.Id)"
$gone = $ends.control.ReadAsync((New-Object byte[] 1), 0, 1)
# Input is passed on as it comes, on a thread of its own: writing may wait for the command.
$feeder = [PowerShell]::Create()
$null = $feeder.AddScript({
    param($from, $to)
    $bytes = New-Object byte[] 65536
    try {
        while (($count = $from.Read($bytes, 0, $bytes.Length)) -gt 0) {
            $to.Write($bytes, 0, $count)
            $to.Flush()
        }
    } catch { $Error.Clear() }
    try { $to.Dispose() } catch { $Error.Clear() }
}).AddArgument($source).AddArgument($child.StandardInput.BaseStream)
$null = $feeder.BeginInvoke()
$out = $child.StandardOutput.BaseStream.CopyToAsync($ends.out)
$err = $child.StandardError.BaseStream.CopyToAsync($ends.err)
$until = [DateTime]::MaxValue
if ([double] $seconds -gt 0) { $until = [DateTime]::UtcNow.AddSeconds([double] $seconds) }
$stop = ''
if ($folder) { $stop = [System.IO.Path]::Combine($folder, 'stop') }
$stopped = $null
while (-not $child.WaitForExit(200)) {
    if ([DateTime]::UtcNow -gt $until) { $stopped = 258 } # WAIT_TIMEOUT
    elseif ($stop) { if ([System.IO.File]::Exists($stop)) { $stopped = -1073741510 } }
    elseif ($gone.IsCompleted) { $stopped = -1073741510 } # STATUS_CONTROL_C_EXIT
    if ($null -ne $stopped) {
        $null = taskkill.exe /T /F /PID $child.Id 2>&1
        if (-not $child.WaitForExit(5000)) { try { $child.Kill() } catch { $Error.Clear() } }
        break
    }
}
$code = $child.ExitCode
if ($null -ne $stopped) { $code = $stopped }
# All that was written is passed on, however slowly it is taken. Where nobody waits, what the command left behind isn't waited for either.
$patience = 0
while (-not ($out.IsCompleted -and $err.IsCompleted) -and -not ($gone.IsCompleted -and -not $folder) -and $patience -lt 500) {
    Start-Sleep -Milliseconds 20
    if ($folder -or $null -ne $stopped) { $patience += 1 }
}
if ($folder) {
    $ends.out.Dispose()
    $ends.err.Dispose()
    $file = [System.IO.Path]::Combine($folder, 'exit')
    [System.IO.File]::WriteAllText("$file-", "$code")
    [System.IO.File]::Move("$file-", $file)
} else {
    $ends.out.Dispose()
    $ends.err.Dispose()
}
Say "exit $code"
$ends.control.Dispose()
exit 0
