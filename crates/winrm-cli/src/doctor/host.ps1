$ErrorActionPreference = 'Stop';
'language=' + $ExecutionContext.SessionState.LanguageMode;
'version=' + $PSVersionTable['PSVersion'];
'edition=' + $PSVersionTable['PSEdition'];
try { 'execution=' + (Get-ExecutionPolicy); } catch { };
try {
foreach ($key in 'WinRM\Service', 'WinRM\Client', 'WinRM\Service\WinRS', 'PowerShell') { $path = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\' + $key; if (Test-Path -LiteralPath $path) { foreach ($name in (Get-Item -LiteralPath $path).Property) { 'gpo=' + $key + '\' + $name + '=' + (Get-ItemProperty -LiteralPath $path).$name; }; }; };
$path = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System';
if (Test-Path -LiteralPath $path) { foreach ($name in (Get-Item -LiteralPath $path).Property) { if ($name -eq 'LocalAccountTokenFilterPolicy') { 'filter=' + (Get-ItemProperty -LiteralPath $path).$name; }; }; };
'policies=read';
} catch { };
