# ---- How a setting is brought to its wanted state ------------------------------------------------------------------------------------
# Each kind of setting has a Read- and a Write- function. A state is a text, or $null for what isn't there.

# Where it is noted what settings were before they were changed, for `winrm setup undo`. Only administrators may write there.
$NoteKey = 'HKLM:\SOFTWARE\winrm\Setup'

$script:ExitCode = 0

# Reads, compares, notes what it was, writes, reads again; gives a record of it.
function Set-Wanted($Item, $Kind, $Place, $Wanted, $Remark) {
    $record = New-Record $Item $Wanted $Remark
    try {
        $record.Before = & "Read-$Kind" $Place
        $policy = Get-Policy $Kind $Place
        $cut = Get-Cut $Kind $Place $record.Before $Wanted
        if ($record.Before -eq $Wanted) {
            $record.Outcome = 'unchanged'
        } elseif ($policy) {
            $record.Outcome = 'policy'
            Add-Reason $record "group policy sets it ($policy) and wins over what is set here"
        } elseif ($cut -and -not $Force) {
            $record.Outcome = 'refused'
            Add-Reason $record "$cut; -Force changes it all the same"
        } elseif ($Check) {
            $record.Outcome = 'would change'
        } else {
            Save-Note $Item $Kind $Place $record.Before $Wanted
            & "Write-$Kind" $Place $Wanted
            $after = & "Read-$Kind" $Place
            if ($after -ne $Wanted) { throw "it was written, and reads '$after' all the same" }
            $record.Outcome = 'changed'
        }
    } catch {
        if ($Check -and (Test-Stopped)) {
            $record.Outcome = 'unknown'
            Add-Reason $record 'the service WinRM is not running, so its configuration can''t be read yet'
        } else {
            $record.Outcome = 'failed'
            Add-Reason $record (Get-Cause $_ $Kind $Place)
            Remove-NoteOfNothing $Kind $Place
        }
    }
    Complete-Record $record
}

function Test-Stopped {
    "$((Get-Service -Name WinRM).Status)" -ne 'Running'
}

function New-Record($Item, $Wanted, $Remark) {
    New-Object psobject -Property @{ Item = $Item; Before = $null; Wanted = $Wanted; Outcome = $null; Reason = $Remark } |
        Select-Object Item, Before, Wanted, Outcome, Reason
}

function Add-Reason($Record, $Text) {
    if ($Record.Reason) { $Record.Reason = "$Text; $($Record.Reason)" } else { $Record.Reason = $Text }
}

# The script's exit code: 1 if anything is not as wanted, else 2 if -Check has found something to do.
function Complete-Record($Record) {
    if ('failed', 'policy', 'refused', 'left' -contains $Record.Outcome) { $script:ExitCode = 1 }
    if ('would change', 'unknown' -contains $Record.Outcome -and $script:ExitCode -eq 0) { $script:ExitCode = 2 }
    $Record
}

# What went wrong, with the right that is missing where it is that.
function Get-Cause($Problem, $Kind, $Place) {
    $exception = $Problem.Exception
    $text = $exception.Message.Trim()
    $denied = $exception -is [System.UnauthorizedAccessException] -or $exception -is [System.Security.SecurityException] -or
        $text -match 'Access is denied|Code="5"' -or $text.Contains((New-Object System.ComponentModel.Win32Exception 5).Message)
    if (-not $denied) { return $text }
    $right = switch ($Kind) {
        'WSMan' { "to write the configuration of WinRM ($Place)" }
        'Listener' { "to write the listeners of WinRM" }
        'Service' { "to configure and start the service $Place" }
        'Certificate' { 'to write to the certificate store LocalMachine\My' }
        { 'Firewall', 'Netsh' -contains $_ } { 'to change the rules of the firewall' }
        default { "to write $Place" }
    }
    "access is denied: the right $right is missing ($text). Administrators have it, with their full token: run this elevated, and over the " +
    'network as a domain account or the built-in Administrator'
}

