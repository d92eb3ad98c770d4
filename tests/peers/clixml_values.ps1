# PowerShell's own serializer as the judge of ours. It writes its form of each value, base64 in a line, then reads our form of each from
# standard input: what it makes of both has to be the same.
$values = [System.Collections.ArrayList]::new()
function Add-Value($Value) { [void] $values.Add($Value) }
foreach ($type in [byte], [sbyte], [uint16], [int16], [uint32], [int], [uint64], [long], [decimal], [double], [single]) {
    foreach ($number in $type::MinValue, $type::MaxValue, 0, 1) { Add-Value ($number -as $type) }
}
foreach ($number in [double]::NaN, [double]::PositiveInfinity, [double]::NegativeInfinity, [double]::Epsilon, -0.0, 0.1, 1e300, [single]::NaN, [single] 0.1, [single] 1e-40) { Add-Value $number }
foreach ($number in '1.50', '-0.0000000000000000000000000001', '12345678901234567890.123') { Add-Value ([decimal]::Parse($number, [Globalization.CultureInfo]::InvariantCulture)) }
Add-Value $true; Add-Value $false; Add-Value $null
foreach ($code in (0..32) + 127, 128, 159, 160, 8232, 55296, 57343) { Add-Value ([char] $code) }
foreach ($code in (0..32) + (127..160) + 8232, 65279, 65533) { Add-Value ('a' + [char] $code + 'b') }
foreach ($text in '', ' ', "`r`n", '<&>"''', '_x0041_', '_X0041_', '__x005F_', '_x00', 'grün', "$([char] 0xD83D)$([char] 0xDE00)", "`u{10FFFF}x", ('x' * 70000), "]]>", '_x_x0_x00_x000_x0000') { Add-Value $text }
foreach ($text in '2020-01-02T03:04:05Z', '0001-01-01T00:00:00', '9999-12-31T23:59:59.9999999', '2026-06-01T12:00:00.1234567') { Add-Value ([datetime]::Parse($text, [Globalization.CultureInfo]::InvariantCulture, 'RoundtripKind')) }
Add-Value ([datetime]::SpecifyKind([datetime]::new(2020, 1, 1), [DateTimeKind]::Local))
foreach ($ticks in 0, 1, -1, 10000000, 863999999999, -864000000001, [long]::MaxValue, [long]::MinValue) { Add-Value ([timespan] $ticks) }
Add-Value ([guid]::Empty); Add-Value ([guid] '12345678-9abc-def0-1234-56789abcdef0')
foreach ($text in 'http://host/a b?c=d&e', 'urn:x', 'relative/path', 'http://xn--mnchen-3ya.example/ü') { Add-Value ([uri] $text) }
foreach ($text in '1.2', '1.2.3', '10.0.17763.1') { Add-Value ([version] $text) }
Add-Value ([xml] '<a b="c">d&amp;<e/></a>'); Add-Value ([xml] "<a>`n <!-- c --><b>_x0041_</b></a>")
Add-Value { param($a) "x $a" }; Add-Value ([scriptblock]::Create("'a'`n`t`u{1F600}"))
Add-Value ([byte[]] @()); Add-Value ([byte[]] (0..255))
Add-Value @{}; Add-Value @{ a = 1 }; Add-Value @{ 1 = 'one'; 'x y' = @(1, 2) }
Add-Value ([ordered] @{ b = 1; a = @{ c = $null } })
Add-Value @(); Add-Value @(1); Add-Value @(1, 'a', $null, @(2, @(3)))
Add-Value ([int[]] (1, 2)); Add-Value ([string[]] ('a', 'b')); Add-Value ([char[]] 'ab')
$list = [System.Collections.Generic.List[object]]::new(); $list.Add(1); $list.Add('x'); Add-Value $list
Add-Value ([System.Collections.Queue]::new(@(1, 2))); Add-Value ([System.Collections.Stack]::new(@(1, 2, 3)))
Add-Value ([System.Collections.Generic.HashSet[int]]::new([int[]] (1, 2)))
$dictionary = [System.Collections.Generic.Dictionary[string,int]]::new(); $dictionary.Add('k', 1); Add-Value $dictionary
Add-Value ([pscustomobject] @{}); Add-Value ([pscustomobject] @{ Name = 'x'; 'with space' = 1; 'a_x0041_' = "`n"; Nested = [pscustomobject] @{ Deep = @{ Deeper = 1 } } })
Add-Value ([DayOfWeek]::Monday); Add-Value ([IO.FileAttributes] 'Hidden, System'); Add-Value ([System.Net.HttpStatusCode]::NotFound)
$shared = [pscustomobject] @{ Same = 1 }; Add-Value @($shared, $shared, @{ again = $shared })
$cycle = [pscustomobject] @{ Me = $null; Name = 'cycle' }; $cycle.Me = $cycle; Add-Value $cycle
$outer = @{ Name = 'outer' }; $outer.Inner = @{ Up = $outer }; Add-Value $outer
$text = [psobject] 'text'; $text.PSObject.Properties.Add([psnoteproperty]::new('Note', 3)); Add-Value $text
$number = [psobject] 5; $number.PSObject.Properties.Add([psnoteproperty]::new('Unit', 'm')); Add-Value $number
Add-Value ([System.Net.IPAddress] '::1'); Add-Value ([regex] 'a+'); Add-Value ([bigint] '123456789012345678901234567890')
Add-Value ([System.IO.DirectoryInfo] '/'); Add-Value ([System.Text.Encoding]::UTF8); Add-Value ([datetimeoffset]::MinValue)
$progress = [System.Management.Automation.ProgressRecord]::new(1, "a`n", 'b'); $progress.PercentComplete = 30; $progress.CurrentOperation = 'op'; $progress.SecondsRemaining = 4; Add-Value $progress
$progress = [System.Management.Automation.ProgressRecord]::new(2, 'done', 'b'); $progress.RecordType = 'Completed'; $progress.ParentActivityId = 1; Add-Value $progress
Add-Value ([System.Management.Automation.WarningRecord] 'w'); Add-Value ([System.Management.Automation.InformationRecord]::new('i', 's'))
try { throw 'error' } catch { Add-Value $_ }
Add-Value ([System.Net.NetworkCredential]::new('', 'secret').SecurePassword)
Add-Value ([System.Management.Automation.PSCredential]::new('user', [System.Net.NetworkCredential]::new('', 'secret').SecurePassword))
Add-Value ([exception]::new('outer', [exception]::new('inner')))
Add-Value ([type] 'int').Name; Add-Value ([System.Globalization.CultureInfo]::InvariantCulture.NumberFormat)

$theirs = foreach ($value in $values) { , [System.Management.Automation.PSSerializer]::Serialize($value, 3) }
foreach ($form in $theirs) { [Console]::Out.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($form))) }
[Console]::Out.WriteLine('.')

$again = { param($Form) [System.Management.Automation.PSSerializer]::Serialize([System.Management.Automation.PSSerializer]::Deserialize($Form), 5) }
$passed = $failed = 0
foreach ($form in $theirs) {
    $ours = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String([Console]::In.ReadLine()))
    $problem = $null
    try { if ((& $again $form) -cne (& $again $ours)) { $problem = 'another value' } } catch { $problem = "$_" }
    if ($problem) { $failed++; [Console]::Out.WriteLine("$($problem): $($form.Substring(0, [Math]::Min(800, $form.Length))) became $($ours.Substring(0, [Math]::Min(800, $ours.Length)))") } else { $passed++ }
}
[Console]::Out.WriteLine("$passed values passed, $failed failed")
exit [int] ($failed -gt 0)
