# The WSMan provider, https://learn.microsoft.com/powershell/module/microsoft.wsman.management/about/about_wsman_provider, and
# Get-WSManInstance, New-WSManInstance, Set-WSManInstance, Remove-WSManInstance, Enable-WSManCredSSP, Disable-WSManCredSSP of
# https://learn.microsoft.com/powershell/module/microsoft.wsman.management/.
# Limits of values: https://learn.microsoft.com/windows/win32/winrm/installation-and-configuration-for-windows-remote-management
# Policies: WindowsRemoteManagement.admx and WindowsRemoteShell.admx, as
# https://learn.microsoft.com/windows/client-management/mdm/policy-csp-remotemanagement and …/policy-csp-remoteshell list them.
$exported += 'Get-WSManInstance', 'New-WSManInstance', 'Set-WSManInstance', 'Remove-WSManInstance', 'Enable-WSManCredSSP', 'Disable-WSManCredSSP'

$policyKey = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service'
$policies = @{
    'Service\Auth\Basic'                  = 'AllowBasic'
    'Service\Auth\Kerberos'               = 'AllowKerberos'
    'Service\Auth\Negotiate'              = 'AllowNegotiate'
    'Service\Auth\CredSSP'                = 'AllowCredSSP'
    'Service\AllowUnencrypted'            = 'AllowUnencryptedTraffic'
    'Service\Auth\CbtHardeningLevel'      = 'CbtHardeningLevel'
    'Shell\MaxShellsPerUser'              = 'WinRS\MaxShellsPerUser'
    'Shell\MaxMemoryPerShellMB'           = 'WinRS\MaxMemoryPerShellMB'
    'Shell\MaxProcessesPerShell'          = 'WinRS\MaxProcessesPerShell'
    'Shell\MaxConcurrentUsers'            = 'WinRS\MaxConcurrentUsers'
    'Shell\IdleTimeout'                   = 'WinRS\IdleTimeout'
}
$limits = @{
    'MaxEnvelopeSizekb'               = 32, 4294967295
    'MaxTimeoutms'                    = 500, 4294967295
    'Service\MaxConcurrentOperationsPerUser' = 1, 4294967295
    'Service\MaxConnections'          = 1, 4294967295
    'Shell\IdleTimeout'               = 60000, 2147483647
    'Shell\MaxConcurrentUsers'        = 1, 100
    'Shell\MaxProcessesPerShell'      = 0, 2147483647
    'Shell\MaxMemoryPerShellMB'       = 0, 2147483647
    'Shell\MaxShellsPerUser'          = 0, 2147483647
}

# The value that policy gives, if it gives one.
function Get-PolicyValue($State, $Setting) {
    $name = Find-Key $policies $Setting
    if ($null -eq $name) { return }
    $path = "$policyKey\$($policies[$name])"
    $key = Find-Key $State['registry'] ($path -replace '\\[^\\]*$', '')
    if ($null -eq $key) { return }
    $value = Find-Key $State['registry'][$key] ($path -replace '^.*\\', '')
    if ($null -eq $value) { return }
    $value = $State['registry'][$key][$value]['value']
    if ($Setting -notlike 'Shell\*' -and $value -in 0, 1) { return @('false', 'true')[$value] }
    "$value"
}

function Test-Running($Cmdlet, $State) {
    if ($State['services']['WinRM']['status'] -eq 'Running') { return $true }
    $text = 'The client cannot connect to the destination specified in the request. Verify that the service on the destination is running and is accepting requests.'
    Fail $Cmdlet (New-Object System.InvalidOperationException $text) 'WsManError' 'InvalidOperation'
    $false
}

function Get-WSManItem($Cmdlet, $Path) {
    $state = Read-State
    if (-not (Test-Running $Cmdlet $state)) { return }
    $setting = $Path -replace '^WSMan:\\localhost\\?', ''
    if ($setting -eq 'ClientCertificate' -or $setting -eq 'Listener') { return [pscustomobject] @{ Name = $setting } }
    if ($setting -like 'Plugin\*') { return Get-PluginItem $Cmdlet $state $Path }
    $key = Find-Key $state['wsman'] $setting
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    $policy = Get-PolicyValue $state $key
    [pscustomobject] @{
        Name          = $key -replace '^.*\\', ''
        Value         = $(if ($null -ne $policy) { $policy } else { $state['wsman'][$key] })
        SourceOfValue = $(if ($null -ne $policy) { 'GPO' } else { '' })
    }
}

