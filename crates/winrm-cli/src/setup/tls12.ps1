# ---- TLS 1.2 on Server 2008 R2 and Windows 7 -----------------------------------------------------------------------------------------

# Newer versions have it on. CredSSP needs the update KB3080079 as well (a page of Ansible's calls it KRB3080079).
function Set-Tls12 {
    $version = [version] (Get-CimInstance -ClassName Win32_OperatingSystem).Version
    if ($version.Major -ne 6 -or $version.Minor -ne 1) {
        $record = New-Record 'TLS 1.2' 'on' "Windows $version has TLS 1.2 on by itself: these keys are for Server 2008 R2 and Windows 7"
        $record.Outcome = 'unchanged'
        $record.Before = 'on'
        return Complete-Record $record
    }
    $remark = 'it takes effect when the host has been restarted'
    if ($null -eq (Get-HotFix -Id KB3080079 -ErrorAction SilentlyContinue)) {
        $remark = "the update KB3080079 is not installed, without which CredSSP can't use TLS 1.2; $remark"
    }
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL\Protocols\TLS 1.2'
    foreach ($place in $key, "$key\Server", "$key\Client") { Set-Wanted "Registry key $($place -replace '^.*Protocols\\', '')" 'RegistryKey' $place 'there' $null }
    foreach ($side in 'Server', 'Client') {
        Set-Wanted "TLS 1.2, $side, Enabled" 'Registry' "$key\$side\Enabled" '1' $remark
        Set-Wanted "TLS 1.2, $side, DisabledByDefault" 'Registry' "$key\$side\DisabledByDefault" '0' $remark
    }
}
