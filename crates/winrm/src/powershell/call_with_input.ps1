# The script, with the lines of standard input as $input and as what its process block takes, where it has use for them.
$WinRM.Lines = $null
if ($WinRM.Tree.ProcessBlock -or $WinRM.Tree.FindAll({ $args[0] -is [System.Management.Automation.Language.VariableExpressionAst] -and $args[0].VariablePath.UserPath -eq 'input' }, $true)) {
    $WinRM.Lines = New-Object System.IO.StreamReader ([Console]::OpenStandardInput()), (New-Object System.Text.UTF8Encoding $false)
}
. {
    if ($WinRM.Lines) {
        & { while ($null -ne ($WinRM.Line = $WinRM.Lines.ReadLine())) { $WinRM.Line } } | . $WinRM.Block ARGUMENTS
    } else {
        . $WinRM.Block ARGUMENTS
    }
}
