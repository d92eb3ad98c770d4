# Stands in for the Task Scheduler's component Schedule.Service, and for the kinds of pipes and the programs that go with it, as Microsoft's pages
# describe them. A task is a folder of $env:STANDIN_TASKS with its definition; to run one starts its program by $env:STANDIN_POWERSHELL, in a
# session of its own, as whom it says. Accounts and passwords are those of $env:STANDIN_USERS. What is called is written to $env:STANDIN_LOG.

function Write-StandinLog([string] $line) { [IO.File]::AppendAllText($env:STANDIN_LOG, "$line`n") }

# learn.microsoft.com/windows/win32/taskschd: ITaskDefinition and what it consists of
class StandinRegistrationInfo { [string] $Description; [string] $Date }
class StandinPrincipal { [int] $RunLevel }
class StandinSettings {
    [string] $ExecutionTimeLimit = 'PT72H'
    [bool] $DisallowStartIfOnBatteries = $true
    [bool] $StopIfGoingOnBatteries = $true
    [bool] $StartWhenAvailable
    [bool] $Hidden
    [int] $Priority = 7
    [string] $DeleteExpiredTaskAfter = ''
}
class StandinTrigger { [string] $StartBoundary; [string] $EndBoundary }
class StandinAction { [string] $Path; [string] $Arguments }
class StandinCollection {
    [object] $Item
    [object] Create([object] $kind) {
        # TASK_ACTION_EXEC, TASK_TRIGGER_TIME
        if ($kind -eq 0) { $this.Item = [StandinAction]::new() } else { $this.Item = [StandinTrigger]::new() }
        return $this.Item
    }
}
class StandinDefinition {
    [StandinRegistrationInfo] $RegistrationInfo = [StandinRegistrationInfo]::new()
    [StandinPrincipal] $Principal = [StandinPrincipal]::new()
    [StandinSettings] $Settings = [StandinSettings]::new()
    [StandinCollection] $Triggers = [StandinCollection]::new()
    [StandinCollection] $Actions = [StandinCollection]::new()
    [string] Text() {
        $lines = @("Description=$($this.RegistrationInfo.Description)", "Date=$($this.RegistrationInfo.Date)", "RunLevel=$($this.Principal.RunLevel)")
        foreach ($name in 'ExecutionTimeLimit', 'DisallowStartIfOnBatteries', 'StopIfGoingOnBatteries', 'StartWhenAvailable', 'Hidden', 'Priority', 'DeleteExpiredTaskAfter') { $lines += "$name=$($this.Settings.$name)" }
        $lines += "StartBoundary=$($this.Triggers.Item.StartBoundary)", "EndBoundary=$($this.Triggers.Item.EndBoundary)", "Path=$($this.Actions.Item.Path)", "Arguments=$($this.Actions.Item.Arguments)"
        return $lines -join "`n"
    }
}

