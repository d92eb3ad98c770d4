# The firewall: Get-NetFirewallRule, New-NetFirewallRule, Set-NetFirewallRule, Remove-NetFirewallRule, Get-NetFirewallPortFilter and
# Get-NetFirewallAddressFilter of https://learn.microsoft.com/powershell/module/netsecurity/, Get-NetConnectionProfile of
# https://learn.microsoft.com/powershell/module/netconnection/, and `netsh advfirewall firewall`, which older hosts have:
# https://learn.microsoft.com/troubleshoot/windows-server/networking/netsh-advfirewall-firewall-control-firewall-behavior
$exported += 'Get-NetFirewallRule', 'Get-NetFirewallPortFilter', 'Get-NetFirewallAddressFilter', 'New-NetFirewallRule', 'Set-NetFirewallRule', 'Remove-NetFirewallRule',
    'Get-NetConnectionProfile', 'netsh.exe'

# A network of IPv4 is kept with a mask, however it was written.
function ConvertTo-Kept([string[]] $Addresses) {
    foreach ($address in $Addresses) {
        if ($address -match '^([\d.]+)/(\d+)$') {
            $bits = ('1' * [int] $Matches[2]).PadRight(32, '0')
            "$($Matches[1])/$((0..3 | ForEach-Object { [Convert]::ToInt32($bits.Substring($_ * 8, 8), 2) }) -join '.')"
        } else { $address }
    }
}

function Get-NetFirewallRule {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $Name)
    $state = Read-State
    $key = Find-Key $state['firewall'] $Name
    if ($null -eq $key) {
        $exception = New-Object System.Management.Automation.ItemNotFoundException "No MSFT_NetFirewallRule objects found with property 'InstanceID' equal to '$Name'."
        Fail $PSCmdlet $exception 'CmdletizationQuery_NotFound_InstanceID' 'ObjectNotFound'
        return
    }
    $rule = $state['firewall'][$key]
    [pscustomobject] @{
        Name = $key; DisplayName = $rule['displayName']; Enabled = $rule['enabled']; Direction = $rule['direction']; Action = $rule['action']; Profile = $rule['profile']
    }
}

function Get-NetFirewallPortFilter {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, ValueFromPipeline = $true)] $AssociatedNetFirewallRule)
    process {
        $rule = (Read-State)['firewall'][$AssociatedNetFirewallRule.Name]
        [pscustomobject] @{ Protocol = $rule['protocol']; LocalPort = $rule['localPort'] }
    }
}

function Get-NetFirewallAddressFilter {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, ValueFromPipeline = $true)] $AssociatedNetFirewallRule)
    process { [pscustomobject] @{ RemoteAddress = (Read-State)['firewall'][$AssociatedNetFirewallRule.Name]['remoteAddress'] } }
}

function New-NetFirewallRule {
    [CmdletBinding()]
    param(
        [string] $Name, [Parameter(Mandatory = $true)] [string] $DisplayName, [string] $Description, [ValidateSet('Inbound', 'Outbound')] $Direction,
        $Action, [string[]] $Profile = 'Any', $Protocol, $LocalPort, [string[]] $RemoteAddress = 'Any'
    )
    $state = Read-State
    if ($null -ne (Find-Key $state['firewall'] $Name)) {
        Fail $PSCmdlet (New-Object System.InvalidOperationException 'Cannot create a file when that file already exists.') 'AlreadyExists' 'ResourceExists'
        return
    }
    Start-Change $state $PSCmdlet 'firewall' "New-NetFirewallRule $Name"
    $state['firewall'][$Name] = [ordered] @{
        displayName = $DisplayName; enabled = 'True'; direction = "$Direction"; action = "$Action"; profile = $Profile -join ', '
        protocol = "$Protocol"; localPort = "$LocalPort"; remoteAddress = @(ConvertTo-Kept $RemoteAddress)
    }
    Write-State $state
}

function Set-NetFirewallRule {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)] [string] $Name, [string[]] $Profile, $LocalPort, [string[]] $RemoteAddress, $Enabled, $Action)
    $state = Read-State
    $key = Find-Key $state['firewall'] $Name
    if ($null -eq $key) { Fail-Missing $PSCmdlet $Name; return }
    Start-Change $state $PSCmdlet 'firewall' "Set-NetFirewallRule $Name"
    $rule = $state['firewall'][$key]
    if ($Profile) { $rule['profile'] = $Profile -join ', ' }
    if ($LocalPort) { $rule['localPort'] = "$LocalPort" }
    if ($RemoteAddress) { $rule['remoteAddress'] = @(ConvertTo-Kept $RemoteAddress) }
    if ($Enabled) { $rule['enabled'] = "$Enabled" }
    if ($Action) { $rule['action'] = "$Action" }
    Write-State $state
}

function Remove-NetFirewallRule {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)] [string] $Name)
    $state = Read-State
    $key = Find-Key $state['firewall'] $Name
    if ($null -eq $key) { Fail-Missing $PSCmdlet $Name; return }
    Start-Change $state $PSCmdlet 'firewall' "Remove-NetFirewallRule $Name"
    $state['firewall'].Remove($key)
    Write-State $state
}

function Get-NetConnectionProfile {
    [CmdletBinding()]
    param()
    foreach ($network in (Read-State)['networks']) { [pscustomobject] @{ Name = $network['name']; NetworkCategory = $network['category'] } }
}

# `show rule name=N`, `add rule name=N …` and `delete rule name=N`; 1 where there is no such rule. What it prints depends on the host's language.
function netsh.exe {
    [CmdletBinding()]
    param([Parameter(ValueFromRemainingArguments = $true)] [string[]] $Words)
    if (($Words[0..1] -join ' ') -ne 'advfirewall firewall' -or $Words[3] -ne 'rule') { throw "the stand-in's netsh knows no $Words" }
    $values = @{}
    foreach ($word in $Words[4..($Words.Count - 1)]) { $name, $value = $word.Split('=', 2); $values[$name] = $value }
    $state = Read-State
    $key = @($state['firewall'].Keys | Where-Object { $state['firewall'][$_]['displayName'] -eq $values['name'] })
    $global:LASTEXITCODE = 0
    switch ($Words[2]) {
        'show' { if (-not $key) { $global:LASTEXITCODE = 1; 'Es wurden keine Regeln gefunden.' } else { "Regelname: $($values['name'])" } }
        'delete' {
            if (-not $key) { $global:LASTEXITCODE = 1; return }
            Start-Change $state $PSCmdlet 'firewall' "netsh delete $($values['name'])"
            foreach ($one in $key) { $state['firewall'].Remove($one) }
            Write-State $state
        }
        'add' {
            if ($state['denied'] -contains 'firewall') { $global:LASTEXITCODE = 1; 'Der angeforderte Vorgang erfordert erhöhte Rechte.'; return }
            Start-Change $state $PSCmdlet 'firewall' "netsh add $($values['name'])"
            $state['firewall']["netsh $($values['name'])"] = [ordered] @{
                displayName = $values['name']; enabled = 'True'; direction = 'Inbound'; action = 'Allow'; profile = $values['profile']
                protocol = $values['protocol']; localPort = $values['localport']; remoteAddress = @($values['remoteip'])
            }
            Write-State $state
        }
        default { throw "the stand-in's netsh knows no $Words" }
    }
}
