# A stand-in for the cmdlets and providers of Windows that our scripts for hosts call, for tests on machines that are no Windows.
#
# Each function is written from the page of Microsoft's documentation that it names, and knows only what that page says and our scripts
# use; what it doesn't know it refuses, so that a script that relies on more fails. No Windows stood beside it.
#
# The host is a JSON file, named by the variable WINDOWS_STANDIN_STATE, which every call reads and every change writes:
#   services, registry, wsman, listeners, mappings, firewall, networks, certificates, users, hotfixes, os   what the host has
#   denied        names of areas (registry, wsman, certificates, services, firewall) where access is denied to changes
#   missing       functions that this host's PowerShell doesn't have
#   changes_left  how many changes succeed before every one fails, for failures in the middle; -1: all
#   log           the changes that were made, in their order
# Group policy is what stands in the registry below HKLM:\SOFTWARE\Policies, as on Windows.
#
# Another area is a file *.ps1 beside this one, which adds the names of its functions to $exported.
Set-StrictMode -Version Latest

# Most calls only read: a table is kept for as long as the file is the same and nobody has begun to change the table.
$kept = $null
$keptText = $null

function Read-State {
    $text = [System.IO.File]::ReadAllText($env:WINDOWS_STANDIN_STATE)
    if ($null -eq $script:kept -or $script:keptText -cne $text) {
        $script:kept = ConvertTo-Table ($text | ConvertFrom-Json)
        $script:keptText = $text
    }
    $script:kept
}

# Objects from JSON as hashtables, all the way down.
function ConvertTo-Table($Value) {
    if ($Value -is [System.Management.Automation.PSCustomObject]) {
        $table = [ordered] @{}
        foreach ($property in $Value.PSObject.Properties) { $table[$property.Name] = ConvertTo-Table $property.Value }
        return $table
    }
    if ($Value -is [array]) { return , @(foreach ($one in $Value) { ConvertTo-Table $one }) }
    $Value
}

function Write-State($State) {
    $script:kept = $null
    $text = ConvertTo-Json $State -Depth 12
    # A reader never sees half a file.
    $new = "$env:WINDOWS_STANDIN_STATE.new"
    [System.IO.File]::WriteAllText($new, $text)
    [System.IO.File]::Move($new, $env:WINDOWS_STANDIN_STATE, $true)
}

# Lets a change happen, or fails as Windows does where it doesn't.
function Start-Change($State, $Cmdlet, $Area, $What) {
    $script:kept = $null
    if ($State['denied'] -contains $Area) { Deny $Cmdlet $Area }
    if ($State['changes_left'] -eq 0) {
        Fail $Cmdlet (New-Object System.InvalidOperationException "The stand-in fails here: $What") 'StandInFailure' 'InvalidOperation'
    }
    if ($State['changes_left'] -gt 0) { $State['changes_left'] -= 1 }
    $State['log'] = @($State['log']) + $What
}

function Deny($Cmdlet, $Area) {
    $exception = switch ($Area) {
        'registry' { New-Object System.Security.SecurityException 'Requested registry access is not allowed.' }
        'certificates' { New-Object System.Security.Cryptography.CryptographicException 'Access is denied.' }
        'firewall' { New-Object System.UnauthorizedAccessException 'Access is denied.' }
        default { New-Object System.InvalidOperationException 'Access is denied.' }
    }
    Fail $Cmdlet $exception 'AccessDenied' 'PermissionDenied'
}

# What a cmdlet does about an error that isn't its end: the preference is the caller's, which a function of a module doesn't inherit.
function Fail($Cmdlet, $Exception, $Id, $Category) {
    $script:kept = $null
    $preference = $Cmdlet.SessionState.PSVariable.GetValue('ErrorActionPreference')
    $bound = $Cmdlet.MyInvocation.BoundParameters
    if ($bound.ContainsKey('ErrorAction')) { $preference = $bound['ErrorAction'] }
    if ("$preference" -in 'SilentlyContinue', 'Ignore') { return }
    $Cmdlet.ThrowTerminatingError((New-Object System.Management.Automation.ErrorRecord $Exception, $Id, $Category, $null))
}

# Names of Windows are the same in any case; the keys of a hashtable from JSON aren't.
function Find-Key($Table, $Name) {
    foreach ($key in @($Table.Keys)) { if ($key -eq $Name) { return $key } }
    $null
}

$exported = @()
foreach ($file in Get-ChildItem -LiteralPath $PSScriptRoot -Filter *.ps1 | Sort-Object Name) { . $file.FullName }
$missing = @((Read-State)['missing'])
Export-ModuleMember -Function ($exported | Where-Object { $_ -notin $missing })
