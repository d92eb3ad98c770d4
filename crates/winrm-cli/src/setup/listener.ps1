# ---- Listeners and their certificates ------------------------------------------------------------------------------------------------

function Set-HttpListener($Port) {
    $now = $null
    try { $now = Find-Listener 'HTTP' } catch { $Error.Clear() }
    $prefix = 'wsman'
    if ($null -ne $now) { $prefix = Get-ListenerValue $now 'URLPrefix' }
    Set-Wanted 'Listener for http' 'Listener' 'HTTP' (Format-Listener $Port '' '' 'true' $prefix) $null
}

# Thumbprint: this certificate. Subject: the one of this name. SelfSigned: one made here. Else what fits, and a self-signed one at last.
function Set-HttpsListener($Port, $Names, $Thumbprint, $Subject, $SelfSigned, $Days) {
    $all = $Names
    if (-not $Names) {
        $Names = @(Get-HostName)
        # People use the short name as well.
        $all = @($Names[0], $Names[0].Split('.')[0] | Select-Object -Unique)
    }
    $now = $certificate = $problem = $null
    try {
        $now = Find-Listener 'HTTPS'
        $certificate = Find-ServerCertificate $now $Names $Thumbprint $Subject $SelfSigned
    } catch { $problem = $_ }
    if ($null -ne $problem) {
        $record = New-Record 'Listener for https' "Port=$Port" $null
        if ($Check -and (Test-Stopped)) {
            $record.Outcome = 'unknown'
            Add-Reason $record 'the service WinRM is not running, so its listeners can''t be read yet'
        } else {
            $record.Outcome = 'failed'
            Add-Reason $record (Get-Cause $problem 'Listener' 'HTTPS')
        }
        return Complete-Record $record
    }
    $fingerprint = $null
    if ($null -eq $certificate) {
        $record = New-Record 'Certificate for https' "self-signed, for $($all -join ', ')" $null
        $new = '(the new one)'
        if ($Check) { $record.Outcome = 'would change' }
        else {
            try {
                # First, since this may not be allowed.
                if (-not (Test-Path -LiteralPath $NoteKey)) { New-Item -Path $NoteKey -Force | Out-Null }
                $certificate = New-ServerCertificate $all $Days
                Save-Note $record.Item 'Certificate' "Cert:\LocalMachine\My\$($certificate.Thumbprint)" $null 'there'
                $record.Outcome = 'changed'
            } catch {
                $record.Outcome = 'failed'
                Add-Reason $record (Get-Cause $_ 'Certificate' $null)
                # One that isn't noted would stay for ever.
                if ($null -ne $certificate) {
                    try { Write-Certificate "Cert:\LocalMachine\My\$($certificate.Thumbprint)" $null }
                    catch { Add-Reason $record "the certificate $($certificate.Thumbprint) was made, and has to be removed by hand" }
                }
                Remove-NoteOfNothing 'Certificate' 'none'
                return Complete-Record $record
            }
        }
        Complete-Record $record
    }
    if ($null -ne $certificate) {
        $new = $certificate.Thumbprint
        $fingerprint = Get-Fingerprint $certificate
    }
    $name = $Names[0]
    if ($null -ne $certificate) { $name = Get-CertificateName $certificate $Names }
    $prefix = 'wsman'
    if ($null -ne $now) {
        $prefix = Get-ListenerValue $now 'URLPrefix'
        # A name that is there already, and is the certificate's, does as well.
        if ((Get-ListenerValue $now 'CertificateThumbprint') -eq $new) { $name = Get-ListenerValue $now 'Hostname' }
    }
    Set-Wanted 'Listener for https' 'Listener' 'HTTPS' (Format-Listener $Port $name $new 'true' $prefix) $null |
        Add-Member -MemberType NoteProperty -Name Fingerprint -Value $fingerprint -PassThru
}