# ---- What would cut the connection that this comes by --------------------------------------------------------------------------------

function Get-Cut($Kind, $Place, $Now, $New) {
    if (-not $Connection -or $Now -eq $New) { return }
    switch ($Kind) {
        'Service' { if ($New -notlike '*, Running') { 'it would end the service that this connection comes by' } }
        'Listener' { if ($Place -eq $Connection.Scheme -and $null -ne $Now) { 'it would change the listener that this connection comes by' } }
        'Firewall' { if ($null -eq $New -and "$Now" -like "TCP $($Connection.Port);*") { 'it would close the port that this connection comes by' } }
        'Netsh' { if ($null -eq $New -and $Place -like "* TCP $($Connection.Port);*") { 'it would close the port that this connection comes by' } }
        'Registry' {
            if ($Place -like '*\LocalAccountTokenFilterPolicy' -and $New -ne '1' -and $Connection.IsLocal) { 'the account of this connection may be let in by it alone' }
        }
        'WSMan' {
            if ($Place -like 'Service\Auth\*' -and $New -eq 'false' -and $Connection.Switches -contains ($Place -replace '^.*\\', '')) {
                'this connection has authenticated by it'
            } elseif ($Place -eq 'Service\Auth\CbtHardeningLevel' -and $New -eq 'Strict' -and $Connection.IsUnbound) {
                'this connection has no channel binding, which Strict demands'
            } elseif ($Place -eq 'Service\AllowUnencrypted' -and $New -eq 'false' -and $Connection.IsClearText) {
                'this connection is in clear text'
            }
        }
    }
}

# ---- Group policy --------------------------------------------------------------------------------------------------------------------

$PolicyKey = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service'

