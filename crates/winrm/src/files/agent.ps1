# Copies files for a client that sits at the other end of standard input and output. One run serves a whole transfer.
#
# The client sends frames (kind: one byte, length: four bytes, little-endian, then the payload) and gets frames back; numbers in
# payloads are little-endian, texts are those of BinaryWriter (UTF-8, length before it). Where the way to the host changes
# bytes, each frame is a line of base64. The functions below are named for the frames that they serve.
#
# It has to run on Windows PowerShell 3.0 with .NET Framework 4.5 as on any later one, under any strict mode, and is sent
# without these comments and without the blanks at the beginning of its lines.
param($in, $buffer, $begin, $end)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2.0

# Newer frameworks take paths beyond 260 characters when they are told so before the first path is used.
$context = 'System.AppContext' -as [type]
if ($context) {
    try {
        foreach ($name in 'UseLegacyPathHandling', 'BlockLongPaths') {
            $null = $context.GetMethod('SetSwitch').Invoke($null, @("Switch.System.IO.$name", $false))
        }
    } catch { $null = $_ }
}

$out = [Console]::OpenStandardOutput()
$utf8 = New-Object Text.UTF8Encoding $false
$windows = [IO.Path]::DirectorySeparatorChar -eq '\'
# The input: what lies between start and end was read and not used yet. A frame has a megabyte at most.
$s = @{
    text = $false; reader = $null; bytes = (New-Object byte[] 2359296); start = 0; end = 0
    task = $null; kind = 0; at = 0; size = 0; next = 0; until = 0
    id = 0; file = $null; hash = $null; failed = $false; part = ''; position = [long]0; limit = [long]0; moved = [long]0
    target = ''; backup = ''; flags = 0; time = [long]0; access = [long]0; mark = [long]0; over = $false
}
$memory = New-Object IO.MemoryStream(,$s.bytes)
$fields = New-Object IO.BinaryReader($memory, $utf8)
$answer = New-Object IO.MemoryStream
$writer = New-Object IO.BinaryWriter($answer, $utf8)
$block = New-Object byte[] 1048832
$packed = New-Object IO.MemoryStream
$none = New-Object byte[] 0

function New-Hash {
    # The fast one, where there is it, and the one that FIPS allows.
    try { New-Object Security.Cryptography.SHA256CryptoServiceProvider } catch { [Security.Cryptography.SHA256]::Create() }
}

# What stands between the client and the disk for a whole second gives the part free, so that another copy can go on with it.
function Wait-Read($task) {
    $seconds = 0
    while (-not $task.Wait(1000)) {
        $seconds += 1
        Suspend-Part
        # Whoever sends nothing for so long is gone: clients that are there say so every minute.
        if ($seconds -ge 600) { [Environment]::Exit(5) }
    }
}

function Suspend-Part {
    if ($null -eq $s.file) { return }
    $s.file.Dispose()
    $s.file = $null
    $s.mark = [IO.File]::GetLastWriteTimeUtc($s.part).Ticks
}

function Resume-Part {
    if (-not [IO.File]::Exists($s.part)) { throw 'PART-GONE' }
    $mark = [IO.File]::GetLastWriteTimeUtc($s.part).Ticks
    $s.file = New-Object IO.FileStream($s.part, [IO.FileMode]::Open, [IO.FileAccess]::Write, [IO.FileShare]::None, 1)
    if ($s.file.Length -ne $s.position -or $mark -ne $s.mark) { throw 'PART-TAKEN' }
    $null = $s.file.Seek(0, [IO.SeekOrigin]::End)
}

function Start-Input {
    if ($s.start -eq $s.end) { $s.start = 0; $s.end = 0 }
    elseif ($s.start -gt 1048576) {
        [Buffer]::BlockCopy($s.bytes, $s.start, $s.bytes, 0, $s.end - $s.start)
        $s.end -= $s.start
        $s.start = 0
    }
    $s.task = $in.ReadAsync($s.bytes, $s.end, $s.bytes.Length - $s.end)
}