function Set-WSManItem($Cmdlet, $Path, $Value) {
    $state = Read-State
    if (-not (Test-Running $Cmdlet $state)) { return }
    $setting = $Path -replace '^WSMan:\\localhost\\', ''
    $key = Find-Key $state['wsman'] $setting
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    $wrong = $null
    if ($null -ne (Get-PolicyValue $state $key)) {
        $wrong = "The config setting $key cannot be changed because is controlled by policies."
    } elseif ($limits.ContainsKey($key) -and ("$Value" -notmatch '^\d+$' -or [long] $Value -lt $limits[$key][0] -or [long] $Value -gt $limits[$key][1])) {
        $wrong = "The WS-Management service cannot process the request: $key has no value $Value."
    } elseif ($key -like '*CbtHardeningLevel' -and $Value -notin 'None', 'Relaxed', 'Strict') {
        $wrong = "CbtHardeningLevel has no value $Value."
    } elseif ($state['wsman'][$key] -in 'true', 'false' -and "$Value" -notin 'true', 'false') {
        $wrong = "$key has no value $Value."
    }
    if ($wrong) { Fail $Cmdlet (New-Object System.InvalidOperationException $wrong) 'WsManError' 'InvalidOperation'; return }
    Start-Change $state $Cmdlet 'wsman' "Set-Item $key $Value"
    $text = "$Value"
    if ($Value -is [bool] -or $text -in 'true', 'false') { $text = $text.ToLowerInvariant() }
    $state['wsman'][$key] = $text
    Write-State $state
}

function Get-WSManChildren($Cmdlet, $Path) {
    $state = Read-State
    if (-not (Test-Running $Cmdlet $state)) { return }
    if ($Path -like 'WSMan:\localhost\Plugin*') { return Get-PluginChildren $state $Path }
    if ($Path -ne 'WSMan:\localhost\ClientCertificate') { throw "the stand-in's Get-ChildItem knows no $Path" }
    foreach ($mapping in $state['mappings']) {
        [pscustomobject] @{
            Name         = $mapping['name']
            Keys         = @("URI=$($mapping['uri'])", "Subject=$($mapping['subject'])", "Issuer=$($mapping['issuer'])")
            PSPath       = "Microsoft.WSMan.Management\WSMan::localhost\ClientCertificate\$($mapping['name'])"
            PSParentPath = 'Microsoft.WSMan.Management\WSMan::localhost\ClientCertificate'
        }
    }
}

# The account's password is checked and forgotten.
function New-CertificateMapping($Cmdlet, $Path, $Subject, $URI, $Issuer, $Credential) {
    if ($Path -ne 'WSMan:\localhost\ClientCertificate') { throw "the stand-in's New-Item knows no $Path" }
    $state = Read-State
    if (-not (Test-Running $Cmdlet $state)) { return }
    $network = $Credential.GetNetworkCredential()
    $wrong = $null
    $user = @($state['users'] | Where-Object { $_['name'] -eq $network.UserName })
    $trusted = @($state['certificates'].Keys | Where-Object { $_ -in "LocalMachine\Root\$Issuer", "LocalMachine\CA\$Issuer" })
    if (-not $user -or $user[0]['password'] -cne $network.Password) { $wrong = 'The user name or password is incorrect.' }
    elseif (-not $trusted) { $wrong = "The certificate $Issuer is neither an authority of Root nor of CA." }
    elseif (@($state['mappings'] | Where-Object { $_['subject'] -eq $Subject -and $_['issuer'] -eq $Issuer -and $_['uri'] -eq $URI })) {
        $wrong = 'The WS-Management service cannot complete the operation: the resource already exists.'
    }
    if ($wrong) { Fail $Cmdlet (New-Object System.InvalidOperationException $wrong) 'WsManError' 'InvalidOperation'; return }
    Start-Change $state $Cmdlet 'wsman' "New-Item ClientCertificate $Subject"
    $name = "ClientCertificate_$(1000 + @($state['mappings']).Count)"
    $state['mappings'] = @($state['mappings']) + [ordered] @{
        name = $name; subject = $Subject; uri = $URI; issuer = $Issuer; userName = $network.UserName; enabled = 'true'
    }
    Write-State $state
}