# The policy that decides a setting: its key and value; nothing where none does.
function Get-Policy($Kind, $Place) {
    if ($Kind -eq 'Listener') {
        if ($null -ne (Find-Listener $Place) -and (Find-Listener $Place).GetAttribute('Source') -eq 'GPO') { return "$PolicyKey\AllowAutoConfig" }
        return
    }
    if ($Kind -ne 'WSMan') { return }
    $name = switch -Wildcard ($Place) {
        'Service\Auth\CbtHardeningLevel' { 'CBTHardeningLevelStatus' }
        'Service\Auth\*' { 'Allow' + ($Place -replace '^.*\\', '') }
        'Service\AllowUnencrypted' { 'AllowUnencryptedTraffic' }
        'Shell\*' { 'WinRS\' + ($Place -replace '^.*\\', '') }
    }
    if (-not $name) { return }
    $value = Read-Registry "$PolicyKey\$name"
    if ($null -ne $value) { return "$PolicyKey\$name = $value" }
    # What is set by a policy that isn't known here.
    $item = Get-Item -Path "WSMan:\localhost\$Place"
    if ($null -ne $item.PSObject.Properties['SourceOfValue'] -and $item.SourceOfValue -eq 'GPO') { 'the service says so' }
}

# Policies that keep the service from answering, whatever listeners there are.
function Test-ServicePolicy {
    $record = New-Record 'Group policy' 'lets the service answer' $null
    try {
        $auto = Read-Registry "$PolicyKey\AllowAutoConfig"
        if ($null -eq $auto) { return }
        $filters = foreach ($family in 'IPv4', 'IPv6') { if (Read-Registry "$PolicyKey\$($family)Filter") { $family } }
        $record.Before = if ($auto -eq '0') { 'turns the service off' } elseif (-not $filters) { 'has empty address filters' } else { "listens on $($filters -join ' and ')" }
        $record.Outcome = 'unchanged'
        if ($auto -eq '0' -or -not $filters) {
            $record.Outcome = 'policy'
            Add-Reason $record "'Allow remote server management through WinRM' ($PolicyKey) keeps the service from answering; it can only be changed in the policy"
        }
    } catch {
        $record.Outcome = 'failed'
        Add-Reason $record (Get-Cause $_ 'Registry' $PolicyKey)
    }
    Complete-Record $record
}

# ---- Notes for undo ------------------------------------------------------------------------------------------------------------------

function Save-Note($Item, $Kind, $Place, $Before, $After) {
    try {
        if (-not (Test-Path -LiteralPath $NoteKey)) { New-Item -Path $NoteKey -Force | Out-Null }
        $known = @(Get-Note | Where-Object { $_.Kind -eq $Kind -and $_.Place -eq $Place })
        # What it was before the first change is what it goes back to.
        if ($known) { $number = $known[0].Number; $Before = $known[0].Before } else { $number = @(Get-Note).Count + 1 }
        $note = @{ Number = $number; Item = $Item; Kind = $Kind; Place = $Place; Before = $Before; After = $After }
        New-ItemProperty -Path $NoteKey -Name "$Kind|$Place" -Value (ConvertTo-Json $note -Compress) -PropertyType String -Force | Out-Null
    } catch {
        throw "what it was can't be noted for undo, so it was left alone: $(Get-Cause $_ 'Registry' $NoteKey)"
    }
}

# All notes, the latest first.
function Get-Note {
    if (-not (Test-Path -LiteralPath $NoteKey)) { return }
    $values = Get-ItemProperty -LiteralPath $NoteKey
    if ($null -eq $values) { return }
    $found = foreach ($property in $values.PSObject.Properties) { if ($property.Name -like '*|*') { ConvertFrom-Json $property.Value } }
    $found | Sort-Object Number -Descending
}

function Remove-Note($Kind, $Place) {
    if (@(Get-Note | Where-Object { $_.Kind -eq $Kind -and $_.Place -eq $Place })) { Remove-ItemProperty -Path $NoteKey -Name "$Kind|$Place" }
    Remove-EmptyNoteKey
}

function Remove-EmptyNoteKey {
    $above, $name = Split-Place $NoteKey
    foreach ($key in $NoteKey, $above) { if (Test-EmptyKey $key) { Remove-Item -LiteralPath $key } }
}

# After a failure: nothing has to be undone where nothing was changed.
function Remove-NoteOfNothing($Kind, $Place) {
    try {
        $note = @(Get-Note | Where-Object { $_.Kind -eq $Kind -and $_.Place -eq $Place })
        if ($note -and $note[0].Before -eq (& "Read-$Kind" $Place)) { Remove-Note $Kind $Place }
        else { Remove-EmptyNoteKey }
    } catch { $Error.Clear() }
}

# ---- The registry --------------------------------------------------------------------------------------------------------------------

# A place is KEY\VALUE. Numbers are of type DWORD.
function Read-Registry($Place) {
    $key, $name = Split-Place $Place
    if (-not (Test-Path -LiteralPath $key)) { return }
    $values = Get-ItemProperty -LiteralPath $key
    if ($null -eq $values -or $null -eq $values.PSObject.Properties[$name]) { return }
    "$($values.$name)"
}

function Write-Registry($Place, $State) {
    $key, $name = Split-Place $Place
    if ($null -eq $State) { Remove-ItemProperty -Path $key -Name $name }
    else { New-ItemProperty -Path $key -Name $name -Value ([int] $State) -PropertyType DWord -Force | Out-Null }
}

function Split-Place($Place) {
    $end = $Place.LastIndexOf('\')
    $Place.Substring(0, $end), $Place.Substring($end + 1)
}

# The place is the key itself.
function Read-RegistryKey($Place) {
    if (Test-Path -LiteralPath $Place) { 'there' }
}

function Write-RegistryKey($Place, $State) {
    if ($null -ne $State) { New-Item -Path $Place | Out-Null }
    elseif (Test-EmptyKey $Place) { Remove-Item -LiteralPath $Place }
    else { throw "the key $Place holds something that was not there before, and was left alone" }
}

function Test-EmptyKey($Place) {
    (Test-Path -LiteralPath $Place) -and -not @(Get-ChildItem -LiteralPath $Place) -and $null -eq (Get-ItemProperty -LiteralPath $Place)
}

# ---- The service and its configuration -----------------------------------------------------------------------------------------------

function Read-Service($Place) {
    $start = Read-Registry "HKLM:\SYSTEM\CurrentControlSet\Services\$Place\Start"
    $type = switch ($start) { '2' { 'Automatic' } '3' { 'Manual' } '4' { 'Disabled' } default { "Start $start" } }
    "$type, $((Get-Service -Name $Place).Status)"
}

function Write-Service($Place, $State) {
    $type, $status = $State -split ', '
    if ((Read-Service $Place) -notlike "$type, *") { Set-Service -Name $Place -StartupType $type }
    if ($status -eq 'Running') { Start-Service -Name $Place } else { Stop-Service -Name $Place -Force }
}

# The place is a path below WSMan:\localhost.
function Read-WSMan($Place) {
    if (Test-Stopped) { throw 'the service WinRM is not running, so its configuration can''t be read' }
    "$((Get-Item -Path "WSMan:\localhost\$Place").Value)"
}

function Write-WSMan($Place, $State) {
    if ($Place -ne 'Service\Auth\CredSSP') { Set-Item -Path "WSMan:\localhost\$Place" -Value $State -Force }
    elseif ($State -eq 'true') { Enable-WSManCredSSP -Role Server -Force | Out-Null }
    else { Disable-WSManCredSSP -Role Server }
}

# The place is HTTP or HTTPS: the listener of all addresses.
function Read-Listener($Place) {
    $listener = Find-Listener $Place
    if ($null -eq $listener) { return }
    $values = foreach ($name in 'Port', 'Hostname', 'CertificateThumbprint', 'Enabled', 'URLPrefix') { Get-ListenerValue $listener $name }
    Format-Listener @values
}

function Get-ListenerValue($Listener, $Name) {
    foreach ($element in $Listener.ChildNodes) { if ($element.LocalName -eq $Name) { return $element.InnerText } }
    ''
}

function Format-Listener($Port, $Name, $Thumbprint, $Enabled, $Prefix) {
    "Port=$Port; Hostname=$Name; CertificateThumbprint=$Thumbprint; Enabled=$Enabled; URLPrefix=$Prefix"
}

function Find-Listener($Transport) {
    foreach ($listener in Get-WSManInstance -ResourceURI winrm/config/Listener -Enumerate) {
        if ((Get-ListenerValue $listener 'Transport') -eq $Transport -and (Get-ListenerValue $listener 'Address') -eq '*') { return $listener }
    }
}

function Write-Listener($Place, $State) {
    $selectors = @{ Address = '*'; Transport = $Place }
    if ($null -eq $State) { Remove-WSManInstance -ResourceURI winrm/config/Listener -SelectorSet $selectors; return }
    $values = @{}
    foreach ($pair in $State -split '; ') { $name, $value = $pair -split '=', 2; if ($Place -eq 'HTTPS' -or $value) { $values[$name] = $value } }
    if ($null -eq (Find-Listener $Place)) { New-WSManInstance -ResourceURI winrm/config/Listener -SelectorSet $selectors -ValueSet $values | Out-Null }
    else { Set-WSManInstance -ResourceURI winrm/config/Listener -SelectorSet $selectors -ValueSet $values | Out-Null }
}

# ---- The firewall --------------------------------------------------------------------------------------------------------------------

# The place is a rule's name.
function Read-Firewall($Place) {
    $rule = Get-NetFirewallRule -Name $Place -ErrorAction SilentlyContinue
    if ($null -eq $rule) { return }
    $port = $rule | Get-NetFirewallPortFilter
    $address = $rule | Get-NetFirewallAddressFilter
    $addresses = @($address.RemoteAddress | ForEach-Object { Format-Address $_ }) -join ','
    $state = "$($port.Protocol) $($port.LocalPort); $($rule.Profile); from $addresses"
    if ("$($rule.Enabled)" -ne 'True' -or "$($rule.Action)" -ne 'Allow') { $state = "closed: $state" }
    $state
}

# Windows shows a network of IPv4 with a mask, 10.0.0.0/255.0.0.0, however it was written.
function Format-Address($Address) {
    if ($Address -notmatch '^([\d.]+)/([\d.]+\.[\d.]+)$') { return "$Address" }
    $network = $Matches[1]
    $bits = 0
    foreach ($part in $Matches[2].Split('.')) { $bits += ([Convert]::ToString([int] $part, 2) -replace '0', '').Length }
    "$network/$bits"
}

function Write-Firewall($Place, $State) {
    if ($null -ne (Get-NetFirewallRule -Name $Place -ErrorAction SilentlyContinue)) { Remove-NetFirewallRule -Name $Place }
    if ($null -eq $State) { return }
    $port, $profiles, $addresses = $State -split '; '
    New-NetFirewallRule -Name $Place -DisplayName "WinRM, $port (winrm setup)" -Direction Inbound -Action Allow -Protocol TCP `
        -LocalPort ($port -replace '^TCP ', '') -Profile ($profiles -split ', ') -RemoteAddress (($addresses -replace '^from ', '') -split ',') | Out-Null
}

# Hosts without these cmdlets (2008 R2, 7). What netsh prints depends on the host's language, so that the rule's name tells all:
# the place is that name, "winrm setup: TCP 5986; Domain, Private; from Any".
function Read-Netsh($Place) {
    netsh.exe advfirewall firewall show rule name="$Place" | Out-Null
    if ($LASTEXITCODE -eq 0) { 'open' }
}

function Write-Netsh($Place, $State) {
    if ($null -eq $State) { $said = netsh.exe advfirewall firewall delete rule name="$Place" }
    else {
        $port, $profiles, $addresses = ($Place -replace '^.*?: ', '') -split '; '
        $said = netsh.exe advfirewall firewall add rule name="$Place" dir=in action=allow protocol=TCP localport="$($port -replace '^TCP ', '')" `
            profile="$($profiles.ToLowerInvariant().Replace(' ', ''))" remoteip="$($addresses.ToLowerInvariant() -replace '^from ', '')"
    }
    if ($LASTEXITCODE -ne 0) { throw "netsh has failed: $(@($said) -join ' ')" }
}

# ---- Certificates --------------------------------------------------------------------------------------------------------------------

# The place is Cert:\LocalMachine\My\THUMBPRINT. They are made by New-ServerCertificate, and only removed here.
function Read-Certificate($Place) {
    if (Test-Path -LiteralPath $Place) { 'there' }
}

function Write-Certificate($Place, $State) {
    if ($null -eq $State) { Remove-Item -LiteralPath $Place -DeleteKey }
}

# What keeps a certificate from standing for this host.
function Get-CertificateProblem($Certificate) {
    $now = Get-Date
    if (-not $Certificate.HasPrivateKey) { return 'has no private key on this host' }
    if ($Certificate.NotAfter -lt $now) { return "has expired on $($Certificate.NotAfter.ToString('u'))" }
    if ($Certificate.NotBefore -gt $now) { return "is not valid before $($Certificate.NotBefore.ToString('u'))" }
    foreach ($extension in $Certificate.Extensions) {
        if ($extension -is [System.Security.Cryptography.X509Certificates.X509EnhancedKeyUsageExtension]) {
            # Server authentication, or any usage.
            $usages = @($extension.EnhancedKeyUsages | ForEach-Object { $_.Value })
            if ($usages -notcontains '1.3.6.1.5.5.7.3.1' -and $usages -notcontains '2.5.29.37.0') { return 'is not for server authentication' }
        }
    }
}
