# PowerShell's endpoints and their security descriptors, a line for each: name, tabulator, SDDL. With -Sddl it sets that of one.
param([string] $Name, [string] $Sddl)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
[char] $tab = 9

if ($Sddl -ne '') {
    # A restart of the service would cut this very connection, and those of everybody else.
    [void] (Set-PSSessionConfiguration -Name $Name -SecurityDescriptorSddl $Sddl -Force -NoServiceRestart -WarningAction SilentlyContinue)
}
foreach ($endpoint in @(Get-PSSessionConfiguration)) {
    $property = $endpoint.PSObject.Properties['SecurityDescriptorSddl']
    if ($null -ne $property) { "$($endpoint.Name)$tab$($property.Value)" }
}
