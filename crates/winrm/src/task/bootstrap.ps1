$p = New-Object System.IO.Pipes.NamedPipeClientStream '.', 'winrm-CHANNEL-in', 'In', 'Asynchronous'
$p.Connect(60000)
function Read-Part([int] $n) { $b = New-Object byte[] $n; $c = 0; while ($c -lt $n) { $k = $p.Read($b, $c, $n - $c); if ($k -le 0) { exit 1 }; $c += $k }; [System.Text.Encoding]::UTF8.GetString($b) }
$t = Read-Part ([Convert]::ToInt32((Read-Part 8), 16))
. ([ScriptBlock]::Create($t))