function Remove-CertificateMapping($Cmdlet, $Path) {
    $state = Read-State
    $name = $Path -replace '^.*\\', ''
    $kept = @($state['mappings'] | Where-Object { $_['name'] -ne $name })
    if ($kept.Count -eq @($state['mappings']).Count) { Fail-Missing $Cmdlet $Path; return }
    Start-Change $state $Cmdlet 'wsman' "Remove-Item ClientCertificate $name"
    $state['mappings'] = $kept
    Write-State $state
}

$configuration = 'http://schemas.microsoft.com/wbem/wsman/1/config'

function ConvertTo-ListenerXml($Listener) {
    $document = New-Object System.Xml.XmlDocument
    $element = $document.AppendChild($document.CreateElement('cfg', 'Listener', "$configuration/listener"))
    if ($Listener['source']) { $element.SetAttribute('Source', $Listener['source']) }
    foreach ($name in 'Address', 'Transport', 'Port', 'Hostname', 'Enabled', 'URLPrefix', 'CertificateThumbprint') {
        $child = $element.AppendChild($document.CreateElement('cfg', $name, "$configuration/listener"))
        if ($Listener[$name]) { $child.InnerText = $Listener[$name] }
    }
    $child = $element.AppendChild($document.CreateElement('cfg', 'ListeningOn', "$configuration/listener"))
    $child.InnerText = '127.0.0.1'
    $element
}

function ConvertTo-MappingXml($Mapping) {
    $document = New-Object System.Xml.XmlDocument
    $element = $document.AppendChild($document.CreateElement('cfg', 'CertMapping', "$configuration/service/certmapping"))
    foreach ($name in 'URI', 'Subject', 'Issuer', 'UserName', 'Enabled', 'Password') {
        $child = $element.AppendChild($document.CreateElement('cfg', $name, "$configuration/service/certmapping"))
        $key = Find-Key $Mapping $name
        if ($key) { $child.InnerText = $Mapping[$key] }
    }
    $element
}

function Get-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $ResourceURI, [switch] $Enumerate)
    $state = Read-State
    if (-not (Test-Running $PSCmdlet $state)) { return }
    if (-not $Enumerate) { throw "the stand-in's Get-WSManInstance only enumerates" }
    switch ($ResourceURI) {
        'winrm/config/Listener' { foreach ($listener in $state['listeners']) { ConvertTo-ListenerXml $listener } }
        'winrm/config/service/certmapping' { foreach ($mapping in $state['mappings']) { ConvertTo-MappingXml $mapping } }
        default { throw "the stand-in's Get-WSManInstance knows no $ResourceURI" }
    }
}

function Find-Listener($State, $Selectors) {
    , @($State['listeners'] | Where-Object { $_['Address'] -eq $Selectors['Address'] -and $_['Transport'] -eq $Selectors['Transport'] })
}

# What a listener's values may be: https needs a certificate of LocalMachine\My with its key.
function Test-Listener($Cmdlet, $State, $Listener) {
    $wrong = $null
    if ($Listener['Transport'] -eq 'HTTPS') {
        $key = Find-Key $State['certificates'] "LocalMachine\My\$($Listener['CertificateThumbprint'])"
        if (-not $key -or -not $State['certificates'][$key]['key']) { $wrong = 'Cannot create a WinRM listener on HTTPS because this machine does not have an appropriate certificate.' }
    }
    if ("$($Listener['Port'])" -notmatch '^\d+$') { $wrong = 'The port is no number.' }
    foreach ($value in 'Address', 'Transport', 'Port', 'Hostname', 'Enabled', 'URLPrefix', 'CertificateThumbprint') { if ($Listener[$value] -isnot [string]) { $wrong = "$value is no text" } }
    if ($wrong) { Fail $Cmdlet (New-Object System.InvalidOperationException $wrong) 'WsManError' 'InvalidOperation'; return $false }
    $true
}