function Read-Input {
    if ($null -eq $s.task) { Start-Input }
    $task = $s.task
    if (-not $task.Wait(1000)) { Wait-Read $task }
    $s.task = $null
    $count = $task.Result
    if ($count -le 0) { return $false }
    $s.end += $count
    $true
}

function Read-Frame {
    if ($s.text) {
        $line = ''
        while ($line.Length -eq 0) {
            $task = $s.reader.ReadLineAsync()
            if (-not $task.Wait(1000)) { Wait-Read $task }
            if ($null -eq $task.Result) { return $false }
            $line = $task.Result.Trim()
        }
        $decoded = [Convert]::FromBase64String($line)
        [Buffer]::BlockCopy($decoded, 0, $s.bytes, 0, $decoded.Length)
        $s.start = 0
        $s.end = $decoded.Length
    }
    while ($s.end - $s.start -lt 5) { if (-not (Read-Input)) { return $false } }
    $s.kind = [int]$s.bytes[$s.start]
    $s.size = [BitConverter]::ToInt32($s.bytes, $s.start + 1)
    if ($s.size -lt 0 -or $s.size -gt 1048576) { [Environment]::Exit(6) }
    while ($s.end - $s.start -lt 5 + $s.size) { if (-not (Read-Input)) { return $false } }
    $s.at = $s.start + 5
    $s.start = $s.at + $s.size
    $memory.Position = $s.at
    $true
}

# Whether the client has said that it wants no more of the file that is being sent ('C'), or has gone. What else it says is kept.
function Test-Cancelled {
    if ($s.text) { return $false }
    if ($null -eq $s.task) {
        if ($s.bytes.Length - $s.end -lt 4096 -and $s.start -lt $s.end) { return $false }
        Start-Input
    }
    if (-not $s.task.IsCompleted) { return $false }
    $count = $s.task.Result
    if ($count -le 0) { return $true }
    $s.task = $null
    $s.end += $count
    $at = $s.start
    while ($s.end - $at -ge 9) {
        $size = [BitConverter]::ToInt32($s.bytes, $at + 1)
        if ($size -lt 0 -or $size -gt 1048576) { return $true }
        if ($s.bytes[$at] -eq 67 -and [BitConverter]::ToInt32($s.bytes, $at + 5) -eq $s.id) { return $true }
        $at += 5 + $size
    }
    $false
}

function Write-Bytes($bytes, $count) {
    if ($s.text) {
        $bytes = [Text.Encoding]::ASCII.GetBytes([Convert]::ToBase64String($bytes, 0, $count) + "`n")
        $count = $bytes.Length
    }
    $out.Write($bytes, 0, $count)
    $out.Flush()
}

function New-Answer([int] $kind) {
    $answer.SetLength(0)
    $writer.Write([byte]$kind)
    $writer.Write([int]0)
    $writer.Write([int]$s.id)
}

function Send-Answer {
    $writer.Flush()
    $count = [int]$answer.Length
    $answer.Position = 1
    $writer.Write([int]($count - 5))
    $writer.Flush()
    Write-Bytes $answer.GetBuffer() $count
}

# 'k': done.
function Send-Done { New-Answer 107; Send-Answer }

# '!': what kind of failure, and what the host says about it.
function Send-Failure($record) {
    $problem = $record.Exception
    while ($problem.InnerException -and ($problem -is [Management.Automation.MethodInvocationException] -or $problem -is [AggregateException])) {
        $problem = $problem.InnerException
    }
    $text = $problem.Message
    $number = $problem.HResult -band 0xFFFF
    $full = $number -in 39, 112 -or $text -match 'No space left|disk full|quota'
    $code = 0
    if ($text -eq 'PART-GONE') { $code = 10 }
    elseif ($text -eq 'PART-TAKEN') { $code = 11 }
    elseif ($text -eq 'IS-FOLDER') { $code = 5 }
    elseif ($text -eq 'READ-ONLY') { $code = 6 }
    elseif ($text -eq 'DAMAGED') { $code = 8 }
    elseif ($text -eq 'CHANGED') { $code = 9 }
    elseif ($problem -is [UnauthorizedAccessException] -or $problem -is [Security.SecurityException]) { $code = 2 }
    elseif ($problem -is [IO.FileNotFoundException] -or $problem -is [IO.DirectoryNotFoundException] -or $problem -is [IO.DriveNotFoundException]) { $code = 1 }
    elseif ($problem -is [IO.PathTooLongException]) { $code = 7 }
    elseif ($full) { $code = 4 }
    elseif (Test-InUse $problem) { $code = 3 }
    New-Answer 33
    $writer.Write([byte]$code)
    $writer.Write([string]$text)
    Send-Answer
}