# IRegisteredTask
class StandinTask {
    [string] $Name
    [string] $Folder
    [StandinDefinition] $Definition
    StandinTask([string] $folder) {
        $this.Folder = $folder
        $this.Name = [IO.Path]::GetFileName($folder)
        $this.Definition = [StandinDefinition]::new()
        foreach ($line in [IO.File]::ReadAllLines("$folder/definition")) { if ($line -match '^Date=(.*)') { $this.Definition.RegistrationInfo.Date = $matches[1] } }
        $this.PSObject.Members.Add([psscriptproperty]::new('State', { if ([IO.File]::Exists("$($this.Folder)/running")) { 4 } else { 3 } }))
        $this.PSObject.Members.Add([psscriptproperty]::new('LastTaskResult', { if ([IO.File]::Exists("$($this.Folder)/result")) { [int] [IO.File]::ReadAllText("$($this.Folder)/result") } elseif ([IO.File]::Exists("$($this.Folder)/running")) { 267009 } else { 267011 } }))
    }
    [object] Run([object] $parameters) {
        $text = [IO.File]::ReadAllLines("$($this.Folder)/definition")
        $arguments = (@($text -like 'Arguments=*')[0]).Substring(10)
        $who = [IO.File]::ReadAllText("$($this.Folder)/who")
        Write-StandinLog "Run task=$($this.Name) as=$who"
        [IO.File]::WriteAllText("$($this.Folder)/running", '')
        $info = [Diagnostics.ProcessStartInfo]::new('setsid')
        # The engine's own process ends with the task's, whoever deletes what.
        foreach ($word in '-f', 'sh', '-c', 'folder=$1; shift; "$@" >> "$STANDIN_TASKS/said" 2>&1 </dev/null; code=$?; [ -d "$folder" ] && { rm -f "$folder/running"; printf %s "$code" > "$folder/result"; }', 'task', $this.Folder, $env:STANDIN_POWERSHELL) { $info.ArgumentList.Add($word) }
        foreach ($word in $arguments -split ' ') { $info.ArgumentList.Add($word) }
        $info.Environment['STANDIN_TOKEN'] = $who
        $info.Environment['USERNAME'] = ($who -split ' ')[0]
        $null = [Diagnostics.Process]::Start($info)
        return $this
    }
}

function New-StandinError([int] $code, [string] $text) { [Runtime.InteropServices.COMException]::new($text, $code) }

# ITaskFolder
class StandinFolder {
    [string] $Path
    StandinFolder([string] $path) { $this.Path = $path }
    [object] CreateFolder([object] $name, [object] $descriptor) {
        $null = [IO.Directory]::CreateDirectory("$($this.Path)/$name")
        return [StandinFolder]::new("$($this.Path)/$name")
    }
    [void] DeleteFolder([object] $name, [object] $flags) {
        if ([IO.Directory]::GetDirectories("$($this.Path)/$name").Length) { throw (New-StandinError 0x80070091 'The directory is not empty.') }
        [IO.Directory]::Delete("$($this.Path)/$name", $true)
    }
    [object] GetTasks([object] $flags) {
        return @(foreach ($folder in [IO.Directory]::GetDirectories($this.Path)) { [StandinTask]::new($folder) })
    }
    [void] DeleteTask([object] $name, [object] $flags) {
        if (-not [IO.Directory]::Exists("$($this.Path)/$name")) { throw (New-StandinError 0x80070002 'The system cannot find the file specified.') }
        Write-StandinLog "DeleteTask task=$name"
        [IO.Directory]::Delete("$($this.Path)/$name", $true)
    }
    # Logon types: 1 a password, 2 without one (S4U), 5 an account of services.
    [object] RegisterTaskDefinition([object] $name, [object] $definition, [object] $flags, [object] $user, [object] $password, [object] $logon, [object] $descriptor) {
        $code = 0
        $short = ("$user" -split '\\')[-1]
        if ($env:STANDIN_CALLER -eq 'limited') { $code = 0x80070005 }
        elseif ($logon -eq 5) {
            $short = @{ 'S-1-5-18' = 'SYSTEM'; 'S-1-5-19' = 'LOCAL SERVICE'; 'S-1-5-20' = 'NETWORK SERVICE' }["$user"]
            if (-not $short -or $password) { $code = 0x80070534 }
        } elseif ($logon -eq 1) {
            $line = @([IO.File]::ReadAllLines($env:STANDIN_USERS) -like "$($short):*")
            if (-not $line) { $code = 0x80070534 }
            elseif (($line[0] -split ':', 3)[2] -cne $password) { $code = 0x8007052E }
            elseif ($line[0] -like '*:*locked*:*') { $code = 0x80070775 }
            elseif ($line[0] -like '*:*disabled*:*') { $code = 0x80070533 }
        } elseif ($logon -ne 2 -or $password) { $code = 0x80070057 }
        Write-StandinLog "RegisterTaskDefinition user=$user logon=$logon code=$code"
        if ($code) { throw (New-StandinError $code 'The Task Scheduler says no.') }
        if ($flags -ne 2 -or [IO.Directory]::Exists("$($this.Path)/$name")) { throw (New-StandinError 0x800700B7 'It exists.') }
        $folder = [IO.Directory]::CreateDirectory("$($this.Path)/$name").FullName
        [IO.File]::WriteAllText("$folder/definition", $definition.Text())
        $level = if ($definition.Principal.RunLevel -eq 1) { 'highest' } else { 'least' }
        [IO.File]::WriteAllText("$folder/who", "$short $level logon=$logon")
        [IO.File]::AppendAllText("$env:STANDIN_TASKS/definitions", $definition.Text() + "`n")
        return [StandinTask]::new($folder)
    }
}

