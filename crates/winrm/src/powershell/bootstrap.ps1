# Takes a script from the beginning of standard input: its length in bytes, eight hexadecimal digits, and its text in UTF-8. What follows is
# the script's own input. Not one byte more is read than that.
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    $Host.UI.WriteErrorLine("PowerShell is in $($ExecutionContext.SessionState.LanguageMode) mode on this host, and can't take a script of this length")
    exit 1
}
$WinRM = @{ In = [Console]::OpenStandardInput(); Bytes = New-Object byte[] 8 }
$WinRM.Text = ''
while ($WinRM.Bytes) {
    $WinRM.Count = 0
    while ($WinRM.Count -lt $WinRM.Bytes.Length) {
        $WinRM.Read = $WinRM.In.Read($WinRM.Bytes, $WinRM.Count, $WinRM.Bytes.Length - $WinRM.Count)
        if ($WinRM.Read -le 0) {
            $Host.UI.WriteErrorLine('the script did not arrive as a whole')
            exit 1
        }
        $WinRM.Count += $WinRM.Read
    }
    $WinRM.Length = $WinRM.Text
    $WinRM.Text = [System.Text.Encoding]::UTF8.GetString($WinRM.Bytes)
    if ($WinRM.Length) { $WinRM.Bytes = $null } else { $WinRM.Bytes = New-Object byte[] ([Convert]::ToInt32($WinRM.Text, 16)) }
}
. ([ScriptBlock]::Create($WinRM.Text))
