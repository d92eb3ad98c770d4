# PowerShell's endpoints: Get-PSSessionConfiguration and Set-PSSessionConfiguration of
# https://learn.microsoft.com/powershell/module/microsoft.powershell.core/get-pssessionconfiguration (and set-…).
# Both need an administrator. SecurityDescriptorSddl is a note property, which an endpoint without a descriptor lacks.
$exported += 'Get-PSSessionConfiguration', 'Set-PSSessionConfiguration'

function Get-PSSessionConfiguration {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string[]] $Name = '*')
    $state = Read-State
    if (-not (Test-Running $PSCmdlet $state)) { return }
    if ($state['denied'] -contains 'endpoints') { Deny $PSCmdlet 'endpoints' }
    foreach ($endpoint in $state['endpoints']) {
        if (-not @($Name | Where-Object { $endpoint['name'] -like $_ })) { continue }
        $shown = [pscustomobject] @{ Name = $endpoint['name']; PSVersion = '5.1'; Permission = '' }
        if ($endpoint['sddl']) { $shown.PSObject.Properties.Add((New-Object System.Management.Automation.PSNoteProperty 'SecurityDescriptorSddl', $endpoint['sddl'])) }
        $shown
    }
}

function Set-PSSessionConfiguration {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string] $Name,
        [string] $SecurityDescriptorSddl, [switch] $Force, [switch] $NoServiceRestart
    )
    $state = Read-State
    if (-not (Test-Running $PSCmdlet $state)) { return }
    # Without -Force it asks, and without -NoServiceRestart it cuts the connection that it came by.
    if (-not $Force) { throw "the stand-in's Set-PSSessionConfiguration answers no questions" }
    if (-not $NoServiceRestart) { throw "the stand-in's service isn't started anew" }
    $found = @($state['endpoints'] | Where-Object { $_['name'] -eq $Name })
    if (-not $found) {
        $text = "No session configuration matches criteria `"$Name`"."
        Fail $PSCmdlet (New-Object System.InvalidOperationException $text) 'NoSessionConfiguration' 'InvalidOperation'
        return
    }
    Start-Change $state $PSCmdlet 'endpoints' "Set-PSSessionConfiguration $Name"
    $found[0]['sddl'] = $SecurityDescriptorSddl
    Write-State $state
}
