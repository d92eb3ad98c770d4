# Says who accounts are, in lines of three fields with a tabulator between them: what was asked, the question, the answer.
param([string] $Names, [string] $Sids, [string] $Aliases, [switch] $Me)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
[char] $tab = 9

function Write-Line([string] $What, [string] $Question, [string] $Answer) { "$What$tab$Question$tab$Answer" }

# The innermost exception is Windows' own word; those around it are .NET's.
function Get-Reason($ErrorRecord) {
    $exception = $ErrorRecord.Exception
    while ($null -ne $exception.InnerException) { $exception = $exception.InnerException }
    $exception
}

foreach ($name in $Names.Split([char[]] 10, [System.StringSplitOptions]::RemoveEmptyEntries)) {
    try {
        $account = New-Object System.Security.Principal.NTAccount($name)
        Write-Line 'name' $name $account.Translate([System.Security.Principal.SecurityIdentifier]).Value
    } catch {
        $reason = Get-Reason $_
        if ($reason -is [System.Security.Principal.IdentityNotMappedException]) { Write-Line 'unknown' $name '' }
        else { Write-Line 'failed' $name ($reason.Message -replace '\s+', ' ') }
    }
}
foreach ($text in $Sids.Split([char[]] 10, [System.StringSplitOptions]::RemoveEmptyEntries)) {
    try {
        $sid = New-Object System.Security.Principal.SecurityIdentifier($text)
        Write-Line 'sid' $text $sid.Translate([System.Security.Principal.NTAccount]).Value
    } catch { Write-Verbose "$text has no name: $_" }
}
# Two letters that only the machine and its domain can resolve.
foreach ($letters in $Aliases.Split([char[]] 10, [System.StringSplitOptions]::RemoveEmptyEntries)) {
    try {
        $descriptor = New-Object System.Security.AccessControl.RawSecurityDescriptor("O:$letters")
        Write-Line 'alias' $letters $descriptor.Owner.Value
    } catch { Write-Verbose "nobody knows $letters here: $_" }
}
if ($Me) {
    try {
        $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
        Write-Line 'me' 'user' $identity.User.Value
        foreach ($group in $identity.Groups) { Write-Line 'me' 'group' $group.Value }
    } catch { Write-Verbose "who this is can't be said: $_" }
}