function Test-InUse($problem) {
    while ($problem.InnerException) { $problem = $problem.InnerException }
    $problem -is [IO.IOException] -and (($problem.HResult -band 0xFFFF) -in 32, 33 -or $problem.Message -match 'used by another process')
}

# Paths that Windows takes only with a prefix that switches its own rules off.
function Expand-Long([string] $path) {
    if (-not $windows -or $path.Length -lt 248 -or $path.StartsWith('\\?\')) { return $path }
    if ($path.StartsWith('\\')) { return '\\?\UNC\' + $path.Substring(2) }
    '\\?\' + $path
}

function Write-Entry([string] $name, [int] $kind, [long] $size, [long] $time, [int] $attributes) {
    $writer.Write($name)
    $writer.Write([byte]$kind)
    $writer.Write($size)
    $writer.Write($time)
    $writer.Write($attributes)
}

function Get-Time($item) { try { $item.LastWriteTimeUtc.ToFileTimeUtc() } catch { [long]0 } }

# The size of what a link leads to, where it is a link.
function Get-Size($item) {
    if (($item.Attributes -band 1024) -eq 0) { return $item.Length }
    try {
        $file = New-Object IO.FileStream($item.FullName, [IO.FileMode]::Open, [IO.FileAccess]::Read, ([IO.FileShare]'ReadWrite, Delete'), 1)
        try { $file.Length } finally { $file.Dispose() }
    } catch { [long]-1 }
}

# 'R': a path as a person writes it, made whole, and what is there.
function Resolve-Name {
    $name = [Environment]::ExpandEnvironmentVariables($fields.ReadString())
    if ($name -eq '~' -or $name.StartsWith('~/') -or $name.StartsWith('~\')) {
        $rest = $name.Substring(1).TrimStart('/', '\')
        $name = [IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::UserProfile), $rest)
    }
    if ($name.Length -eq 0) { $name = '.' }
    if (-not $name.StartsWith('\\?\')) {
        # A path without a drive begins where the shell does, which .NET and PowerShell may see differently.
        $name = [IO.Path]::GetFullPath($name)
    }
    $path = Expand-Long $name
    New-Answer 114
    $writer.Write([string]$name)
    if ([IO.Directory]::Exists($path)) {
        $item = New-Object IO.DirectoryInfo $path
        Write-Entry '' 2 0 (Get-Time $item) ([int]$item.Attributes)
    } elseif ([IO.File]::Exists($path)) {
        $item = New-Object IO.FileInfo $path
        Write-Entry '' 1 (Get-Size $item) (Get-Time $item) ([int]$item.Attributes)
    } else {
        Write-Entry '' 0 0 0 0
    }
    Send-Answer
}

# 'L': what is in a folder, in pieces of 'e', and 'k' at the end. Links to folders are named, and not gone into.
function Read-Folder {
    $root = $fields.ReadString()
    $deep = $fields.ReadByte()
    $waiting = @{ 0 = '' }
    $last = 0
    $first = $true
    New-Answer 101
    while ($last -ge 0) {
        $below = $waiting[$last]
        $last -= 1
        $folder = $root
        if ($below.Length) { $folder = [IO.Path]::Combine($root, $below) }
        try {
            foreach ($item in (New-Object IO.DirectoryInfo (Expand-Long $folder)).EnumerateFileSystemInfos()) {
                $name = $item.Name
                if ($below.Length) { $name = $below + '/' + $name }
                $attributes = [int]$item.Attributes
                if (($attributes -band 16) -eq 0) {
                    $size = [long]0
                    if (($attributes -band 1024) -eq 0) { $size = $item.Length } else { $size = Get-Size $item }
                    $kind = 1
                    if ($size -lt 0) { $kind = 5; $size = 0 }
                    Write-Entry $name $kind $size (Get-Time $item) $attributes
                } elseif ($attributes -band 1024) {
                    Write-Entry $name 3 0 0 $attributes
                } else {
                    Write-Entry $name 2 0 (Get-Time $item) $attributes
                    if ($deep) { $last += 1; $waiting[$last] = $name }
                }
                if ($answer.Length -gt 60000) { Send-Answer; New-Answer 101 }
            }
        } catch {
            if ($first) { throw }
            Write-Entry $below 4 0 0 0
        }
        $first = $false
    }
    Send-Answer
    Send-Done
}

# The hash of a file's first bytes; all of them where there are less. Gives how many there were.
function Get-Prefix($file, [long] $length, $hash) {
    $done = [long]0
    while ($done -lt $length) {
        $count = $file.Read($block, 0, [int][Math]::Min([long]1048576, $length - $done))
        if ($count -le 0) { break }
        $null = $hash.TransformBlock($block, 0, $count, $null, 0)
        $done += $count
    }
    $null = $hash.TransformFinalBlock($none, 0, 0)
    $done
}

function Open-Source([string] $path) {
    if ([IO.Directory]::Exists($path)) { throw 'IS-FOLDER' }
    New-Object IO.FileStream($path, [IO.FileMode]::Open, [IO.FileAccess]::Read, ([IO.FileShare]'ReadWrite, Delete'), 1)
}

# 'H': the SHA-256 of a file's beginning.
function Get-Hash {
    $path = Expand-Long $fields.ReadString()
    $length = $fields.ReadInt64()
    $left = 40
    while ($true) {
        try {
            $file = Open-Source $path
            break
        } catch {
            # The part of another copy that was cut off is given free within a second or two.
            $left -= 1
            if ($left -eq 0 -or -not $path.EndsWith('.winrm-part') -or -not (Test-InUse $_.Exception)) { throw }
            Start-Sleep -Milliseconds 100
        }
    }
    try {
        $hash = New-Hash
        $done = Get-Prefix $file $length $hash
        New-Answer 104
        $writer.Write([long]$done)
        $writer.Write([byte[]]$hash.Hash)
        Send-Answer
    } finally { $file.Dispose() }
}

# 'F': a file begins. 'D' and 'Z' bring its bytes, 'X' ends it, 'A' gives it up.
function Open-Part {
    $s.failed = $true
    $s.target = Expand-Long $fields.ReadString()
    $s.part = Expand-Long $fields.ReadString()
    $backup = $fields.ReadString()
    $s.backup = ''
    if ($backup.Length) { $s.backup = Expand-Long $backup }
    $s.limit = $fields.ReadInt64()
    $s.position = $fields.ReadInt64()
    $s.time = $fields.ReadInt64()
    $s.access = $fields.ReadInt64()
    $s.flags = $fields.ReadInt32()
    if ([IO.Directory]::Exists($s.target)) { throw 'IS-FOLDER' }
    if (($s.flags -band 2) -eq 0 -and [IO.File]::Exists($s.target) -and ([int][IO.File]::GetAttributes($s.target) -band 1)) { throw 'READ-ONLY' }
    $mode = [IO.FileMode]::Create
    if ($s.position -gt 0) { $mode = [IO.FileMode]::Open }
    $left = 40
    while ($true) {
        try {
            $s.file = New-Object IO.FileStream($s.part, $mode, [IO.FileAccess]::Write, [IO.FileShare]::None, 1)
            break
        } catch {
            # Another copy, cut off, gives its part free within a second or two.
            $left -= 1
            if ($left -eq 0 -or -not (Test-InUse $_.Exception)) { throw }
            Start-Sleep -Milliseconds 100
        }
    }
    if ($s.file.Length -lt $s.position) { throw 'CHANGED' }
    if ($s.file.Length -gt $s.position) { $s.file.SetLength($s.position) }
    $null = $s.file.Seek(0, [IO.SeekOrigin]::End)
    $s.hash = New-Hash
    $s.failed = $false
}

function Write-Part($bytes, [int] $at, [int] $count) {
    if ($null -eq $s.file) { Resume-Part }
    if ($s.limit -ge 0 -and $s.position + $count -gt $s.limit) { throw 'CHANGED' }
    $task = $s.file.WriteAsync($bytes, $at, $count)
    $null = $s.hash.TransformBlock($bytes, $at, $count, $null, 0)
    $task.Wait()
    $s.position += $count
}

function Expand-Block($target) {
    $size = $fields.ReadInt32()
    if ($size -lt 0 -or $size -gt 1048576) { throw 'DAMAGED' }
    $inflate = New-Object IO.Compression.DeflateStream((New-Object IO.MemoryStream($s.bytes, ($s.at + 4), ($s.size - 4))), [IO.Compression.CompressionMode]::Decompress)
    $done = 0
    while ($done -lt $size) {
        $count = $inflate.Read($target, $done, $size - $done)
        if ($count -le 0) { throw 'DAMAGED' }
        $done += $count
    }
    $inflate.Dispose()
    $size
}

function Close-Part {
    if ($null -eq $s.file) { return }
    $file = $s.file
    $s.file = $null
    $file.Dispose()
}

function Complete-Part {
    if ($null -eq $s.file) { Resume-Part }
    $null = $s.hash.TransformFinalBlock($none, 0, 0)
    $hash = $s.hash.Hash
    for ($i = 0; $i -lt 32; $i += 1) { if ($hash[$i] -ne $s.bytes[$s.at + $i]) { throw 'DAMAGED' } }
    if ($s.limit -ge 0 -and $s.position -ne $s.limit) { throw 'CHANGED' }
    Close-Part
    if (-not [IO.File]::Exists($s.part)) { throw 'PART-GONE' }
    if ($s.access) { [IO.File]::SetLastAccessTimeUtc($s.part, [DateTime]::FromFileTimeUtc($s.access)) }
    if ($s.time) { [IO.File]::SetLastWriteTimeUtc($s.part, [DateTime]::FromFileTimeUtc($s.time)) }
    if ([IO.File]::Exists($s.target)) {
        $attributes = [int][IO.File]::GetAttributes($s.target)
        if ($attributes -band 1) { [IO.File]::SetAttributes($s.target, ($attributes -band -2)) }
        $backup = [Management.Automation.Language.NullString]::Value
        if ($s.backup.Length) { $backup = $s.backup }
        try { [IO.File]::Replace($s.part, $s.target, $backup, $true) }
        catch {
            # Some shares and file systems can't replace: the next best is to take the old one out of the way for a moment.
            $number = $_.Exception.InnerException.HResult -band 0xFFFF
            if ($number -ne 1 -and $number -ne 50) { throw }
            $aside = $s.part + '.old'
            if ($s.backup.Length) { $aside = $s.backup }
            [IO.File]::Move($s.target, $aside)
            [IO.File]::Move($s.part, $s.target)
            if (-not $s.backup.Length) { [IO.File]::Delete($aside) }
        }
    } else {
        [IO.File]::Move($s.part, $s.target)
    }
    if ($s.flags -band 4) { [IO.File]::SetAttributes($s.target, ([int][IO.File]::GetAttributes($s.target) -bor 1)) }
}

# 'G': sends a file: 'f' with what it is, 'D' and 'Z' with its bytes, 'x' with their hash.
function Send-File {
    $path = Expand-Long $fields.ReadString()
    $start = $fields.ReadInt64()
    $known = $fields.ReadBytes(32)
    $pack = $fields.ReadByte()
    $file = Open-Source $path
    try {
        $size = $file.Length
        if ($start -gt 0) {
            $same = $start -le $size
            if ($same) {
                $hash = New-Hash
                $null = Get-Prefix $file $start $hash
                $same = [BitConverter]::ToString($hash.Hash) -eq [BitConverter]::ToString($known)
            }
            if (-not $same) { $start = [long]0 }
            $null = $file.Seek($start, [IO.SeekOrigin]::Begin)
        }
        $item = New-Object IO.FileInfo $path
        New-Answer 102
        $writer.Write([long]$size)
        $writer.Write([long]$start)
        $writer.Write([long](Get-Time $item))
        $writer.Write([int]$item.Attributes)
        Send-Answer
        $hash = New-Hash
        $left = $size - $start
        $skip = 0
        $wasted = 0
        while ($left -gt 0) {
            if (Test-Cancelled) { throw 'CANCELLED' }
            $count = $file.Read($block, 5, [int][Math]::Min([long]524288, $left))
            if ($count -le 0) { throw 'CHANGED' }
            $left -= $count
            $task = $null
            if (-not $pack -or $skip -gt 0 -or $count -lt 512) {
                if ($skip -gt 0) { $skip -= 1 }
            } else {
                $packed.SetLength(0)
                $packed.Position = 9
                $deflate = New-Object IO.Compression.DeflateStream($packed, [IO.Compression.CompressionLevel]::Fastest, $true)
                $deflate.Write($block, 5, $count)
                $deflate.Dispose()
                $length = [int]$packed.Length
                if ($length -lt $count * 0.9) {
                    $wasted = 0
                    $frame = $packed.GetBuffer()
                    $frame[0] = 90
                    [BitConverter]::GetBytes([int]($length - 5)).CopyTo($frame, 1)
                    [BitConverter]::GetBytes([int]$count).CopyTo($frame, 5)
                    $task = $true
                    Write-Bytes $frame $length
                } else {
                    # What gives in nowhere is asked less and less often.
                    $wasted = [Math]::Min(6, $wasted + 1)
                    $skip = 1 -shl $wasted
                }
            }
            if ($null -eq $task) {
                $block[0] = 68
                [BitConverter]::GetBytes([int]$count).CopyTo($block, 1)
                if ($s.text) { Write-Bytes $block ($count + 5) }
                else { $task = $out.WriteAsync($block, 0, $count + 5) }
            }
            $null = $hash.TransformBlock($block, 5, $count, $null, 0)
            if ($task -is [Threading.Tasks.Task]) { $task.Wait() }
        }
        $null = $hash.TransformFinalBlock($none, 0, 0)
        New-Answer 120
        $writer.Write([byte[]]$hash.Hash)
        Send-Answer
    } finally { $file.Dispose() }
}

# 'M': makes a folder, with those above it.
function New-Folder {
    $path = Expand-Long $fields.ReadString()
    $null = [IO.Directory]::CreateDirectory($path)
    Send-Done
}

# 'U': removes a file, or a folder with nothing in it. What isn't there is gone.
function Remove-Name {
    $path = Expand-Long $fields.ReadString()
    if ([IO.File]::Exists($path)) {
        $attributes = [int][IO.File]::GetAttributes($path)
        if ($attributes -band 1) { [IO.File]::SetAttributes($path, ($attributes -band -2)) }
        [IO.File]::Delete($path)
    } elseif ([IO.Directory]::Exists($path)) {
        [IO.Directory]::Delete($path)
    }
    Send-Done
}

# 'T': a folder's time of change.
function Set-FolderTime {
    $path = Expand-Long $fields.ReadString()
    [IO.Directory]::SetLastWriteTimeUtc($path, [DateTime]::FromFileTimeUtc($fields.ReadInt64()))
    Send-Done
}

function Invoke-Frame {
    switch ($s.kind) {
        68 { if (-not $s.failed) { Write-Part $s.bytes $s.at $s.size } }
        90 { if (-not $s.failed) { $size = Expand-Block $block; Write-Part $block 0 $size } }
        88 { if (-not $s.failed) { Complete-Part; Send-Done } }
        65 { Close-Part; $s.failed = $true }
        70 { $s.id = $fields.ReadInt32(); Close-Part; Open-Part }
        71 { $s.id = $fields.ReadInt32(); Send-File }
        72 { $s.id = $fields.ReadInt32(); Get-Hash }
        76 { $s.id = $fields.ReadInt32(); Read-Folder }
        77 { $s.id = $fields.ReadInt32(); New-Folder }
        82 { $s.id = $fields.ReadInt32(); Resolve-Name }
        84 { $s.id = $fields.ReadInt32(); Set-FolderTime }
        85 { $s.id = $fields.ReadInt32(); Remove-Name }
        67 { $null = $s.kind }
        78 { $null = $s.kind }
        83 { $s.over = $true }
        default { [Environment]::Exit(6) }
    }
}

function Invoke-Agent {
    $upload = 65, 68, 70, 88, 90
    while (-not $s.over -and (Read-Frame)) {
        try { Invoke-Frame }
        catch {
            $record = $_
            if ($upload -contains $s.kind) {
                $full = $record.Exception.Message -match 'No space left|disk full' -or ($record.Exception.GetBaseException().HResult -band 0xFFFF) -in 39, 112
                $s.failed = $true
                try { Close-Part } catch { $null = $_ }
                # A part that was damaged is of no use to anybody, and one that fills the disk is in the way.
                if (($full -or $record.Exception.Message -eq 'DAMAGED') -and $s.part.Length) { try { [IO.File]::Delete($s.part) } catch { $null = $_ } }
            }
            Send-Failure $record
        }
    }
    try { Close-Part } catch { $null = $_ }
}

# The client's 256 values of a byte came right behind this script. Theirs go back, with what became of those.
$text = [Text.Encoding]::ASCII.GetString($buffer, $begin, $end - $begin)
$stop = -1
while ($true) {
    $stop = $text.IndexOf(' END')
    if ($stop -ge 0 -and $text.IndexOf("`n", $stop) -ge 0) { break }
    $more = $in.Read($s.bytes, 0, 4096)
    if ($more -le 0) { exit 4 }
    if ($end + $more -gt $buffer.Length) { [Array]::Resize([ref] $buffer, $end + $more + 4096) }
    [Buffer]::BlockCopy($s.bytes, 0, $buffer, $end, $more)
    $end += $more
    $text = [Text.Encoding]::ASCII.GetString($buffer, $begin, $end - $begin)
}
$from = $text.IndexOf('PROBE ')
$whole = $from -ge 0 -and $stop - $from - 6 -eq 256
for ($i = 0; $whole -and $i -lt 256; $i += 1) { $whole = $buffer[$begin + $from + 6 + $i] -eq $i }
$verdict = 'text'
if ($whole) { $verdict = 'raw' }
$os = 'posix'
if ($windows) { $os = 'windows' }
$hello = New-Object IO.MemoryStream
foreach ($piece in "`nwinrm-agent 1 $verdict $os $($PSVersionTable.PSVersion)`n", 'PROBE ', '', " END`n") {
    $bytes = [Text.Encoding]::ASCII.GetBytes($piece)
    if ($piece.Length -eq 0) { $bytes = New-Object byte[] 256; for ($i = 0; $i -lt 256; $i += 1) { $bytes[$i] = $i } }
    $hello.Write($bytes, 0, $bytes.Length)
}
$out.Write($hello.ToArray(), 0, [int]$hello.Length)
$out.Flush()
# The client decides: a line with R for bytes as they are, T for text.
$mode = 10
while ($mode -eq 10 -or $mode -eq 13) { $mode = $in.ReadByte() }
if ($mode -eq 84) {
    $s.text = $true
    $s.reader = New-Object IO.StreamReader($in, [Text.Encoding]::ASCII)
} elseif ($mode -ne 82 -or $in.ReadByte() -ne 10) { exit 4 }
Invoke-Agent
