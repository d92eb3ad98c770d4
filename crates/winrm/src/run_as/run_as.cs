// Windows PowerShell's compiler knows C# 5, and hosts have .NET Framework 4.5.
using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace WinRM
{
    public static class RunAs
    {
        // What was asked for, in the order of its fields.
        static string account, serviceSid, password, commandLine, directory;
        static int logonType, logonFlags;
        static readonly List<string> variables = new List<string>();

        static IntPtr job = IntPtr.Zero;
        static Native.PROCESS_INFORMATION process;
        static int interrupts;

        sealed class Failure : Exception
        {
            public readonly string Stage;
            public readonly int Code;

            public Failure(string stage, int code, string text) : base(text)
            {
                Stage = stage;
                Code = code;
            }

            public Failure(string stage, int code) : this(stage, code, new Win32Exception(code).Message) { }
        }

        public static int Run(string mark)
        {
            Stream input = Console.OpenStandardInput();
            Stream output = Console.OpenStandardOutput();
            AnonymousPipeServerStream stdin = null, stdout = null, stderr = null;
            IntPtr profile = IntPtr.Zero, token = IntPtr.Zero;
            try
            {
                ReadRequest(input);
                stdin = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.Inheritable);
                stdout = new AnonymousPipeServerStream(PipeDirection.In, HandleInheritability.Inheritable);
                stderr = new AnonymousPipeServerStream(PipeDirection.In, HandleInheritability.Inheritable);
                Start(stdin, stdout, stderr, ref token, ref profile);
            }
            catch (Failure failure)
            {
                string text = failure.Message.Replace("\r", " ").Replace("\n", " ").Trim();
                Say(output, mark + " " + failure.Stage + " " + failure.Code + " " + text + "\n");
                return 1;
            }
            finally
            {
                password = null;
            }
            stdin.DisposeLocalCopyOfClientHandle();
            stdout.DisposeLocalCopyOfClientHandle();
            stderr.DisposeLocalCopyOfClientHandle();
            Say(output, mark + " started " + process.dwProcessId + "\n");
            Console.CancelKeyPress += Interrupted;
            Native.ResumeThread(process.hThread);

            Relay fromOutput = new Relay(stdout, output), fromError = new Relay(stderr, Console.OpenStandardError());
            // Reading standard input can't be cancelled: it ends with this process.
            new Relay(input, stdin).Begin(true);
            fromOutput.Begin(false);
            fromError.Begin(false);
            Native.WaitForSingleObject(process.hProcess, 0xFFFFFFFF);
            uint code;
            if (!Native.GetExitCodeProcess(process.hProcess, out code)) { code = 1; }
            fromOutput.Finish();
            fromError.Finish();
            if (profile != IntPtr.Zero) { Native.UnloadUserProfile(token, profile); }
            return unchecked((int)code);
        }

        static void Say(Stream output, string line)
        {
            byte[] bytes = new UTF8Encoding(false).GetBytes(line);
            output.Write(bytes, 0, bytes.Length);
            output.Flush();
        }

        static byte[] ReadExactly(Stream input, int length)
        {
            byte[] bytes = new byte[length];
            int count = 0;
            while (count < length)
            {
                int read = input.Read(bytes, count, length - count);
                if (read <= 0) { throw new Failure("request", 0, "what is to be run did not arrive as a whole"); }
                count += read;
            }
            return bytes;
        }

        static void ReadRequest(Stream input)
        {
            int length = Convert.ToInt32(Encoding.ASCII.GetString(ReadExactly(input, 8)), 16);
            string[] fields = Encoding.UTF8.GetString(ReadExactly(input, length)).Split('\0');
            account = fields[0];
            serviceSid = fields[1];
            password = fields[2];
            logonType = int.Parse(fields[3]);
            logonFlags = int.Parse(fields[4]);
            commandLine = fields[5];
            directory = fields[6];
            for (int i = 7; i < fields.Length; i++) { variables.Add(fields[i]); }
        }

        static void Start(AnonymousPipeServerStream stdin, AnonymousPipeServerStream stdout, AnonymousPipeServerStream stderr, ref IntPtr token, ref IntPtr profile)
        {
            foreach (string privilege in new[] { "SeDebugPrivilege", "SeBackupPrivilege", "SeRestorePrivilege" }) { Enable(privilege); }
            bool mayImpersonate = Enable("SeImpersonatePrivilege");
            Native.STARTUPINFO startup = new Native.STARTUPINFO();
            startup.cb = Marshal.SizeOf(typeof(Native.STARTUPINFO));
            startup.dwFlags = 0x100; // STARTF_USESTDHANDLES
            startup.hStdInput = stdin.ClientSafePipeHandle.DangerousGetHandle();
            startup.hStdOutput = stdout.ClientSafePipeHandle.DangerousGetHandle();
            startup.hStdError = stderr.ClientSafePipeHandle.DangerousGetHandle();
            string folder = directory.Length == 0 ? null : directory;
            if (commandLine.Length > LongestLine) { Shorten(); }
            // CREATE_SUSPENDED, CREATE_NEW_CONSOLE, CREATE_NEW_PROCESS_GROUP, CREATE_UNICODE_ENVIRONMENT
            uint flags = 0x4 | 0x10 | 0x200 | 0x400;
            StringBuilder line = new StringBuilder(commandLine);

            if (!mayImpersonate && serviceSid.Length == 0)
            {
                // An account that may not use another's token may still log somebody on; what starts then is not elevated.
                if (variables.Count > 0) { throw new Failure("start", 1314, "without it, variables and long command lines can't be handed over"); }
                string user, domain;
                Names(out user, out domain);
                if (!Native.CreateProcessWithLogonW(user, domain, password, logonFlags, null, line, flags, IntPtr.Zero, folder, ref startup, out process))
                {
                    throw new Failure("logon", Marshal.GetLastWin32Error());
                }
            }
            else
            {
                token = serviceSid.Length > 0 ? ServiceToken() : UserToken();
                GrantStation(token);
                if ((logonFlags & 1) != 0 && serviceSid.Length == 0)
                {
                    Native.PROFILEINFO info = new Native.PROFILEINFO();
                    info.dwSize = Marshal.SizeOf(typeof(Native.PROFILEINFO));
                    info.dwFlags = 1; // PI_NOUI
                    info.lpUserName = account;
                    // Without the privileges for it, the Secondary Logon service loads it.
                    if (Native.LoadUserProfileW(token, ref info)) { profile = info.hProfile; }
                }
                IntPtr environment = EnvironmentOf(token);
                try
                {
                    if (!Native.CreateProcessWithTokenW(token, logonFlags, null, line, flags, environment, folder, ref startup, out process))
                    {
                        throw new Failure("start", Marshal.GetLastWin32Error());
                    }
                }
                finally
                {
                    Marshal.FreeHGlobal(environment);
                }
            }
            // Whatever becomes of this process, the command ends with it.
            job = Native.CreateJobObjectW(IntPtr.Zero, null);
            Native.JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = new Native.JOBOBJECT_EXTENDED_LIMIT_INFORMATION();
            limits.LimitFlags = 0x2000; // JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
            Native.SetInformationJobObject(job, 9, ref limits, Marshal.SizeOf(typeof(Native.JOBOBJECT_EXTENDED_LIMIT_INFORMATION)));
            // Before Server 2012 a process that is in a job already can't be in another.
            if (!Native.AssignProcessToJobObject(job, process.hProcess)) { job = IntPtr.Zero; }
        }

        // The functions that start processes for others take 1,024 characters. A longer line goes through a variable: a PowerShell of the account
        // takes it from there, and starts what it says with its own streams.
        const int LongestLine = 1000;

        static void Shorten()
        {
            const string stage = "$s = New-Object Diagnostics.ProcessStartInfo $env:WINRM_P, $env:WINRM_L\n"
                + "$s.UseShellExecute = $false\n"
                + "'WINRM_P', 'WINRM_L' | % { $s.EnvironmentVariables.Remove($_) }\n"
                + "$p = [Diagnostics.Process]::Start($s)\n$p.WaitForExit()\nexit $p.ExitCode";
            bool quoted = commandLine[0] == '"';
            int end = commandLine.IndexOf(quoted ? '"' : ' ', 1);
            if (end < 0) { end = commandLine.Length; }
            variables.Add("WINRM_P=" + commandLine.Substring(quoted ? 1 : 0, quoted ? end - 1 : end));
            variables.Add("WINRM_L=" + commandLine.Substring(Math.Min(end + 1, commandLine.Length)).TrimStart());
            commandLine = "powershell.exe -NoProfile -NonInteractive -InputFormat None -EncodedCommand "
                + Convert.ToBase64String(Encoding.Unicode.GetBytes(stage));
        }

        static bool Enable(string privilege)
        {
            IntPtr own;
            if (!Native.OpenProcessToken(Native.GetCurrentProcess(), 0x28, out own)) { return false; }
            Native.TOKEN_PRIVILEGES privileges = new Native.TOKEN_PRIVILEGES();
            privileges.PrivilegeCount = 1;
            privileges.Attributes = 2; // SE_PRIVILEGE_ENABLED
            bool enabled = Native.LookupPrivilegeValueW(null, privilege, out privileges.Luid)
                && Native.AdjustTokenPrivileges(own, false, ref privileges, 0, IntPtr.Zero, IntPtr.Zero)
                // It succeeds with ERROR_NOT_ALL_ASSIGNED where the account has no such privilege.
                && Marshal.GetLastWin32Error() == 0;
            Native.CloseHandle(own);
            return enabled;
        }

        // Name and domain as LogonUser takes them: a name with @ stands alone.
        static void Names(out string user, out string domain)
        {
            int slash = account.IndexOf('\\');
            user = slash < 0 ? account : account.Substring(slash + 1);
            domain = slash < 0 ? null : account.Substring(0, slash);
            string known = account;
            if (domain == ".")
            {
                domain = Environment.MachineName;
                known = domain + "\\" + user;
            }
            uint sidLength = 256, domainLength = 256;
            int use;
            StringBuilder found = new StringBuilder(256);
            if (!Native.LookupAccountNameW(null, known, new byte[256], ref sidLength, found, ref domainLength, out use))
            {
                int code = Marshal.GetLastWin32Error();
                // Without an answer from a domain controller nobody knows: the logon will tell.
                if (code == 1332) { throw new Failure("account", code); }
            }
            else if (domain == null && account.IndexOf('@') < 0)
            {
                domain = found.ToString();
            }
        }

        static IntPtr UserToken()
        {
            string user, domain;
            Names(out user, out domain);
            const int newCredentials = 9;
            IntPtr system = IntPtr.Zero;
            // Only the system gets the elevated half of a token as one that starts processes. With new credentials the own token is what is copied.
            bool impersonates = logonType != newCredentials
                && (system = TokenOf("S-1-5-18")) != IntPtr.Zero
                && Native.ImpersonateLoggedOnUser(system);
            try
            {
                IntPtr token;
                // Once, whatever comes of it: a second try with a wrong password may lock the account.
                if (!Native.LogonUserW(user, domain, password, logonType, logonType == newCredentials ? 3 : 0, out token))
                {
                    throw new Failure("logon", Marshal.GetLastWin32Error());
                }
                IntPtr elevated = ElevatedHalf(token);
                return Primary(elevated != IntPtr.Zero ? elevated : token);
            }
            finally
            {
                if (impersonates) { Native.RevertToSelf(); }
                if (system != IntPtr.Zero) { Native.CloseHandle(system); }
            }
        }

        static IntPtr ServiceToken()
        {
            IntPtr token = TokenOf(serviceSid);
            if (token == IntPtr.Zero) { throw new Failure("token", 5, "no process of that account can be opened"); }
            return token;
        }

        static IntPtr Primary(IntPtr token)
        {
            IntPtr copy;
            // MAXIMUM_ALLOWED, SecurityImpersonation, TokenPrimary
            if (!Native.DuplicateTokenEx(token, 0x2000000, IntPtr.Zero, 2, 1, out copy)) { throw new Failure("token", Marshal.GetLastWin32Error()); }
            Native.CloseHandle(token);
            return copy;
        }

        static byte[] Information(IntPtr token, int kind)
        {
            int length;
            Native.GetTokenInformation(token, kind, IntPtr.Zero, 0, out length);
            IntPtr memory = Marshal.AllocHGlobal(Math.Max(length, 16));
            try
            {
                if (!Native.GetTokenInformation(token, kind, memory, length, out length)) { return null; }
                byte[] bytes = new byte[length];
                Marshal.Copy(memory, bytes, 0, length);
                return bytes;
            }
            finally
            {
                Marshal.FreeHGlobal(memory);
            }
        }

        static int Number(IntPtr token, int kind)
        {
            byte[] bytes = Information(token, kind);
            return bytes == null || bytes.Length < 4 ? -1 : BitConverter.ToInt32(bytes, 0);
        }

        // The full token of an administrator whose logon gave a filtered one.
        static IntPtr ElevatedHalf(IntPtr token)
        {
            const int elevationType = 18, linkedToken = 19, tokenType = 8, limited = 3, primary = 1;
            if (Number(token, elevationType) != limited) { return IntPtr.Zero; }
            byte[] bytes = Information(token, linkedToken);
            if (bytes == null || bytes.Length < IntPtr.Size) { return IntPtr.Zero; }
            IntPtr linked = IntPtr.Size == 8 ? new IntPtr(BitConverter.ToInt64(bytes, 0)) : new IntPtr(BitConverter.ToInt32(bytes, 0));
            if (Number(linked, tokenType) == primary) { return linked; }
            Native.CloseHandle(linked);
            return IntPtr.Zero;
        }

        static string SidOf(IntPtr token)
        {
            int length;
            Native.GetTokenInformation(token, 1, IntPtr.Zero, 0, out length);
            IntPtr user = Marshal.AllocHGlobal(Math.Max(length, 16));
            try
            {
                IntPtr text;
                if (!Native.GetTokenInformation(token, 1, user, length, out length)) { return ""; }
                if (!Native.ConvertSidToStringSidW(Marshal.ReadIntPtr(user), out text)) { return ""; }
                string sid = Marshal.PtrToStringUni(text);
                Native.LocalFree(text);
                return sid;
            }
            finally
            {
                Marshal.FreeHGlobal(user);
            }
        }

        // A copy of the fullest token that a process of this account has: of session 0, since others may show windows to somebody.
        static IntPtr TokenOf(string sid)
        {
            IntPtr best = IntPtr.Zero;
            int most = -1;
            foreach (Process candidate in Process.GetProcesses())
            {
                IntPtr handle = Native.OpenProcess(0x1000, false, candidate.Id);
                if (handle == IntPtr.Zero) { continue; }
                IntPtr token;
                // TOKEN_QUERY, TOKEN_DUPLICATE
                bool opened = Native.OpenProcessToken(handle, 0xA, out token);
                Native.CloseHandle(handle);
                if (!opened) { continue; }
                if (SidOf(token) == sid && !Native.IsTokenRestricted(token))
                {
                    int rank = Number(token, 3) + (Number(token, 12) == 0 ? 1000 : 0);
                    IntPtr copy;
                    if (rank > most && Native.DuplicateTokenEx(token, 0x2000000, IntPtr.Zero, 2, 1, out copy))
                    {
                        if (best != IntPtr.Zero) { Native.CloseHandle(best); }
                        best = copy;
                        most = rank;
                    }
                }
                Native.CloseHandle(token);
            }
            return best;
        }

        // Without a right to window station and desktop, a process ends while its libraries are loaded.
        static void GrantStation(IntPtr token)
        {
            int length;
            Native.GetTokenInformation(token, 1, IntPtr.Zero, 0, out length);
            IntPtr user = Marshal.AllocHGlobal(Math.Max(length, 16));
            try
            {
                if (!Native.GetTokenInformation(token, 1, user, length, out length)) { return; }
                IntPtr sid = Marshal.ReadIntPtr(user);
                Grant(Native.GetProcessWindowStation(), 0x000F037F, sid);
                Grant(Native.GetThreadDesktop(Native.GetCurrentThreadId()), 0x000F01FF, sid);
            }
            finally
            {
                Marshal.FreeHGlobal(user);
            }
        }

        static void Grant(IntPtr handle, uint rights, IntPtr sid)
        {
            const int windowObject = 7, dacl = 4;
            IntPtr before, after, descriptor, none;
            if (Native.GetSecurityInfo(handle, windowObject, dacl, out none, out none, out before, out none, out descriptor) != 0) { return; }
            Native.EXPLICIT_ACCESS entry = new Native.EXPLICIT_ACCESS();
            entry.grfAccessPermissions = rights;
            entry.grfAccessMode = 1; // GRANT_ACCESS
            entry.TrusteeType = 1; // TRUSTEE_IS_USER
            entry.ptstrName = sid;
            if (Native.SetEntriesInAclW(1, ref entry, before, out after) == 0)
            {
                Native.SetSecurityInfo(handle, windowObject, dacl, IntPtr.Zero, IntPtr.Zero, after, IntPtr.Zero);
                Native.LocalFree(after);
            }
            Native.LocalFree(descriptor);
        }

        // The account's own variables, and over them those that were asked for.
        static IntPtr EnvironmentOf(IntPtr token)
        {
            SortedDictionary<string, string> all = new SortedDictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            IntPtr block;
            if (!Native.CreateEnvironmentBlock(out block, token, false)) { throw new Failure("start", Marshal.GetLastWin32Error()); }
            for (IntPtr at = block; ; )
            {
                string entry = Marshal.PtrToStringUni(at);
                if (entry.Length == 0) { break; }
                Set(all, entry);
                at = new IntPtr(at.ToInt64() + 2 * (entry.Length + 1));
            }
            Native.DestroyEnvironmentBlock(block);
            foreach (string entry in variables) { Set(all, entry); }
            StringBuilder text = new StringBuilder();
            foreach (KeyValuePair<string, string> entry in all) { text.Append(entry.Key).Append('=').Append(entry.Value).Append('\0'); }
            text.Append('\0');
            return Marshal.StringToHGlobalUni(text.ToString());
        }

        static void Set(SortedDictionary<string, string> all, string entry)
        {
            // cmd's own, such as =C:, begin with the sign.
            int sign = entry.IndexOf('=', 1);
            if (sign > 0) { all[entry.Substring(0, sign)] = entry.Substring(sign + 1); }
        }

        // The command has a console of its own, where Ctrl-C of ours doesn't reach it. It leads a process group, so it is Ctrl-Break.
        static void Interrupted(object sender, ConsoleCancelEventArgs arguments)
        {
            arguments.Cancel = true;
            bool passed = false;
            if (Interlocked.Increment(ref interrupts) == 1)
            {
                Native.FreeConsole();
                passed = Native.AttachConsole(process.dwProcessId) && Native.GenerateConsoleCtrlEvent(1, process.dwProcessId);
                Native.FreeConsole();
                Native.AttachConsole(0xFFFFFFFF);
            }
            if (passed) { return; }
            if (job == IntPtr.Zero) { Native.TerminateProcess(process.hProcess, 0xC000013A); } else { Native.TerminateJobObject(job, 0xC000013A); }
        }

        sealed class Relay
        {
            readonly Stream source, target;
            readonly ManualResetEvent ended = new ManualResetEvent(false);
            long count;
            volatile bool waits;

            public Relay(Stream source, Stream target)
            {
                this.source = source;
                this.target = target;
            }

            public void Begin(bool closes)
            {
                Thread thread = new Thread(delegate() { Copy(closes); });
                thread.IsBackground = true;
                thread.Start();
            }

            void Copy(bool closes)
            {
                byte[] buffer = new byte[65536];
                try
                {
                    while (true)
                    {
                        waits = true;
                        int read = source.Read(buffer, 0, buffer.Length);
                        waits = false;
                        if (read <= 0) { break; }
                        target.Write(buffer, 0, read);
                        target.Flush();
                        Interlocked.Add(ref count, read);
                    }
                }
                catch (IOException) { }
                catch (ObjectDisposedException) { }
                if (closes)
                {
                    try { target.Dispose(); } catch (IOException) { }
                }
                ended.Set();
            }

            // What the command has written is passed on, however slowly it is taken. Programs that it left behind and that hold its
            // streams open are not waited for.
            public void Finish()
            {
                long before = -1;
                while (!ended.WaitOne(2000))
                {
                    long now = Interlocked.Read(ref count);
                    if (waits && now == before) { return; }
                    before = now;
                }
            }
        }
    }

    static class Native
    {
        [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
        internal struct STARTUPINFO
        {
            public int cb;
            public IntPtr lpReserved, lpDesktop, lpTitle;
            public uint dwX, dwY, dwXSize, dwYSize, dwXCountChars, dwYCountChars, dwFillAttribute, dwFlags;
            public ushort wShowWindow, cbReserved2;
            public IntPtr lpReserved2, hStdInput, hStdOutput, hStdError;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct PROCESS_INFORMATION
        {
            public IntPtr hProcess, hThread;
            public uint dwProcessId, dwThreadId;
        }

        [StructLayout(LayoutKind.Sequential, Pack = 4)]
        internal struct TOKEN_PRIVILEGES
        {
            public uint PrivilegeCount;
            public long Luid;
            public uint Attributes;
        }

        [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
        internal struct PROFILEINFO
        {
            public int dwSize, dwFlags;
            public string lpUserName, lpProfilePath, lpDefaultPath, lpServerName, lpPolicyPath;
            public IntPtr hProfile;
        }

        // TRUSTEE is written out at its end.
        [StructLayout(LayoutKind.Sequential)]
        internal struct EXPLICIT_ACCESS
        {
            public uint grfAccessPermissions, grfAccessMode, grfInheritance;
            public IntPtr pMultipleTrustee;
            public int MultipleTrusteeOperation, TrusteeForm, TrusteeType;
            public IntPtr ptstrName;
        }

        // JOBOBJECT_BASIC_LIMIT_INFORMATION and IO_COUNTERS are written out.
        [StructLayout(LayoutKind.Sequential)]
        internal struct JOBOBJECT_EXTENDED_LIMIT_INFORMATION
        {
            public long PerProcessUserTimeLimit, PerJobUserTimeLimit;
            public uint LimitFlags;
            public UIntPtr MinimumWorkingSetSize, MaximumWorkingSetSize;
            public uint ActiveProcessLimit;
            public UIntPtr Affinity;
            public uint PriorityClass, SchedulingClass;
            public ulong ReadOperations, WriteOperations, OtherOperations, ReadBytes, WriteBytes, OtherBytes;
            public UIntPtr ProcessMemoryLimit, JobMemoryLimit, PeakProcessMemoryUsed, PeakJobMemoryUsed;
        }

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool LogonUserW(string user, string domain, string password, int type, int provider, out IntPtr token);
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool CreateProcessWithTokenW(IntPtr token, int logonFlags, string application, StringBuilder line, uint flags, IntPtr environment, string directory, ref STARTUPINFO startup, out PROCESS_INFORMATION process);
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool CreateProcessWithLogonW(string user, string domain, string password, int logonFlags, string application, StringBuilder line, uint flags, IntPtr environment, string directory, ref STARTUPINFO startup, out PROCESS_INFORMATION process);
        [DllImport("advapi32.dll", SetLastError = true)]
        internal static extern bool OpenProcessToken(IntPtr process, uint access, out IntPtr token);
        [DllImport("advapi32.dll", SetLastError = true)]
        internal static extern bool DuplicateTokenEx(IntPtr token, uint access, IntPtr attributes, int level, int type, out IntPtr copy);
        [DllImport("advapi32.dll", SetLastError = true)]
        internal static extern bool GetTokenInformation(IntPtr token, int kind, IntPtr information, int length, out int needed);
        [DllImport("advapi32.dll")]
        internal static extern bool IsTokenRestricted(IntPtr token);
        [DllImport("advapi32.dll", SetLastError = true)]
        internal static extern bool ImpersonateLoggedOnUser(IntPtr token);
        [DllImport("advapi32.dll", SetLastError = true)]
        internal static extern bool RevertToSelf();
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool LookupPrivilegeValueW(string system, string name, out long luid);
        [DllImport("advapi32.dll", SetLastError = true)]
        internal static extern bool AdjustTokenPrivileges(IntPtr token, bool disableAll, ref TOKEN_PRIVILEGES state, int length, IntPtr previous, IntPtr needed);
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool LookupAccountNameW(string system, string name, byte[] sid, ref uint sidLength, StringBuilder domain, ref uint domainLength, out int use);
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool ConvertSidToStringSidW(IntPtr sid, out IntPtr text);
        [DllImport("advapi32.dll")]
        internal static extern int GetSecurityInfo(IntPtr handle, int type, int what, out IntPtr owner, out IntPtr group, out IntPtr dacl, out IntPtr sacl, out IntPtr descriptor);
        [DllImport("advapi32.dll")]
        internal static extern int SetSecurityInfo(IntPtr handle, int type, int what, IntPtr owner, IntPtr group, IntPtr dacl, IntPtr sacl);
        [DllImport("advapi32.dll")]
        internal static extern int SetEntriesInAclW(int count, ref EXPLICIT_ACCESS entries, IntPtr before, out IntPtr after);
        [DllImport("userenv.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern bool LoadUserProfileW(IntPtr token, ref PROFILEINFO profile);
        [DllImport("userenv.dll", SetLastError = true)]
        internal static extern bool UnloadUserProfile(IntPtr token, IntPtr profile);
        [DllImport("userenv.dll", SetLastError = true)]
        internal static extern bool CreateEnvironmentBlock(out IntPtr block, IntPtr token, bool inherit);
        [DllImport("userenv.dll", SetLastError = true)]
        internal static extern bool DestroyEnvironmentBlock(IntPtr block);
        [DllImport("user32.dll", SetLastError = true)]
        internal static extern IntPtr GetProcessWindowStation();
        [DllImport("user32.dll", SetLastError = true)]
        internal static extern IntPtr GetThreadDesktop(uint thread);
        [DllImport("kernel32.dll")]
        internal static extern uint GetCurrentThreadId();
        [DllImport("kernel32.dll")]
        internal static extern IntPtr GetCurrentProcess();
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern IntPtr OpenProcess(uint access, bool inherit, int id);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool CloseHandle(IntPtr handle);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern IntPtr LocalFree(IntPtr memory);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern uint ResumeThread(IntPtr thread);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern uint WaitForSingleObject(IntPtr handle, uint milliseconds);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool GetExitCodeProcess(IntPtr process, out uint code);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool TerminateProcess(IntPtr process, uint code);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        internal static extern IntPtr CreateJobObjectW(IntPtr attributes, string name);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool SetInformationJobObject(IntPtr job, int kind, ref JOBOBJECT_EXTENDED_LIMIT_INFORMATION information, int length);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool AssignProcessToJobObject(IntPtr job, IntPtr process);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool TerminateJobObject(IntPtr job, uint code);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool FreeConsole();
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool AttachConsole(uint process);
        [DllImport("kernel32.dll", SetLastError = true)]
        internal static extern bool GenerateConsoleCtrlEvent(uint kind, uint group);
    }
}