function New-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $ResourceURI, [Parameter(Position = 1, Mandatory = $true)] [hashtable] $SelectorSet, [hashtable] $ValueSet = @{})
    if ($ResourceURI -ne 'winrm/config/Listener') { throw "the stand-in's New-WSManInstance knows no $ResourceURI" }
    $state = Read-State
    if (-not (Test-Running $PSCmdlet $state)) { return }
    if (Find-Listener $state $SelectorSet) {
        Fail $PSCmdlet (New-Object System.InvalidOperationException 'The WS-Management service cannot create the listener: it exists.') 'WsManError' 'InvalidOperation'
        return
    }
    $listener = [ordered] @{
        Address = $SelectorSet['Address']; Transport = $SelectorSet['Transport']; Port = @{ HTTP = '5985'; HTTPS = '5986' }[$SelectorSet['Transport']]
        Hostname = ''; Enabled = 'true'; URLPrefix = 'wsman'; CertificateThumbprint = ''
    }
    foreach ($name in $ValueSet.Keys) { $listener[(Find-Key $listener $name)] = $ValueSet[$name] }
    if (-not (Test-Listener $PSCmdlet $state $listener)) { return }
    Start-Change $state $PSCmdlet 'wsman' "New-WSManInstance $($listener['Transport'])"
    $state['listeners'] = @($state['listeners']) + $listener
    Write-State $state
    ConvertTo-ListenerXml $listener
}

function Set-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $ResourceURI, [Parameter(Position = 1)] [hashtable] $SelectorSet, [hashtable] $ValueSet = @{})
    if ($ResourceURI -ne 'winrm/config/Listener') { throw "the stand-in's Set-WSManInstance knows no $ResourceURI" }
    $state = Read-State
    if (-not (Test-Running $PSCmdlet $state)) { return }
    $listener = Find-Listener $state $SelectorSet
    if (-not $listener -or $listener[0]['source'] -eq 'GPO') {
        Fail $PSCmdlet (New-Object System.InvalidOperationException 'There is no such listener, or policy made it.') 'WsManError' 'InvalidOperation'
        return
    }
    foreach ($name in $ValueSet.Keys) { $listener[0][(Find-Key $listener[0] $name)] = $ValueSet[$name] }
    if (-not (Test-Listener $PSCmdlet $state $listener[0])) { return }
    Start-Change $state $PSCmdlet 'wsman' "Set-WSManInstance $($listener[0]['Transport'])"
    Write-State $state
    ConvertTo-ListenerXml $listener[0]
}

function Remove-WSManInstance {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $ResourceURI, [Parameter(Position = 1, Mandatory = $true)] [hashtable] $SelectorSet)
    $state = Read-State
    if (-not (Test-Running $PSCmdlet $state)) { return }
    switch ($ResourceURI) {
        'winrm/config/Listener' {
            $listener = Find-Listener $state $SelectorSet
            if (-not $listener) { Fail-Missing $PSCmdlet $ResourceURI; return }
            Start-Change $state $PSCmdlet 'wsman' "Remove-WSManInstance $($SelectorSet['Transport'])"
            $state['listeners'] = @($state['listeners'] | Where-Object { $_ -ne $listener[0] })
        }
        'winrm/config/service/certmapping' {
            $is = { $_['subject'] -eq $SelectorSet['Subject'] -and $_['issuer'] -eq $SelectorSet['Issuer'] -and $_['uri'] -eq $SelectorSet['URI'] }
            if (-not @($state['mappings'] | Where-Object $is)) { Fail-Missing $PSCmdlet $ResourceURI; return }
            Start-Change $state $PSCmdlet 'wsman' "Remove-WSManInstance certmapping $($SelectorSet['Subject'])"
            $state['mappings'] = @($state['mappings'] | Where-Object { -not (& $is) })
        }
        default { throw "the stand-in's Remove-WSManInstance knows no $ResourceURI" }
    }
    Write-State $state
}

function Enable-WSManCredSSP {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [ValidateSet('Server')] [string] $Role, [switch] $Force)
    # Without -Force it would ask.
    if (-not $Force) { throw 'the stand-in: nobody answers the question of Enable-WSManCredSSP' }
    Set-WSManItem $PSCmdlet 'WSMan:\localhost\Service\Auth\CredSSP' $true
}

function Disable-WSManCredSSP {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [ValidateSet('Server')] [string] $Role)
    Set-WSManItem $PSCmdlet 'WSMan:\localhost\Service\Auth\CredSSP' $false
}
