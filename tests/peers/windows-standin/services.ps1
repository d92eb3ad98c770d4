# Services: Get-Service, Start-Service, Stop-Service, Restart-Service and Set-Service of
# https://learn.microsoft.com/powershell/module/microsoft.powershell.management/
# How a service starts stands in the registry, as the service control manager keeps it (2 automatic, 3 manual, 4 disabled):
# https://learn.microsoft.com/windows-hardware/drivers/install/hklm-system-currentcontrolset-services-registry-tree
$exported += 'Get-Service', 'Start-Service', 'Stop-Service', 'Set-Service'

function Find-Service($Cmdlet, $State, $Name) {
    $key = Find-Key $State['services'] $Name
    if ($null -eq $key) {
        $exception = New-Object System.InvalidOperationException "Cannot find any service with service name '$Name'."
        Fail $Cmdlet $exception 'NoServiceFoundForGivenName' 'ObjectNotFound'
    }
    $key
}

function Get-Service {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] $Name)
    $state = Read-State
    $key = Find-Service $PSCmdlet $state $Name
    if ($key) { [pscustomobject] @{ Name = $key; Status = $state['services'][$key]['status'] } }
}

function Set-ServiceStatus($Cmdlet, $Name, $Status, $What) {
    $state = Read-State
    $key = Find-Service $Cmdlet $state $Name
    if (-not $key -or $state['services'][$key]['status'] -eq $Status) { return }
    $start = $state['registry']["HKLM:\SYSTEM\CurrentControlSet\Services\$key"]['Start']['value']
    if ($Status -eq 'Running' -and $start -eq 4) {
        $exception = New-Object System.InvalidOperationException "Service '$key' cannot be started due to the following error: Cannot start service $key on computer '.'."
        Fail $Cmdlet $exception 'StartServiceFailed' 'OpenError'
        return
    }
    Start-Change $state $Cmdlet 'services' "$What $key"
    $state['services'][$key]['status'] = $Status
    Write-State $state
}

function Start-Service {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] $Name)
    Set-ServiceStatus $PSCmdlet $Name 'Running' 'Start-Service'
}

function Stop-Service {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] $Name, [switch] $Force)
    Set-ServiceStatus $PSCmdlet $Name 'Stopped' 'Stop-Service'
}

function Set-Service {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] $Name, [ValidateSet('Automatic', 'Manual', 'Disabled')] [string] $StartupType)
    $state = Read-State
    $key = Find-Service $PSCmdlet $state $Name
    if (-not $key) { return }
    Start-Change $state $PSCmdlet 'services' "Set-Service $key $StartupType"
    $number = @{ Automatic = 2; Manual = 3; Disabled = 4 }[$StartupType]
    $state['registry']["HKLM:\SYSTEM\CurrentControlSet\Services\$key"]['Start']['value'] = $number
    Write-State $state
}
