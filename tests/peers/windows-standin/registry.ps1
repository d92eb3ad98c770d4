# The registry's provider:
# https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_registry_provider
# and Get-ItemProperty, New-ItemProperty, Set-ItemProperty, Remove-ItemProperty of Microsoft.PowerShell.Management.
#
# A key is a table of its values, each with its type.
$exported += 'Get-ItemProperty', 'New-ItemProperty', 'Set-ItemProperty', 'Remove-ItemProperty'

function Get-RegistryKey($Cmdlet, $Path) {
    $key = Find-Key (Read-State)['registry'] $Path
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    [pscustomobject] @{ PSPath = "Microsoft.PowerShell.Core\Registry::$key"; Name = $key -replace '^HKLM:', 'HKEY_LOCAL_MACHINE' }
}

function Fail-Missing($Cmdlet, $Path) {
    $exception = New-Object System.Management.Automation.ItemNotFoundException "Cannot find path '$Path' because it does not exist."
    Fail $Cmdlet $exception 'PathNotFound' 'ObjectNotFound'
}

function Get-RegistryChildren($Path) {
    foreach ($key in (Read-State)['registry'].Keys) {
        if ($key -like "$Path\*" -and $key.Substring($Path.Length + 1) -notlike '*\*') {
            [pscustomobject] @{ PSChildName = $key.Substring($Path.Length + 1); PSPath = "Microsoft.PowerShell.Core\Registry::$key" }
        }
    }
}

# Without -Force the key above has to be there; with it, a key that is there is made anew, empty.
function New-RegistryKey($Cmdlet, $Path, $Force) {
    $state = Read-State
    $parent = $Path -replace '\\[^\\]*$', ''
    if (-not $Force) {
        if ($null -eq (Find-Key $state['registry'] $parent)) { Fail-Missing $Cmdlet $parent; return }
        if ($null -ne (Find-Key $state['registry'] $Path)) {
            Fail $Cmdlet (New-Object System.IO.IOException 'A key in this path already exists') 'ResourceExists' 'ResourceExists'
            return
        }
    }
    Start-Change $state $Cmdlet 'registry' "New-Item $Path"
    $made = 'HKLM:'
    if ($Force) {
        foreach ($step in $parent.Substring(6).Split('\')) {
            $made = "$made\$step"
            if ($null -eq (Find-Key $state['registry'] $made)) { $state['registry'][$made] = [ordered] @{} }
        }
    }
    $there = Find-Key $state['registry'] $Path
    if ($null -eq $there) { $there = $Path }
    $state['registry'][$there] = [ordered] @{}
    Write-State $state
    [pscustomobject] @{ Name = $Path }
}

function Remove-RegistryKey($Cmdlet, $Path, $Recurse) {
    $state = Read-State
    $key = Find-Key $state['registry'] $Path
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    $below = @($state['registry'].Keys | Where-Object { $_ -like "$key\*" })
    # It would ask, which nobody could answer.
    if ($below -and -not $Recurse) { throw "the stand-in: $Path has keys below it" }
    Start-Change $state $Cmdlet 'registry' "Remove-Item $Path"
    foreach ($one in @($key) + $below) { $state['registry'].Remove($one) }
    Write-State $state
}

function Get-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, $LiteralPath, [Parameter(Position = 1)] $Name)
    $where = if ($LiteralPath) { $LiteralPath } else { $Path }
    $state = Read-State
    $key = Find-Key $state['registry'] $where
    if ($null -eq $key) { Fail-Missing $PSCmdlet $where; return }
    $values = $state['registry'][$key]
    $found = [ordered] @{}
    if ($PSBoundParameters.ContainsKey('Name')) {
        $value = Find-Key $values $Name
        if ($null -eq $value) {
            $exception = New-Object System.Management.Automation.PSArgumentException "Property $Name does not exist at path $where."
            Fail $PSCmdlet $exception 'System.Management.Automation.PSArgumentException' 'InvalidArgument'
            return
        }
        $found[$value] = $values[$value]['value']
    } else {
        foreach ($value in $values.Keys) { $found[$value] = $values[$value]['value'] }
    }
    # A key without values gives nothing at all.
    if (-not $found.Count) { return }
    $found['PSPath'] = "Microsoft.PowerShell.Core\Registry::$key"
    $found['PSChildName'] = $key -replace '^.*\\', ''
    [pscustomobject] $found
}

function Set-RegistryValue($Cmdlet, $Path, $Name, $Value, $Type, $What) {
    $state = Read-State
    $key = Find-Key $state['registry'] $Path
    if ($null -eq $key) { Fail-Missing $Cmdlet $Path; return }
    Start-Change $state $Cmdlet 'registry' "$What $Path\$Name"
    $there = Find-Key $state['registry'][$key] $Name
    if ($null -eq $there) { $there = $Name }
    if ($Type -eq 'DWord') { $Value = [int] $Value }
    $state['registry'][$key][$there] = [ordered] @{ type = $Type; value = $Value }
    Write-State $state
}

function New-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, [Parameter(Position = 1, Mandatory = $true)] $Name, $Value, $PropertyType = 'String', [switch] $Force)
    $state = Read-State
    $key = Find-Key $state['registry'] $Path
    if ($null -ne $key -and -not $Force -and $null -ne (Find-Key $state['registry'][$key] $Name)) {
        Fail $PSCmdlet (New-Object System.IO.IOException 'The property already exists.') 'ResourceExists' 'ResourceExists'
        return
    }
    Set-RegistryValue $PSCmdlet $Path $Name $Value "$PropertyType" 'New-ItemProperty'
    [pscustomobject] @{ $Name = $Value }
}

function Set-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, [Parameter(Position = 1, Mandatory = $true)] $Name, [Parameter(Position = 2)] $Value, $Type = 'String')
    Set-RegistryValue $PSCmdlet $Path $Name $Value "$Type" 'Set-ItemProperty'
}

function Remove-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Path, [Parameter(Position = 1, Mandatory = $true)] $Name)
    $state = Read-State
    $key = Find-Key $state['registry'] $Path
    if ($null -eq $key) { Fail-Missing $PSCmdlet $Path; return }
    $there = Find-Key $state['registry'][$key] $Name
    if ($null -eq $there) {
        $exception = New-Object System.Management.Automation.PSArgumentException "Property $Name does not exist at path $Path."
        Fail $PSCmdlet $exception 'System.Management.Automation.PSArgumentException' 'InvalidArgument'
        return
    }
    Start-Change $state $PSCmdlet 'registry' "Remove-ItemProperty $Path\$Name"
    $state['registry'][$key].Remove($there)
    Write-State $state
}
