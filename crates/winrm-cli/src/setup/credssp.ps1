# ---- The certificate that CredSSP shows, apart from the listener's ------------------------------------------------------------------

function Set-CredSspCertificate($Thumbprint) {
    $item = 'Certificate for CredSSP'
    $problem = $null
    try {
        $found = @(Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $_.Thumbprint -eq $Thumbprint })
        if (-not $found) { $problem = "there is no certificate $Thumbprint in LocalMachine\My" }
        elseif (Get-CertificateProblem $found[0]) { $problem = "the certificate $Thumbprint $(Get-CertificateProblem $found[0])" }
    } catch { $problem = Get-Cause $_ 'Certificate' $null }
    if (-not $problem) { return Set-Wanted $item 'WSMan' 'Service\CertificateThumbprint' $Thumbprint $null }
    $record = New-Record $item $Thumbprint $problem
    $record.Outcome = 'failed'
    Complete-Record $record
}
