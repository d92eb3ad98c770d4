# Runs a script, 'SCRIPT', by CALL. The words in capitals are filled in before it is sent; comments and the longer names go then.
# It speaks the PowerShell of Server 2012, and nothing of it may be in the way of the script: no functions, one variable.
# Its length counts against that of a command line.
PREFERENCES
$WinRM = @{}
$WinRM.Text = 'SCRIPT'
$WinRM.Ok = $WinRM.Last = $WinRM.At = $null
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    Write-Warning "PowerShell is in $($ExecutionContext.SessionState.LanguageMode) mode on this host: the script runs without parameters and standard input"
    Invoke-Expression $WinRM.Text
    if ($?) { exit 0 }
    exit 1
}
try {
    [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
    $OutputEncoding = [Console]::OutputEncoding
} catch { $Error.Clear() }
$WinRMErrors = $null
$WinRM.Tree = [System.Management.Automation.Language.Parser]::ParseInput($WinRM.Text, [ref] $null, [ref] $WinRMErrors)
if ($WinRMErrors) {
    $Host.UI.WriteErrorLine((New-Object System.Management.Automation.ParseException (, $WinRMErrors)).Message)
    exit 1
}
# Whether the last statement has succeeded is known only right behind it, in the same block.
if (-not ($WinRM.Tree.DynamicParamBlock -or $WinRM.Tree.BeginBlock -or $WinRM.Tree.ProcessBlock) -and $WinRM.Tree.EndBlock.Unnamed -and $WinRM.Tree.EndBlock.Statements.Count) {
    $WinRM.Last = @($WinRM.Tree.EndBlock.Statements)[-1].Extent
    $WinRM.Text += "`n`$WinRM.Ok = `$?"
}
$WinRM.Block = [ScriptBlock]::Create($WinRM.Text)
$global:LASTEXITCODE = 0
CALL
$WinRM.Done = $?
if ($null -eq $WinRM.Ok) { $WinRM.Ok = $WinRM.Done }
if ($WinRM.Ok) { exit 0 }
# A native program's code is the script's, unless a command has failed in the last statement.
if ($Error.Count -and "$($Error[0].FullyQualifiedErrorId)" -notlike 'NativeCommandError*') { $WinRM.At = $Error[0].InvocationInfo }
if (-not $LASTEXITCODE -or ($WinRM.Last -and $WinRM.At -and ($WinRM.At.ScriptLineNumber -gt $WinRM.Last.StartLineNumber -or ($WinRM.At.ScriptLineNumber -eq $WinRM.Last.StartLineNumber -and $WinRM.At.OffsetInLine -ge $WinRM.Last.StartColumnNumber)))) { exit 1 }
exit $LASTEXITCODE
