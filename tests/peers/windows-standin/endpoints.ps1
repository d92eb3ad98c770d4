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

# WSMan:\localhost\Plugin, as the provider's page draws it: a plug-in's Resources, each with ResourceUri and Security, each of those with
# Sddl.
function Find-Plugin($State, $Path) {
    $found = @($State['plugins'])
    $parts = @($Path -replace '^WSMan:\\localhost\\Plugin\\?', '' -split '\\' | Where-Object { $_ })
    foreach ($part in $parts) {
        $named = @($found | Where-Object { $_['name'] -eq $part })
        if ($named) { $found = @($named[0]['children']) } else { return , @() }
    }
    , $found
}

function Get-PluginChildren($State, $Path) {
    foreach ($child in (Find-Plugin $State $Path)) { if ($null -ne $child) { [pscustomobject] @{ Name = $child['name'] } } }
}

function Get-PluginItem($Cmdlet, $State, $Path) {
    $name = $Path -replace '^.*\\', ''
    $found = @((Find-Plugin $State ($Path -replace '\\[^\\]*$', '')) | Where-Object { $_['name'] -eq $name })
    if (-not $found) { Fail-Missing $Cmdlet $Path; return }
    [pscustomobject] @{ Name = $name; Value = $found[0]['value'] }
}
