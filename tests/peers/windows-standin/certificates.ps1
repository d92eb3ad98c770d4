# The certificates' provider, https://learn.microsoft.com/powershell/module/microsoft.powershell.security/about/about_certificate_provider,
# New-SelfSignedCertificate of https://learn.microsoft.com/powershell/module/pki/new-selfsignedcertificate, and what of CertEnroll older
# hosts make such certificates with: https://learn.microsoft.com/windows/win32/seccertenroll/certenroll-api-portal
#
# A certificate of the state is a PFX file in base64 (`pfx`), and whether its key counts as there (`key`).
$exported += 'New-SelfSignedCertificate', 'New-Object'

$serverAuthentication = '1.3.6.1.5.5.7.3.1'

function Find-Certificate($State, $Path) {
    Find-Key $State['certificates'] ($Path -replace '^Cert:\\', '')
}

function Read-Certificate($Entry) {
    $bytes = [Convert]::FromBase64String($Entry['pfx'])
    $flags = [System.Security.Cryptography.X509Certificates.X509KeyStorageFlags]::Exportable
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 $bytes, '', $flags
    if (-not $Entry['key']) { $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, $certificate.RawData) }
    # What the provider adds: the names of the extension, and else the subject's.
    $names = @(foreach ($extension in $certificate.Extensions) {
            if ($extension -is [System.Security.Cryptography.X509Certificates.X509SubjectAlternativeNameExtension]) { $extension.EnumerateDnsNames() }
        })
    if (-not $names) { $names = @($certificate.GetNameInfo('SimpleName', $false)) }
    $list = @(foreach ($name in $names) { [pscustomobject] @{ Unicode = $name; Punycode = $name } })
    $certificate.PSObject.Properties.Add([psnoteproperty]::new('DnsNameList', $list), $true)
    $certificate
}

function Get-CertificateItem($Cmdlet, $Path) {
    $state = Read-State
    $key = Find-Certificate $state $Path
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    Read-Certificate $state['certificates'][$key]
}

function Get-CertificateChildren($Path) {
    $state = Read-State
    $store = $Path -replace '^Cert:\\', ''
    foreach ($key in $state['certificates'].Keys) { if ($key -like "$store\*") { Read-Certificate $state['certificates'][$key] } }
}

function Remove-CertificateItem($Cmdlet, $Path) {
    $state = Read-State
    $key = Find-Certificate $state $Path
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    Start-Change $state $Cmdlet 'certificates' "Remove-Item $key"
    $state['certificates'].Remove($key)
    Write-State $state
}

function Save-Certificate($Cmdlet, $Names, $Until, $What) {
    $state = Read-State
    Start-Change $state $Cmdlet 'certificates' $What
    $key = [System.Security.Cryptography.RSA]::Create(2048)
    $hash = [System.Security.Cryptography.HashAlgorithmName]::SHA256
    $request = New-Object System.Security.Cryptography.X509Certificates.CertificateRequest "CN=$($Names[0])", $key, $hash, ([System.Security.Cryptography.RSASignaturePadding]::Pkcs1)
    $usages = [System.Security.Cryptography.OidCollection]::new()
    [void] $usages.Add((New-Object System.Security.Cryptography.Oid $serverAuthentication))
    $request.CertificateExtensions.Add((New-Object System.Security.Cryptography.X509Certificates.X509EnhancedKeyUsageExtension $usages, $false))
    $alternatives = New-Object System.Security.Cryptography.X509Certificates.SubjectAlternativeNameBuilder
    foreach ($name in $Names) { $alternatives.AddDnsName($name) }
    $request.CertificateExtensions.Add($alternatives.Build($false))
    $certificate = $request.CreateSelfSigned([DateTimeOffset]::Now.AddMinutes(-5), [DateTimeOffset] $Until)
    $pfx = [Convert]::ToBase64String($certificate.Export([System.Security.Cryptography.X509Certificates.X509ContentType]::Pfx))
    $state['certificates']["LocalMachine\My\$($certificate.Thumbprint)"] = [ordered] @{ pfx = $pfx; key = $true }
    Write-State $state
    $certificate
}

function New-SelfSignedCertificate {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)] [string[]] $DnsName, [string] $CertStoreLocation, [datetime] $NotAfter = [datetime]::Now.AddYears(1), [string] $FriendlyName)
    if ($CertStoreLocation -ne 'Cert:\LocalMachine\My') { throw "the stand-in's New-SelfSignedCertificate knows no $CertStoreLocation" }
    Save-Certificate $PSCmdlet $DnsName $NotAfter 'New-SelfSignedCertificate'
}

