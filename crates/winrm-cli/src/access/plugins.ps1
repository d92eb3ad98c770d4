# The security descriptors of WinRM's plug-ins, a line for each: plug-in, tabulator, resource, tabulator, SDDL.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
[char] $tab = 9

foreach ($plugin in @(Get-ChildItem -LiteralPath 'WSMan:\localhost\Plugin')) {
    $resources = "WSMan:\localhost\Plugin\$($plugin.Name)\Resources"
    foreach ($resource in @(Get-ChildItem -LiteralPath $resources -ErrorAction SilentlyContinue)) {
        $path = "$resources\$($resource.Name)"
        $uri = (Get-Item -LiteralPath "$path\ResourceUri").Value
        # A resource without a descriptor is guarded by RootSDDL.
        foreach ($security in @(Get-ChildItem -LiteralPath "$path\Security" -ErrorAction SilentlyContinue)) {
            $sddl = (Get-Item -LiteralPath "$path\Security\$($security.Name)\Sddl").Value
            "$($plugin.Name)$tab$uri$tab$sddl"
        }
    }
}