# ITaskService
class StandinTaskService {
    [void] Connect() { $null = [IO.Directory]::CreateDirectory($env:STANDIN_TASKS) }
    [object] NewTask([object] $flags) { return [StandinDefinition]::new() }
    [object] GetFolder([object] $path) {
        $folder = ($env:STANDIN_TASKS + ("$path" -replace '\\', '/')).TrimEnd('/')
        if (-not [IO.Directory]::Exists($folder)) { throw (New-StandinError 0x80070002 'The system cannot find the file specified.') }
        return [StandinFolder]::new($folder)
    }
}

class StandinSid { [string] $Value; [string] ToString() { return $this.Value } }
class StandinPipeRule { [string] $Who; [string] $Rights; [string] $Kind }
class StandinPipeSecurity {
    [Collections.ArrayList] $Rules = @()
    [void] AddAccessRule([StandinPipeRule] $rule) { $null = $this.Rules.Add("$($rule.Kind) $($rule.Who) $($rule.Rights)") }
}

# New-Object knows COM and access rules on Windows only.
function New-Object {
    param([Parameter(Position = 0)] [string] $TypeName, [Parameter(Position = 1)] [object[]] $ArgumentList = @(), [string] $ComObject)
    if ($ComObject -eq 'Schedule.Service') { return [StandinTaskService]::new() }
    if ($ComObject) { throw (New-StandinError 0x800401F3 "no component $ComObject") }
    switch ($TypeName -replace '^System\.', '') {
        'Security.Principal.SecurityIdentifier' { return [StandinSid] @{ Value = "$($ArgumentList[0])" } }
        'IO.Pipes.PipeAccessRule' { return [StandinPipeRule] @{ Who = "$($ArgumentList[0])"; Rights = $ArgumentList[1]; Kind = $ArgumentList[2] } }
        'IO.Pipes.PipeSecurity' { return [StandinPipeSecurity]::new() }
        'IO.Pipes.NamedPipeServerStream' {
            if ($ArgumentList.Length -eq 8) {
                Write-StandinLog "pipe $($ArgumentList[0]) $($ArgumentList[7].Rules -join '; ')"
                $ArgumentList = $ArgumentList[0..4]
            }
        }
    }
    if ($ArgumentList.Length) { Microsoft.PowerShell.Utility\New-Object -TypeName $TypeName -ArgumentList $ArgumentList } else { Microsoft.PowerShell.Utility\New-Object -TypeName $TypeName }
}

# learn.microsoft.com/windows-server/administration/windows-commands/icacls, taskkill
function icacls.exe { Write-StandinLog "icacls $args"; $global:LASTEXITCODE = 0 }
function taskkill.exe {
    Write-StandinLog "taskkill $args"
    $all = @($args[-1])
    # /T: those that it started, and theirs.
    for ($i = 0; $i -lt $all.Length; $i++) {
        foreach ($stat in [IO.Directory]::GetDirectories('/proc')) {
            try {
                $text = [IO.File]::ReadAllText("$stat/stat")
                if (($text.Substring($text.LastIndexOf(')') + 2) -split ' ')[1] -eq "$($all[$i])") { $all += [IO.Path]::GetFileName($stat) }
            } catch { }
        }
    }
    foreach ($id in $all) { & /bin/kill -KILL $id }
    $global:LASTEXITCODE = 0
}