# COM objects of CertEnroll; everything else is PowerShell's own.
function New-Object {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string] $TypeName, [Parameter(Position = 1)] [object[]] $ArgumentList, [string] $ComObject, $Property, [switch] $Strict)
    if (-not $ComObject) {
        $made = Microsoft.PowerShell.Utility\New-Object @PSBoundParameters
        # A collection stays one.
        return , $made
    }
    $object = [pscustomobject] @{}
    $method = { param($Name, $Body) $object.PSObject.Members.Add([psscriptmethod]::new($Name, $Body)) }
    $value = { param($Name, $Value) $object.PSObject.Members.Add([psnoteproperty]::new($Name, $Value)) }
    switch ($ComObject) {
        'X509Enrollment.CX500DistinguishedName' { & $value Name; & $method Encode { $this.Name = $args[0] } }
        'X509Enrollment.CX509PrivateKey' {
            foreach ($name in 'ProviderName', 'KeySpec', 'Length', 'MachineContext', 'ExportPolicy', 'SecurityDescriptor') { & $value $name }
            & $method Create { if (-not $this.MachineContext) { throw 'the stand-in: a key of the machine is wanted' } }
        }
        'X509Enrollment.CObjectId' { & $value Value; & $method InitializeFromValue { $this.Value = $args[0] }; & $method InitializeFromAlgorithmName { $this.Value = $args[3] } }
        { $_ -in 'X509Enrollment.CObjectIds', 'X509Enrollment.CAlternativeNames' } {
            & $value Items ([System.Collections.ArrayList]::new())
            & $method Add { [void] $this.Items.Add($args[0]) }
        }
        'X509Enrollment.CAlternativeName' { & $value Name; & $method InitializeFromString { if ($args[0] -ne 3) { throw 'the stand-in: a DNS name is wanted' }; $this.Name = $args[1] } }
        'X509Enrollment.CX509ExtensionEnhancedKeyUsage' { & $value Items; & $method InitializeEncode { $this.Items = $args[0].Items } }
        'X509Enrollment.CX509ExtensionAlternativeNames' { & $value Items; & $method InitializeEncode { $this.Items = $args[0].Items } }
        'X509Enrollment.CX509CertificateRequestCertificate' {
            foreach ($name in 'Subject', 'Issuer', 'NotBefore', 'NotAfter', 'HashAlgorithm') { & $value $name }
            $extensions = [pscustomobject] @{ Items = [System.Collections.ArrayList]::new() }
            $extensions.PSObject.Members.Add([psscriptmethod]::new('Add', { [void] $this.Items.Add($args[0]) }))
            & $value X509Extensions $extensions
            & $method InitializeFromPrivateKey { if ($args[0] -ne 2) { throw 'the stand-in: ContextMachine is wanted' } }
            & $method Encode { }
        }
        'X509Enrollment.CX509Enrollment' {
            & $value Request; & $value CertificateFriendlyName
            & $method InitializeFromRequest { $this.Request = $args[0] }
            & $method CreateRequest { if ($args[0] -notin 0, 1) { throw 'the stand-in: base64 is wanted' }; 'request' }
            & $method InstallResponse {
                # AllowUntrustedCertificate, since nobody has issued it.
                if ($args[0] -ne 2 -or $args[1] -ne 'request') { throw 'the stand-in: InstallResponse wants 2 and the request' }
                $names = @($this.Request.X509Extensions.Items | ForEach-Object { $_.Items } | Where-Object { $_.PSObject.Properties['Name'] } | ForEach-Object { $_.Name })
                $usages = @($this.Request.X509Extensions.Items | ForEach-Object { $_.Items } | Where-Object { $_.PSObject.Properties['Value'] } | ForEach-Object { $_.Value })
                if ($usages -notcontains $serverAuthentication) { throw 'the stand-in: no usage for servers' }
                if ($this.Request.Subject.Name -ne "CN=$($names[0])") { throw "the stand-in: the subject is $($this.Request.Subject.Name)" }
                [void] (Save-Certificate $script:enrolling $names $this.Request.NotAfter 'CertEnroll')
            }
        }
        default { throw "the stand-in knows no COM object $ComObject" }
    }
    $script:enrolling = $PSCmdlet
    $object
}
