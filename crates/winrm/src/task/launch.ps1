# Registers a scheduled task for a command, starts it, and passes on its streams or leaves it alone. What is to be done comes behind this script on
# standard input: eight hexadecimal digits, and so many bytes of UTF-8, fields that NULs separate. The first line that it writes, see
# request.ps1, tells whether the command was started; everything behind it is the command's.
# The task's process gets its own script, the command, its variables and its input through pipes that nobody but its account may open: the task
# itself holds no more than their name. It is taken out of the Task Scheduler as soon as it runs.
function Send-Part($pipe, [string] $text) {
    $bytes = [System.Text.Encoding]::UTF8.GetBytes($text)
    $head = [System.Text.Encoding]::ASCII.GetBytes($bytes.Length.ToString('x8'))
    $pipe.Write($head, 0, 8)
    $pipe.Write($bytes, 0, $bytes.Length)
}
# The Task Scheduler is a component of COM, bound late.
function Call($object, [string] $method) { , $object.GetType().InvokeMember($method, 'InvokeMethod', $null, $object, [object[]] $args) }

$stage = 'request'
$registered = $null
$pipes = @{}
$answer = 1
try {
    $fields = (Read-Part ([Convert]::ToInt32((Read-Part 8), 16))).Split([char] 0)
    $account, $sid, $password, $id, $channel, $detached, $runner, $program, $arguments, $directory, $seconds, $title = $fields[0..11]
    $variables = @()
    if ($fields.Length -gt 12) { $variables = $fields[12..($fields.Length - 1)] }
    $detached = $detached -eq '1'
    $own = [Environment]::UserDomainName + '\' + [Environment]::UserName
    # TASK_LOGON_S4U, TASK_LOGON_SERVICE_ACCOUNT, TASK_LOGON_PASSWORD
    if ($sid) {
        $user = $sid; $logon = 5; $secret = $null
        $identity = New-Object System.Security.Principal.SecurityIdentifier $sid
    } elseif (-not $account) {
        $user = $own; $logon = 2; $secret = $null; $identity = $own
    } else {
        $user = $account -replace '^\.\\', ([Environment]::MachineName + '\'); $logon = 1; $secret = $password; $identity = $user
    }

    $stage = 'account'
    $security = New-Object System.IO.Pipes.PipeSecurity
    # Nobody from the network, the connection's own logon included: it holds its ends already.
    $network = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-2'
    $security.AddAccessRule((New-Object System.IO.Pipes.PipeAccessRule $network, 'FullControl', 'Deny'))
    $security.AddAccessRule((New-Object System.IO.Pipes.PipeAccessRule $own, 'FullControl', 'Allow'))
    $security.AddAccessRule((New-Object System.IO.Pipes.PipeAccessRule $identity, 'FullControl', 'Allow'))
    $stage = 'pipe'
    $directions = @{ in = 'Out'; control = 'InOut' }
    if (-not $detached) { $directions.out = 'In'; $directions.err = 'In' }
    foreach ($name in @($directions.Keys)) {
        $pipes[$name] = New-Object System.IO.Pipes.NamedPipeServerStream "winrm-$channel-$name", $directions[$name], 1, 'Byte', 'Asynchronous', 0, 0, $security
    }

    $folder = ''
    if ($detached) {
        # Made where only administrators make folders, and for the account and them alone.
        $stage = 'folder'
        $folder = "$env:SystemRoot\winrm-tasks\$id" -replace '\\', [string] [System.IO.Path]::DirectorySeparatorChar
        if ([System.IO.Directory]::Exists($folder)) { throw 'there is a task of this name' }
        $null = [System.IO.Directory]::CreateDirectory($folder)
        $who = $user
        if ($sid) { $who = "*$sid" }
        $null = icacls.exe $folder /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' "${who}:(OI)(CI)M" /q
        if ($LASTEXITCODE) { throw "the folder $folder can't be kept for the account alone (icacls: $LASTEXITCODE)" }
        $shown = $account
        if (-not $shown) { $shown = $own }
        [System.IO.File]::WriteAllText([System.IO.Path]::Combine($folder, 'about'), "$shown`t$([DateTime]::UtcNow.ToString('s'))Z`t$title")
    }

    $stage = 'service'
    $service = New-Object -ComObject Schedule.Service
    $null = Call $service 'Connect'
    $stage = 'register'
    try { $tasks = Call $service 'GetFolder' '\winrm' } catch { $tasks = Call (Call $service 'GetFolder' '\') 'CreateFolder' 'winrm' $null }
    # What earlier ones have left behind, if any: those that run belong to somebody.
    $known = Call $tasks 'GetTasks' 1
    foreach ($old in $known) {
        try {
            if ($old.State -ne 4 -and [DateTime] $old.Definition.RegistrationInfo.Date -lt [DateTime]::Now.AddMinutes(-10)) { $null = Call $tasks 'DeleteTask' $old.Name 0 }
        } catch { $Error.Clear() }
    }
    $definition = Call $service 'NewTask' 0
    $definition.RegistrationInfo.Description = 'A command of winrm. It may be deleted.'
    $definition.RegistrationInfo.Date = [DateTime]::Now.ToString('s')
    $definition.Principal.RunLevel = 1
    $settings = $definition.Settings
    $settings.ExecutionTimeLimit = 'PT0S'
    $settings.DisallowStartIfOnBatteries = $false
    $settings.StopIfGoingOnBatteries = $false
    $settings.StartWhenAvailable = $false
    $settings.Hidden = $true
    # Tasks are below the priority of other programs by default.
    $settings.Priority = 4
    # Should nobody be left to take it out, the Task Scheduler does. The beginning is past: this starts nothing.
    $settings.DeleteExpiredTaskAfter = 'PT0S'
    $trigger = Call $definition.Triggers 'Create' 1
    $trigger.StartBoundary = '2000-01-01T00:00:00'
    $trigger.EndBoundary = [DateTime]::Now.AddHours(1).ToString('s')
    $action = Call $definition.Actions 'Create' 0
    $action.Path = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
    $bootstrap = 'BOOTSTRAP' -replace 'CHANNEL', $channel
    $action.Arguments = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($bootstrap))
    # Once, whatever comes of it: a second try with a wrong password may lock the account.
    $registered = Call $tasks 'RegisterTaskDefinition' "winrm-$id" $definition 2 $user $secret $logon $null
    $password = $secret = $null
    $stage = 'run'
    $null = Call $registered 'Run' $null

    $waiting = @{}
    foreach ($name in $pipes.Keys) { $waiting[$name] = $pipes[$name].BeginWaitForConnection($null, $null) }
    $until = [DateTime]::UtcNow.AddSeconds(120)
    $ended = 0
    # The others are opened by the script that goes through the first.
    foreach ($name in @('in') + @($pipes.Keys -ne 'in')) {
        while (-not $waiting[$name].AsyncWaitHandle.WaitOne(250)) {
            $code = $registered.LastTaskResult
            # SCHED_S_TASK_RUNNING, SCHED_S_TASK_HAS_NOT_RUN
            if ($registered.State -ne 4 -and $code -ne 267009 -and $code -ne 267011) { $ended += 1 } else { $ended = 0 }
            if ($ended -ge 8) {
                Write-State 'run' $code 'the task has ended before it began'
                exit 1
            }
            if ([DateTime]::UtcNow -gt $until) { throw 'the task was not started within two minutes' }
        }
        $pipes[$name].EndWaitForConnection($waiting[$name])
        if ($name -eq 'in') {
            Send-Part $pipes.in $runner
            Send-Part $pipes.in ((@($program, $arguments, $directory, $folder, $seconds) + $variables) -join [char] 0)
        }
    }
    # What runs goes on without it.
    $null = Call $tasks 'DeleteTask' "winrm-$id" 0
    $registered = $null

    $stage = 'start'
    $control = New-Object System.IO.StreamReader $pipes.control
    $feed = $in.CopyToAsync($pipes.in)
    $fed = $false
    $said = $control.ReadLineAsync()
    while ($true) {
        if (-not $fed -and $feed.IsCompleted) {
            $fed = $true
            $pipes.in.Dispose()
        }
        # Short, so that Ctrl-C can end the loop.
        if (-not $said.Wait(100)) { continue }
        $line = $said.Result
        if ($null -eq $line) { throw 'the task has ended without saying how' }
        $word, $code, $text = $line -split ' ', 3
        if ($word -eq 'exit') {
            $answer = [int] $code
            break
        }
        Write-State $word $code $text
        if ($word -ne 'started') { break }
        if ($detached) {
            $answer = 0
            break
        }
        $stage = 'end'
        # Behind that line, and not before it.
        $out = $pipes.out.CopyToAsync([Console]::OpenStandardOutput())
        $err = $pipes.err.CopyToAsync([Console]::OpenStandardError())
        $said = $control.ReadLineAsync()
    }
    if ($word -eq 'exit') {
        # All that was written before the end, however slowly it is taken.
        while (-not ($out.IsCompleted -and $err.IsCompleted)) { Start-Sleep -Milliseconds 20 }
    }
} catch {
    $cause = $_.Exception.GetBaseException()
    $code = 0
    if ($cause -is [System.Runtime.InteropServices.COMException] -or $stage -eq 'register' -or $stage -eq 'service') { $code = $cause.HResult }
    if ($cause -is [System.Security.Principal.IdentityNotMappedException]) { $code = 1332 }
    if ($stage -eq 'end') { [Console]::Error.WriteLine("winrm: $($cause.Message)") } else { Write-State $stage $code $cause.Message }
} finally {
    foreach ($pipe in $pipes.Values) { try { $pipe.Dispose() } catch { $Error.Clear() } }
    if ($registered) { try { $null = Call $tasks 'DeleteTask' $registered.Name 0 } catch { $Error.Clear() } }
    # Where it is empty, nothing of ours stays.
    try { $null = Call (Call $service 'GetFolder' '\') 'DeleteFolder' 'winrm' 0 } catch { $Error.Clear() }
}
exit $answer
