# Looks after commands that were left alone as tasks: lists them, follows one's output, stops or removes one. What is asked for comes behind this
# script on standard input, as for launch.ps1; request.ps1 reads it.
function Join-Parts([string] $folder, [string] $name) { [System.IO.Path]::Combine($folder, $name) }
function Read-Text([string] $file) { if ([System.IO.File]::Exists($file)) { [System.IO.File]::ReadAllText($file) } else { '' } }
# starting, running, ended CODE, or lost: its process is gone, and nobody has written how it ended.
function Get-State([string] $folder) {
    $exit = Read-Text (Join-Parts $folder 'exit')
    if ($exit) { return "ended $exit" }
    $process, $ticks = (Read-Text (Join-Parts $folder 'process')) -split ' '
    if (-not $process) {
        if ([System.IO.Directory]::GetCreationTimeUtc($folder) -gt [DateTime]::UtcNow.AddMinutes(-3)) { return 'starting 0' }
        return 'lost 0'
    }
    try {
        $found = [System.Diagnostics.Process]::GetProcessById([int] $process)
        if ([math]::Abs($found.StartTime.ToUniversalTime().Ticks - [long] $ticks) -lt 20000000) { return 'running 0' }
    } catch { $Error.Clear() }
    # It may have ended between the two looks.
    $exit = Read-Text (Join-Parts $folder 'exit')
    if ($exit) { return "ended $exit" }
    'lost 0'
}
$answer = 1
try {
    $verb, $id, $more = (Read-Part ([Convert]::ToInt32((Read-Part 8), 16))).Split([char] 0)
    $all = "$env:SystemRoot\winrm-tasks" -replace '\\', [string] [System.IO.Path]::DirectorySeparatorChar
    if ($verb -eq 'list') {
        $lines = @()
        if ([System.IO.Directory]::Exists($all)) {
            foreach ($folder in [System.IO.Directory]::GetDirectories($all)) {
                try {
                    $about = Read-Text (Join-Parts $folder 'about')
                    $lines += "$([System.IO.Path]::GetFileName($folder))`t$(Get-State $folder)`t$about"
                } catch { $Error.Clear() }
            }
        }
        Write-State 'started' 0 ''
        $bytes = [System.Text.Encoding]::UTF8.GetBytes(($lines -join "`n"))
        $console = [Console]::OpenStandardOutput()
        $console.Write($bytes, 0, $bytes.Length)
        $console.Flush()
        exit 0
    }
    $folder = Join-Parts $all $id
    if ($id -notmatch '^[0-9a-f]+$' -or -not [System.IO.Directory]::Exists($folder)) {
        Write-State 'task' 2 "there is no task $id"
        exit 1
    }
    $state = Get-State $folder
    if ($verb -eq 'stop' -or ($verb -eq 'remove' -and $more -eq 'force')) {
        if ($state -notmatch '^(ended|lost)') {
            [System.IO.File]::WriteAllText((Join-Parts $folder 'stop'), '')
            $until = [DateTime]::UtcNow.AddSeconds(60)
            while ((Get-State $folder) -notmatch '^(ended|lost)') {
                if ([DateTime]::UtcNow -gt $until) { throw 'the task does not end' }
                Start-Sleep -Milliseconds 100
            }
        }
        $state = Get-State $folder
        $answer = 0
    }
    if ($verb -eq 'remove') {
        if ($state -notmatch '^(ended|lost)') {
            Write-State 'busy' 170 "the task $id still runs"
            exit 1
        }
        [System.IO.Directory]::Delete($folder, $true)
        # Where it is empty, nothing of ours stays.
        try { [System.IO.Directory]::Delete($all, $false) } catch { $Error.Clear() }
        $answer = 0
    }
    Write-State 'started' 0 ''
    if ($verb -eq 'attach') {
        $out = [Console]::OpenStandardOutput()
        $err = [Console]::OpenStandardError()
        $follow = @()
        $bytes = New-Object byte[] 65536
        $ended = ''
        while ($true) {
            $moved = $false
            # Looked at before the files are: what was written before the end is there then.
            $state = Get-State $folder
            foreach ($name in 'out', 'err') {
                $file = Join-Parts $folder $name
                if (-not ($follow | Where-Object { $_.Name -eq $name }) -and [System.IO.File]::Exists($file)) {
                    $target = $out
                    if ($name -eq 'err') { $target = $err }
                    $follow += @{ Name = $name; From = (New-Object System.IO.FileStream $file, 'Open', 'Read', 'ReadWrite, Delete'); To = $target }
                }
            }
            foreach ($one in $follow) {
                # In turns, so that none waits for the other's end.
                $count = $one.From.Read($bytes, 0, $bytes.Length)
                if ($count -gt 0) {
                    $one.To.Write($bytes, 0, $count)
                    $one.To.Flush()
                    $moved = $true
                }
            }
            if ($moved) { continue }
            if ($state -match '^ended (-?\d+)') {
                $answer = [int] $matches[1]
                break
            }
            if ($state -match '^lost') {
                [Console]::Error.WriteLine("winrm: the task's process is gone, and nobody knows how it ended: was the host restarted?")
                $answer = 1
                break
            }
            Start-Sleep -Milliseconds 200
        }
        foreach ($one in $follow) { $one.From.Dispose() }
    }
} catch {
    Write-State 'other' 0 $_.Exception.GetBaseException().Message
    $answer = 1
}
exit $answer