# The full name, as far as the host knows it.
function Get-HostName {
    $own = [System.Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties()
    if ($own.DomainName) { "$($own.HostName).$($own.DomainName)" } else { $own.HostName }
}

# The certificate to use; $null if one has to be made.
function Find-ServerCertificate($Listener, $Names, $Thumbprint, $Subject, $SelfSigned) {
    $stored = @(Get-ChildItem -Path Cert:\LocalMachine\My)
    if ($Thumbprint) {
        $named = @($stored | Where-Object { $_.Thumbprint -eq $Thumbprint })
        if (-not $named) { throw "there is no certificate $Thumbprint in LocalMachine\My" }
        $problem = Get-CertificateProblem $named[0]
        if ($problem) { throw "the certificate $Thumbprint $problem" }
        return $named[0]
    }
    $wanted = $Names
    if ($Subject) { $wanted = @($Subject) }
    $good = @($stored | Where-Object { (Test-CertificateName $_ $wanted) -and -not (Get-CertificateProblem $_) })
    if ($SelfSigned) { $good = @($good | Where-Object { $_.Subject -eq $_.Issuer }) }
    # The one in use stays as long as it is good.
    $used = @($good | Where-Object { $null -ne $Listener -and $_.Thumbprint -eq (Get-ListenerValue $Listener 'CertificateThumbprint') })
    if ($used) { return $used[0] }
    if ($good) { return ($good | Sort-Object NotAfter -Descending)[0] }
    if ($Subject) { throw "no certificate in LocalMachine\My is valid, has its private key, is for servers, and has the name $Subject" }
}

function Test-CertificateName($Certificate, $Names) {
    $all = @($Certificate.GetNameInfo('DnsName', $false))
    # All of them, where the certificates' provider tells.
    if ($null -ne $Certificate.PSObject.Properties['DnsNameList']) { $all = @($Certificate.DnsNameList | ForEach-Object { $_.Unicode }) }
    foreach ($name in $Names) {
        # A wildcard stands for one label.
        if ($all -contains $name -or $all -contains ($name -replace '^[^.]*', '*')) { return $true }
    }
    $false
}

# The listener's name has to be one of the certificate.
function Get-CertificateName($Certificate, $Names) {
    foreach ($name in $Names) { if (Test-CertificateName $Certificate @($name)) { return $name } }
    $Certificate.GetNameInfo('DnsName', $false)
}

# SHA-256, as clients pin it.
function Get-Fingerprint($Certificate) {
    $hash = [System.Security.Cryptography.SHA256]::Create().ComputeHash($Certificate.RawData)
    [BitConverter]::ToString($hash).Replace('-', '')
}

function New-ServerCertificate($Names, $Days) {
    $until = (Get-Date).AddDays($Days)
    $before = @(Get-ChildItem -Path Cert:\LocalMachine\My | ForEach-Object { $_.Thumbprint })
    $command = Get-Command New-SelfSignedCertificate -ErrorAction SilentlyContinue
    if ($null -ne $command) {
        $values = @{ DnsName = $Names; CertStoreLocation = 'Cert:\LocalMachine\My' }
        # Server 2012 (R2) knows no more than these, and gives a year.
        if ($command.Parameters.ContainsKey('NotAfter')) { $values['NotAfter'] = $until; $values['FriendlyName'] = 'WinRM over https (winrm setup)' }
        New-SelfSignedCertificate @values | Out-Null
    } else {
        Add-EnrolledCertificate $Names $until
    }
    $new = @(Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $before -notcontains $_.Thumbprint })
    if (-not $new) { throw 'the new certificate is not in LocalMachine\My' }
    $new[0]
}

# CertEnroll, for hosts without New-SelfSignedCertificate (2008 R2, 7).
function Add-EnrolledCertificate($Names, $Until) {
    $subject = New-Com CX500DistinguishedName
    Invoke-Com $subject Encode "CN=$($Names[0])", 0
    $key = New-Com CX509PrivateKey
    $key.ProviderName = 'Microsoft RSA SChannel Cryptographic Provider'
    $key.KeySpec = 1
    $key.Length = 2048
    $key.MachineContext = $true
    # System and administrators; the service runs as Network Service, which has to read it for CredSSP.
    $key.SecurityDescriptor = 'D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;NS)'
    Invoke-Com $key Create
    $usage = New-Com CObjectId
    Invoke-Com $usage InitializeFromValue '1.3.6.1.5.5.7.3.1'
    $usages = New-Com CObjectIds
    Invoke-Com $usages Add $usage
    $forServers = New-Com CX509ExtensionEnhancedKeyUsage
    Invoke-Com $forServers InitializeEncode $usages
    $alternatives = New-Com CAlternativeNames
    foreach ($name in $Names) {
        $alternative = New-Com CAlternativeName
        # 3: a DNS name.
        Invoke-Com $alternative InitializeFromString 3, $name
        Invoke-Com $alternatives Add $alternative
    }
    $named = New-Com CX509ExtensionAlternativeNames
    Invoke-Com $named InitializeEncode $alternatives
    $hash = New-Com CObjectId
    Invoke-Com $hash InitializeFromAlgorithmName 1, 0, 0, 'SHA256'
    $request = New-Com CX509CertificateRequestCertificate
    # 2: the computer's.
    Invoke-Com $request InitializeFromPrivateKey 2, $key, ''
    $request.Subject = $subject
    $request.Issuer = $subject
    $request.NotBefore = (Get-Date).AddHours(-1)
    $request.NotAfter = $Until
    $request.HashAlgorithm = $hash
    Invoke-Com $request.X509Extensions Add $forServers
    Invoke-Com $request.X509Extensions Add $named
    Invoke-Com $request Encode
    $enrollment = New-Com CX509Enrollment
    Invoke-Com $enrollment InitializeFromRequest $request
    # Its own answer: nobody else issues it, so it is not trusted either (2).
    Invoke-Com $enrollment InstallResponse 2, $enrollment.CreateRequest.Invoke(0), 0, ''
}

function New-Com($Name) {
    New-Object -ComObject "X509Enrollment.$Name"
}

# A method that gives nothing, by its name.
function Invoke-Com($Object, $Method, [object[]] $Values = @()) {
    [void] $Object.$Method.Invoke($Values)
}
