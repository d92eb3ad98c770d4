# Puts certificates into the machine's stores, or takes them out: a line each, the store's name and the certificate in base64. Gives a
# record of each: what became of it.
param([Parameter(Mandatory = $true)] [string] $Certificates, [switch] $Remove)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# A host that is no Windows has a folder for its store.
function Test-File($Path) {
    [System.IO.File]::Exists($Path)
}

function Set-File($Path, $Certificate) {
    if ($Remove) { [System.IO.File]::Delete($Path) }
    else {
        $text = [Convert]::ToBase64String($Certificate.RawData, [Base64FormattingOptions]::InsertLineBreaks)
        [System.IO.File]::WriteAllText($Path, "-----BEGIN CERTIFICATE-----`n$text`n-----END CERTIFICATE-----`n")
    }
}

function Set-Stored($Name, $Certificate) {
    if ($env:WINRM_CERTIFICATE_STORE) {
        $path = [System.IO.Path]::Combine($env:WINRM_CERTIFICATE_STORE, $Name, "$($Certificate.Thumbprint).pem")
        if ((Test-File $path) -ne [bool] $Remove) { return 'unchanged' }
        Set-File $path $Certificate
        return 'changed'
    }
    $location = [System.Security.Cryptography.X509Certificates.StoreLocation]::LocalMachine
    $store = New-Object System.Security.Cryptography.X509Certificates.X509Store $Name, $location
    $store.Open([System.Security.Cryptography.X509Certificates.OpenFlags]::ReadWrite)
    try {
        $there = @($store.Certificates | Where-Object { $_.Thumbprint -eq $Certificate.Thumbprint })
        if ([bool] $there -ne [bool] $Remove) { return 'unchanged' }
        if ($Remove) { $store.Remove($there[0]) } else { $store.Add($Certificate) }
        'changed'
    } finally { $store.Close() }
}

foreach ($line in $Certificates.Split("`n")) {
    $name, $text = $line.Split(' ')
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, [Convert]::FromBase64String($text))
    $record = New-Object psobject -Property @{ Store = $name; Thumbprint = $certificate.Thumbprint; Outcome = $null; Reason = $null }
    try { $record.Outcome = Set-Stored $name $certificate }
    catch {
        $record.Outcome = 'failed'
        $record.Reason = $_.Exception.GetBaseException().Message
    }
    $record
}
