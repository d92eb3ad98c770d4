# ---- A port opened in the firewall ---------------------------------------------------------------------------------------------------

function Set-OpenPort($Port, $Profiles, $Addresses) {
    $item = "Firewall for port $Port"
    $wanted = "TCP $Port; $Profiles; from $Addresses"
    if ($null -eq (Get-Command New-NetFirewallRule -ErrorAction SilentlyContinue)) {
        return Set-Wanted $item 'Netsh' "winrm setup: $wanted" 'open' $null
    }
    $remark = $null
    try {
        # A rule for Domain and Private does nothing for a network that Windows takes for a public one.
        if (",$($Profiles.Replace(' ', ''))," -notlike '*,Public,*' -and $Profiles -ne 'Any' -and (Get-Command Get-NetConnectionProfile -ErrorAction SilentlyContinue)) {
            $public = @(Get-NetConnectionProfile | Where-Object { "$($_.NetworkCategory)" -eq 'Public' } | ForEach-Object { $_.Name })
            if ($public) { $remark = "the network $($public -join ', ') is Public, and this rule is not for those: --firewall-profiles domain,private,public --firewall-from ADDRESSES opens it to these" }
        }
        # Windows' own rule for 5985 does as well.
        if ($Port -eq 5985 -and $Profiles -eq 'Domain, Private' -and $Addresses -eq 'Any' -and (Read-Firewall 'WINRM-HTTP-In-TCP') -eq $wanted) {
            return Set-Wanted $item 'Firewall' 'WINRM-HTTP-In-TCP' $wanted $remark
        }
    } catch { $Error.Clear() }
    Set-Wanted $item 'Firewall' "winrm-setup-$Port" $wanted $remark
}
