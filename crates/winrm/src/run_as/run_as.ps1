# Starts a command as another account and passes on its streams; the code in C# is filled in before it is sent. What it is to do
# comes behind this script on standard input: eight hexadecimal digits, and so many bytes of UTF-8, fields that NULs separate. The first
# line that it writes, with a mark that this side has chosen, tells whether the command was started; everything behind it is the command's.
$ProgressPreference = 'SilentlyContinue'
try {
    Add-Type -TypeDefinition @'
SOURCE
'@
} catch {
    [Console]::Out.Write("MARK compile 0 $("$_" -replace '[\r\n]+', ' ')`n")
    exit 1
}
exit ('WinRM.RunAs' -as [type])::Run('MARK')
