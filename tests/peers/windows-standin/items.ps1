# The commands for items, which are the providers' here and PowerShell's own elsewhere:
# https://learn.microsoft.com/powershell/module/microsoft.powershell.management/ and, below it, Get-Item, Set-Item, New-Item,
# Remove-Item, Test-Path, Get-ChildItem.
$exported += 'Get-Item', 'Set-Item', 'New-Item', 'Remove-Item', 'Test-Path', 'Get-ChildItem'

# Which provider a path belongs to.
function Select-Provider($Path) {
    switch -Regex ($Path) {
        '^WSMan:' { return 'WSMan' }
        '^HKLM:' { return 'Registry' }
        '^Cert:' { return 'Certificate' }
    }
    ''
}

function Get-Item {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, $LiteralPath, [switch] $Force)
    $where = if ($LiteralPath) { $LiteralPath } else { $Path }
    switch (Select-Provider $where) {
        'WSMan' { Get-WSManItem $PSCmdlet $where }
        'Registry' { Get-RegistryKey $PSCmdlet $where }
        'Certificate' { Get-CertificateItem $PSCmdlet $where }
        default { Microsoft.PowerShell.Management\Get-Item @PSBoundParameters }
    }
}

function Set-Item {
    [CmdletBinding()]
    param([Parameter(Position = 0, Mandatory = $true)] [string] $Path, [Parameter(Position = 1)] $Value, [switch] $Force)
    if ((Select-Provider $Path) -ne 'WSMan') { throw "the stand-in's Set-Item knows no $Path" }
    Set-WSManItem $PSCmdlet $Path $Value
}

function New-Item {
    [CmdletBinding()]
    param(
        [Parameter(Position = 0)] [string] $Path, $ItemType, $Value, [switch] $Force,
        # Of WSMan:\localhost\ClientCertificate.
        $Subject, $URI, $Issuer, $Credential
    )
    switch (Select-Provider $Path) {
        'WSMan' { New-CertificateMapping $PSCmdlet $Path $Subject $URI $Issuer $Credential }
        'Registry' { New-RegistryKey $PSCmdlet $Path $Force }
        'Certificate' { throw "the stand-in's New-Item knows no $Path" }
        default { Microsoft.PowerShell.Management\New-Item @PSBoundParameters }
    }
}

function Remove-Item {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, $LiteralPath, [switch] $Force, [switch] $Recurse, [switch] $DeleteKey)
    $where = if ($LiteralPath) { $LiteralPath } else { $Path }
    switch (Select-Provider $where) {
        'WSMan' { Remove-CertificateMapping $PSCmdlet $where }
        'Registry' { Remove-RegistryKey $PSCmdlet $where $Recurse }
        'Certificate' { Remove-CertificateItem $PSCmdlet $where }
        default { Microsoft.PowerShell.Management\Remove-Item @PSBoundParameters }
    }
}

function Test-Path {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, $LiteralPath, $PathType)
    $where = if ($LiteralPath) { $LiteralPath } else { $Path }
    switch (Select-Provider $where) {
        'WSMan' { $null -ne (Get-WSManItem $PSCmdlet $where) }
        'Registry' { $null -ne (Find-Key (Read-State)['registry'] $where) }
        'Certificate' { $null -ne (Find-Certificate (Read-State) $where) }
        default { Microsoft.PowerShell.Management\Test-Path @PSBoundParameters }
    }
}

function Get-ChildItem {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, $LiteralPath, $Filter, [switch] $Recurse, [switch] $Force)
    $where = if ($LiteralPath) { $LiteralPath } else { $Path }
    switch (Select-Provider $where) {
        'WSMan' { Get-WSManChildren $PSCmdlet $where }
        'Registry' { Get-RegistryChildren $where }
        'Certificate' { Get-CertificateChildren $where }
        default { Microsoft.PowerShell.Management\Get-ChildItem @PSBoundParameters }
    }
}
