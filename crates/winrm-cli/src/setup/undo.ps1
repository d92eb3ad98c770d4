# ---- What setup has changed is put back ----------------------------------------------------------------------------------------------

function Undo-Setup {
    $notes = @(Get-Note)
    # What cuts the connection comes last, so that the rest is done by then.
    $late = @($notes | Where-Object { Get-Cut $_.Kind $_.Place $_.After $_.Before })
    foreach ($note in @($notes | Where-Object { $late -notcontains $_ }) + $late) { Undo-Note $note }
    # A setup that failed before its first change has left a place for notes.
    if (-not $Check -and -not $notes) { Remove-EmptyNoteKey }
}

function Undo-Note($Note) {
    $record = New-Record $Note.Item $Note.Before $null
    try {
        $record.Before = & "Read-$($Note.Kind)" $Note.Place
        $policy = Get-Policy $Note.Kind $Note.Place
        $cut = Get-Cut $Note.Kind $Note.Place $record.Before $Note.Before
        if ($record.Before -eq $Note.Before) {
            $record.Outcome = 'unchanged'
            if (-not $Check) { Remove-Note $Note.Kind $Note.Place }
        } elseif ($policy) {
            $record.Outcome = 'policy'
            Add-Reason $record "group policy sets it ($policy) and wins over what is set here"
        } elseif ($record.Before -ne $Note.After -and -not $Force) {
            $record.Outcome = 'left'
            Add-Reason $record "setup made it '$($Note.After)', and somebody has changed it since; -Force puts it back all the same"
        } elseif ($cut -and -not $Force) {
            $record.Outcome = 'refused'
            Add-Reason $record "$cut; -Force changes it all the same"
        } elseif ($Check) {
            $record.Outcome = 'would change'
        } else {
            & "Write-$($Note.Kind)" $Note.Place $Note.Before
            $after = & "Read-$($Note.Kind)" $Note.Place
            if ($after -ne $Note.Before) { throw "it was written, and reads '$after' all the same" }
            Remove-Note $Note.Kind $Note.Place
            $record.Outcome = 'changed'
        }
    } catch {
        $record.Outcome = 'failed'
        Add-Reason $record (Get-Cause $_ $Note.Kind $Note.Place)
    }
    Complete-Record $record
}
