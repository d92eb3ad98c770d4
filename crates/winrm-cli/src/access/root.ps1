# RootSDDL by the provider WSMan, for hosts that don't let WS-Transfer change their configuration. It answers with what is in force.
param([string] $Sddl)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
Set-Item -Path 'WSMan:\localhost\Service\RootSDDL' -Value $Sddl -Force
(Get-Item -LiteralPath 'WSMan:\localhost\Service\RootSDDL').Value
