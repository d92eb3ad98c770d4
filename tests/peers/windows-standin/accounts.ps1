# Accounts, the system, and its updates: Get-CimInstance of https://learn.microsoft.com/powershell/module/cimcmdlets/get-ciminstance for
# the classes Win32_UserAccount and Win32_OperatingSystem, and Get-HotFix of Microsoft.PowerShell.Management.
$exported += 'Get-CimInstance', 'Get-HotFix'

function Get-CimInstance {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $ClassName, [string] $Filter)
    $state = Read-State
    switch ($ClassName) {
        'Win32_OperatingSystem' { [pscustomobject] @{ Version = $state['os']['version']; Caption = $state['os']['caption']; LastBootUpTime = [datetime] $state['os']['booted'] } }
        'Win32_UserAccount' {
            if ($Filter -notmatch "^LocalAccount = True AND Name = '(.+)'$") { throw "the stand-in knows no filter $Filter" }
            $name = $Matches[1].Replace("\'", "'")
            foreach ($user in $state['users']) {
                if ($user['name'] -eq $name) { [pscustomobject] @{ Name = $user['name']; Disabled = [bool] $user['disabled']; Lockout = [bool] $user['lockout']; SID = $user['sid'] } }
            }
        }
        default { throw "the stand-in knows no class $ClassName" }
    }
}

function Get-HotFix {
    [CmdletBinding()]
    param([string[]] $Id)
    foreach ($one in (Read-State)['hotfixes']) { if ($one -in $Id) { [pscustomobject] @{ HotFixID = $one }; return } }
    $exception = New-Object System.ArgumentException 'Cannot find the requested hotfix on the localhost computer.'
    Fail $PSCmdlet $exception 'GetHotFixNoEntriesFound' 'ObjectNotFound'
}
