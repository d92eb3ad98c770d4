$ProgressPreference = 'SilentlyContinue'
$m = $ExecutionContext.SessionState.LanguageMode
if ($m -ne 'FullLanguage') { "winrm-agent language $m"; exit 3 }
$i = [Console]::OpenStandardInput()
$b = New-Object byte[] 65536
$n = 0
$e = -1
while ($e -lt 0) {
if ($n -eq $b.Length) { [Array]::Resize([ref] $b, 2 * $n) }
$c = $i.Read($b, $n, $b.Length - $n)
if ($c -le 0) { exit 4 }
$n += $c
$t = [Text.Encoding]::ASCII.GetString($b, 0, $n)
$e = $t.IndexOf('#begin#')
}
& ([ScriptBlock]::Create($t.Substring(0, $e))) $i $b ($e + 7) $n
