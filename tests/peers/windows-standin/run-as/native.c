/* Stands in for the functions of advapi32, kernel32, userenv and user32 that start a process as another account, as Microsoft's pages describe
 * them, on top of fork and exec. .NET finds it under each of those names (advapi32.dll.so, ...) by LD_LIBRARY_PATH. It is no Windows: it
 * checks what a caller hands over (sizes of structures, handles, flags, passwords) and does what the pages say of the outcome.
 *
 * STANDIN_USERS    a file, one account a line: NAME:FLAGS:PASSWORD, flags among admin,locked,disabled,expired,must-change,no-TYPE
 * STANDIN_LOG      a file to which every call of note is appended, one a line, without passwords
 * STANDIN_CALLER   admin (what WinRM gives an administrator) or limited
 * STANDIN_SERVICES PID=SID,... the processes of service accounts; process 1 is the system's where nothing is said
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint16_t W;
typedef void *HANDLE;
typedef int BOOL;

enum { TOKEN = 0x544b, PROCESS, THREAD, JOB, PROFILE };
enum {
    ACCESS_DENIED = 5, INVALID_HANDLE = 6, INVALID_PARAMETER = 87, INSUFFICIENT_BUFFER = 122, DIRECTORY = 267, NOT_ALL_ASSIGNED = 1300,
    PRIVILEGE_NOT_HELD = 1314, LOGON_FAILURE = 1326, ACCOUNT_DISABLED = 1331, NONE_MAPPED = 1332, LOGON_NOT_GRANTED = 1385,
    ACCOUNT_EXPIRED = 1793, PASSWORD_MUST_CHANGE = 1907, LOCKED_OUT = 1909
};

struct handle {
    int kind;
    /* tokens */
    char sid[64], name[128], logon[32];
    int admin, elevated, impersonation;
    /* processes and threads */
    int pid, gate, status, ended, killed, job;
    struct handle *process;
    uint32_t code;
};

static __thread int is_system;

static void note(const char *format, ...)
{
    const char *path = getenv("STANDIN_LOG");
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (!path || length <= 0) return;
    line[length++] = '\n';
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file >= 0) {
        if (write(file, line, length) < 0) {}
        close(file);
    }
}

static BOOL fail(int code)
{
    errno = code;
    return 0;
}

static struct handle *new(int kind)
{
    struct handle *made = calloc(1, sizeof *made);
    made->kind = kind;
    made->gate = -1;
    return made;
}

static struct handle *as(HANDLE handle, int kind)
{
    struct handle *known = handle;
    return known && (intptr_t)known != -1 && known->kind == kind ? known : NULL;
}

/* UTF-16 to UTF-8; every caller gets memory of its own. */
static char *utf8(const W *text)
{
    if (!text) return NULL;
    size_t length = 0;
    while (text[length]) length++;
    char *made = malloc(4 * length + 1), *at = made;
    for (size_t i = 0; i < length; i++) {
        uint32_t c = text[i];
        if (c >= 0xD800 && c < 0xDC00) c = 0x10000 + ((c - 0xD800) << 10) + (text[++i] - 0xDC00);
        if (c < 0x80) *at++ = c;
        else if (c < 0x800) { *at++ = 0xC0 | c >> 6; *at++ = 0x80 | (c & 63); }
        else if (c < 0x10000) { *at++ = 0xE0 | c >> 12; *at++ = 0x80 | (c >> 6 & 63); *at++ = 0x80 | (c & 63); }
        else { *at++ = 0xF0 | c >> 18; *at++ = 0x80 | (c >> 12 & 63); *at++ = 0x80 | (c >> 6 & 63); *at++ = 0x80 | (c & 63); }
    }
    *at = 0;
    return made;
}

static size_t utf16(const char *text, W *to)
{
    size_t length = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        uint32_t c = *at++;
        int more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
        if (more) c &= 0x3F >> more;
        for (; more && *at; more--) c = c << 6 | (*at++ & 63);
        if (c < 0x10000) { if (to) to[length] = c; length++; }
        else { c -= 0x10000; if (to) { to[length] = 0xD800 + (c >> 10); to[length + 1] = 0xDC00 + (c & 0x3FF); } length += 2; }
    }
    return length;
}

struct account { char name[128], flags[256], password[256], sid[64]; };

static int find_account(const char *name, struct account *found)
{
    char line[1024];
    int number = 1000, known = 0;
    FILE *users = fopen(getenv("STANDIN_USERS") ? getenv("STANDIN_USERS") : "/dev/null", "r");
    while (users && !known && fgets(line, sizeof line, users)) {
        line[strcspn(line, "\n")] = 0;
        char *flags = strchr(line, ':'), *password = flags ? strchr(flags + 1, ':') : NULL;
        number++;
        if (!password) continue;
        *flags++ = *password++ = 0;
        if (strcasecmp(line, name)) continue;
        snprintf(found->name, sizeof found->name, "%s", line);
        snprintf(found->flags, sizeof found->flags, ",%s,", flags);
        snprintf(found->password, sizeof found->password, "%s", password);
        snprintf(found->sid, sizeof found->sid, "S-1-5-21-11-22-33-%d", number);
        known = 1;
    }
    if (users) fclose(users);
    return known;
}

static int has(const struct account *account, const char *flag)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, ",%s,", flag);
    return strstr(account->flags, wanted) != NULL;
}

static int caller_is_admin(void)
{
    const char *caller = getenv("STANDIN_CALLER");
    return !caller || !strcmp(caller, "admin");
}

/* ---- accounts ---- */

static const char *service_name(const char *sid)
{
    return !strcmp(sid, "S-1-5-18") ? "SYSTEM" : !strcmp(sid, "S-1-5-19") ? "LOCAL SERVICE" : !strcmp(sid, "S-1-5-20") ? "NETWORK SERVICE" : NULL;
}

static size_t sid_bytes(const char *text, unsigned char *to)
{
    unsigned long part;
    char *at;
    size_t count = 0;
    strtoul(text + 4, &at, 10);
    memset(to, 0, 8);
    to[0] = 1;
    to[7] = 5;
    while (*at == '-') {
        part = strtoul(at + 1, &at, 10);
        uint32_t word = part;
        memcpy(to + 8 + 4 * count++, &word, 4);
    }
    to[1] = count;
    return 8 + 4 * count;
}

BOOL ConvertSidToStringSidW(const unsigned char *sid, W **text)
{
    char made[128];
    if (!sid || sid[0] != 1) return fail(1337);
    int length = sprintf(made, "S-1-%d", sid[7]);
    for (int i = 0; i < sid[1]; i++) {
        uint32_t part;
        memcpy(&part, sid + 8 + 4 * i, 4);
        length += sprintf(made + length, "-%u", part);
    }
    *text = calloc(length + 1, sizeof(W));
    utf16(made, *text);
    return 1;
}

HANDLE LocalFree(HANDLE memory)
{
    free(memory);
    return NULL;
}

BOOL LookupAccountNameW(const W *system, const W *name, void *sid, uint32_t *sid_length, W *domain, uint32_t *domain_length, int *use)
{
    struct account account;
    char *text = utf8(name), *slash = strchr(text, '\\'), bare[256];
    (void)system;
    snprintf(bare, sizeof bare, "%s", slash ? slash + 1 : text);
    free(text);
    bare[strcspn(bare, "@")] = 0;
    if (!find_account(bare, &account)) return fail(NONE_MAPPED);
    unsigned char made[68];
    size_t length = sid_bytes(account.sid, made);
    if (*sid_length < length || *domain_length < 8) return fail(INSUFFICIENT_BUFFER);
    memcpy(sid, made, length);
    domain[utf16("STANDIN", domain)] = 0;
    *domain_length = 7;
    *sid_length = length;
    *use = 1;
    return 1;
}

/* ---- tokens ---- */

static const char *logon_name(int type)
{
    return type == 2 ? "interactive" : type == 3 ? "network" : type == 4 ? "batch" : type == 5 ? "service" : type == 7 ? "unlock"
        : type == 8 ? "network_cleartext" : type == 9 ? "new_credentials" : NULL;
}

static int log_on(const char *call, const W *user, const W *domain, const W *password, int type, struct handle **token)
{
    struct account account;
    char *name = utf8(user), *where = utf8(domain), *secret = utf8(password), bare[256], refused[64];
    int code = 0;
    snprintf(bare, sizeof bare, "%s", name ? name : "");
    bare[strcspn(bare, "@")] = 0;
    if (!logon_name(type)) code = INVALID_PARAMETER;
    else if (strchr(name, '@') && where) code = INVALID_PARAMETER;
    else if (type == 9) { memset(&account, 0, sizeof account); snprintf(account.name, sizeof account.name, "%s", bare); strcpy(account.sid, "S-1-5-21-11-22-33-999"); }
    else if (!find_account(bare, &account) || strcmp(account.password, secret ? secret : "")) code = LOGON_FAILURE;
    else if (has(&account, "locked")) code = LOCKED_OUT;
    else if (has(&account, "disabled")) code = ACCOUNT_DISABLED;
    else if (has(&account, "expired")) code = ACCOUNT_EXPIRED;
    else if (has(&account, "must-change")) code = PASSWORD_MUST_CHANGE;
    else {
        snprintf(refused, sizeof refused, "no-%s", logon_name(type));
        if (has(&account, refused)) code = LOGON_NOT_GRANTED;
    }
    note("%s user=%s domain=%s type=%s as=%s code=%d", call, name, where ? where : "", logon_name(type), is_system ? "system" : "caller", code);
    if (!code) {
        *token = new(TOKEN);
        snprintf((*token)->name, sizeof (*token)->name, "%s", account.name);
        snprintf((*token)->sid, sizeof (*token)->sid, "%s", account.sid);
        snprintf((*token)->logon, sizeof (*token)->logon, "%s", logon_name(type));
        (*token)->admin = has(&account, "admin");
        (*token)->elevated = (*token)->admin && type != 2;
        (*token)->impersonation = type == 3;
    }
    free(name);
    free(where);
    if (secret) { memset(secret, 0, strlen(secret)); free(secret); }
    return code;
}

BOOL LogonUserW(const W *user, const W *domain, const W *password, int type, int provider, HANDLE *token)
{
    if (type == 9 && provider != 3) return fail(INVALID_PARAMETER);
    int code = log_on("LogonUserW", user, domain, password, type, (struct handle **)token);
    return code ? fail(code) : 1;
}

HANDLE GetCurrentProcess(void) { return (HANDLE)-1; }

HANDLE OpenProcess(uint32_t access, BOOL inherit, int pid)
{
    (void)inherit;
    if (access != 0x1000) return fail(INVALID_PARAMETER), NULL;
    if (!caller_is_admin() && pid != getpid()) return fail(ACCESS_DENIED), NULL;
    struct handle *process = new(PROCESS);
    process->pid = pid;
    return process;
}

BOOL OpenProcessToken(HANDLE process, uint32_t access, HANDLE *token)
{
    struct handle *known = as(process, PROCESS), *made;
    (void)access;
    if (!known && process != GetCurrentProcess()) return fail(INVALID_HANDLE);
    made = new(TOKEN);
    strcpy(made->sid, "S-1-5-21-11-22-33-500");
    strcpy(made->name, "caller");
    made->elevated = made->admin = caller_is_admin();
    const char *services = getenv("STANDIN_SERVICES");
    for (const char *at = services ? services : "1=S-1-5-18"; known && at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : "") {
        char sid[64];
        int pid;
        if (sscanf(at, "%d=%63[^,]", &pid, sid) == 2 && pid == known->pid && service_name(sid)) {
            strcpy(made->sid, sid);
            strcpy(made->name, service_name(sid));
            strcpy(made->logon, "service");
            made->elevated = 1;
        }
    }
    *token = made;
    return 1;
}

BOOL DuplicateTokenEx(HANDLE token, uint32_t access, void *attributes, int level, int type, HANDLE *copy)
{
    struct handle *known = as(token, TOKEN), *made;
    (void)access;
    (void)attributes;
    if (!known || level != 2 || type != 1) return fail(known ? INVALID_PARAMETER : INVALID_HANDLE);
    made = new(TOKEN);
    *made = *known;
    made->impersonation = 0;
    *copy = made;
    return 1;
}

BOOL IsTokenRestricted(HANDLE token) { (void)token; return 0; }

BOOL GetTokenInformation(HANDLE token, int kind, void *information, int length, int *needed)
{
    struct handle *known = as(token, TOKEN);
    unsigned char made[256] = {0};
    int size = 4;
    uint32_t number = 0;
    if (!known) return fail(INVALID_HANDLE);
    switch (kind) {
    case 1: /* TokenUser: a pointer to the SID, attributes, and the SID behind them */
        size = 16 + sid_bytes(known->sid, made + 16);
        break;
    case 3: number = !strcmp(known->sid, "S-1-5-18") ? 30 : known->elevated ? 24 : 5; size = 4 + 12 * number; break;
    case 8: number = known->impersonation ? 2 : 1; break;
    case 12: number = 0; break;
    case 18: number = !known->admin ? 1 : known->elevated ? (strcmp(known->logon, "interactive") ? 1 : 2) : 3; break;
    case 19: size = sizeof(HANDLE); break;
    default: return fail(INVALID_PARAMETER);
    }
    *needed = size;
    if (!information || length < size) return fail(INSUFFICIENT_BUFFER);
    memset(information, 0, size);
    if (kind == 1) {
        void *sid = (char *)information + 16;
        memcpy(information, made, size);
        memcpy(information, &sid, sizeof sid);
    } else if (kind == 19) {
        struct handle *linked = new(TOKEN);
        *linked = *known;
        linked->elevated = 1;
        /* Without the right to act as part of the operating system it is one for impersonation. */
        linked->impersonation = !is_system;
        memcpy(information, &linked, sizeof linked);
    } else {
        memcpy(information, &number, 4);
    }
    return 1;
}

BOOL ImpersonateLoggedOnUser(HANDLE token)
{
    struct handle *known = as(token, TOKEN);
    if (!known || !caller_is_admin()) return fail(ACCESS_DENIED);
    is_system = !strcmp(known->sid, "S-1-5-18");
    return 1;
}

BOOL RevertToSelf(void)
{
    is_system = 0;
    return 1;
}

BOOL LookupPrivilegeValueW(const W *system, const W *name, int64_t *luid)
{
    (void)system;
    *luid = name[2];
    return 1;
}

BOOL AdjustTokenPrivileges(HANDLE token, BOOL all, const uint32_t *state, int length, void *previous, void *needed)
{
    (void)all; (void)length; (void)previous; (void)needed;
    /* One privilege, enabled: count, LUID, attributes. */
    if (!as(token, TOKEN) || state[0] != 1 || state[3] != 2) return fail(INVALID_PARAMETER);
    errno = caller_is_admin() ? 0 : NOT_ALL_ASSIGNED;
    return 1;
}

/* ---- window station, profile, environment ---- */

HANDLE GetProcessWindowStation(void) { return (HANDLE)0x51; }
HANDLE GetThreadDesktop(uint32_t thread) { return thread ? (HANDLE)0x52 : NULL; }
uint32_t GetCurrentThreadId(void) { return syscall(SYS_gettid); }

int GetSecurityInfo(HANDLE handle, int type, int what, void **owner, void **group, void **dacl, void **sacl, void **descriptor)
{
    (void)owner; (void)group; (void)sacl;
    if (((intptr_t)handle != 0x51 && (intptr_t)handle != 0x52) || type != 7 || what != 4) return INVALID_PARAMETER;
    *descriptor = calloc(1, 64);
    *dacl = (char *)*descriptor + 16;
    return 0;
}

struct explicit_access { uint32_t rights, mode, inheritance; void *multiple; int operation, form, type; const unsigned char *sid; };

int SetEntriesInAclW(int count, const struct explicit_access *entry, void *before, void **after)
{
    W *text;
    if (count != 1 || !before || entry->mode != 1 || entry->multiple || entry->form != 0) return INVALID_PARAMETER;
    if (!ConvertSidToStringSidW(entry->sid, &text)) return INVALID_PARAMETER;
    char *sid = utf8(text);
    note("SetEntriesInAclW sid=%s rights=0x%X", sid, entry->rights);
    free(sid);
    free(text);
    *after = calloc(1, 64);
    return 0;
}

int SetSecurityInfo(HANDLE handle, int type, int what, void *owner, void *group, void *dacl, void *sacl)
{
    (void)handle; (void)owner; (void)group; (void)sacl;
    return type == 7 && what == 4 && dacl ? 0 : INVALID_PARAMETER;
}

struct profile { uint32_t size, flags; const W *user, *path, *fallback, *server, *policy; HANDLE handle; };

BOOL LoadUserProfileW(HANDLE token, struct profile *profile)
{
    if (!as(token, TOKEN) || profile->size != sizeof *profile || !profile->user) return fail(INVALID_PARAMETER);
    if (!caller_is_admin()) return fail(PRIVILEGE_NOT_HELD);
    note("LoadUserProfileW %s", as(token, TOKEN)->name);
    profile->handle = new(PROFILE);
    return 1;
}

BOOL UnloadUserProfile(HANDLE token, HANDLE profile)
{
    if (!as(token, TOKEN) || !as(profile, PROFILE)) return fail(INVALID_HANDLE);
    note("UnloadUserProfile %s", as(token, TOKEN)->name);
    return 1;
}

extern char **environ;

BOOL CreateEnvironmentBlock(W **block, HANDLE token, BOOL inherit)
{
    struct handle *known = as(token, TOKEN);
    char entry[256];
    size_t length = 1024;
    (void)inherit;
    if (!known) return fail(INVALID_HANDLE);
    for (char **at = environ; *at; at++) length += strlen(*at) + 1;
    W *to = *block = calloc(length, sizeof(W));
    for (char **at = environ; *at; at++) {
        if (strncmp(*at, "USERNAME=", 9)) to += utf16(*at, to) + 1;
    }
    snprintf(entry, sizeof entry, "USERNAME=%s", known->name);
    to += utf16(entry, to) + 1;
    return 1;
}

BOOL DestroyEnvironmentBlock(void *block)
{
    free(block);
    return 1;
}

/* ---- processes ---- */

struct startup {
    uint32_t cb;
    W *reserved, *desktop, *title;
    uint32_t x, y, width, height, columns, rows, fill, flags;
    uint16_t show, reserved2;
    void *more;
    HANDLE in, out, err;
};
struct process { HANDLE process, thread; uint32_t pid, tid; };

/* What cmd would run: the line behind /c, without the quotes around it. A Bourne shell runs it here. */
static char *inner(char *line)
{
    char *at = strstr(line, "/s /c \"");
    if (!at) return line;
    at += 7;
    if (*at && at[strlen(at) - 1] == '"') at[strlen(at) - 1] = 0;
    char *rest = strncmp(at, "chcp ", 5) ? NULL : strstr(at, " & ");
    return rest ? rest + 3 : at;
}

static BOOL start(struct handle *token, int logon_flags, const W *line, uint32_t flags, const W *block, const W *directory, const struct startup *startup, struct process *process)
{
    if (!token || token->impersonation) return fail(INVALID_HANDLE);
    if (startup->cb != sizeof *startup || !(startup->flags & 0x100) || startup->desktop) return fail(INVALID_PARAMETER);
    if (block && !(flags & 0x400)) return fail(INVALID_PARAMETER);
    /* "The maximum length of this string is 1024 characters." */
    if (utf16(utf8(line), NULL) >= 1024) return fail(INVALID_PARAMETER);
    char *folder = utf8(directory);
    if (folder && access(folder, X_OK)) return fail(DIRECTORY);
    char **variables = environ, who[256];
    if (block) {
        size_t count = 0;
        variables = calloc(4096, sizeof *variables);
        for (const W *at = block; *at && count < 4000; count++) {
            variables[count] = utf8(at);
            while (*at) at++;
            at++;
        }
    }
    snprintf(who, sizeof who, "STANDIN_TOKEN=%s %s %s%s%s", token->name, token->elevated ? "elevated" : "plain", token->logon,
        logon_flags & 1 ? " profile" : "", logon_flags & 2 ? " netonly" : "");
    int gate[2], in = (intptr_t)startup->in, out = (intptr_t)startup->out, err = (intptr_t)startup->err;
    if (pipe2(gate, O_CLOEXEC)) return fail(8);
    char *command = inner(utf8(line));
    int parent = getpid(), pid = fork();
    if (pid == 0) {
        char go;
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        close(gate[1]);
        /* Suspended until somebody resumes it. */
        if (read(gate[0], &go, 1) != 1) _exit(1);
        if (go != 'j') prctl(PR_SET_PDEATHSIG, 0);
        if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
        for (int i = 3; i < 256; i++) close(i);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (folder && chdir(folder)) _exit(126);
        environ = variables;
        putenv(who);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(gate[0]);
    note("started pid=%d token=%s flags=0x%X", pid, who + 14, flags);
    struct handle *made = new(PROCESS), *thread = new(THREAD);
    made->pid = pid;
    made->gate = gate[1];
    thread->process = made;
    process->process = made;
    process->thread = thread;
    process->pid = process->tid = pid;
    return 1;
}

BOOL CreateProcessWithTokenW(HANDLE token, int logon_flags, const W *application, W *line, uint32_t flags, const W *block, const W *directory, const struct startup *startup, struct process *process)
{
    (void)application;
    if (!caller_is_admin()) return fail(PRIVILEGE_NOT_HELD);
    return start(as(token, TOKEN), logon_flags, line, flags, block, directory, startup, process);
}

BOOL CreateProcessWithLogonW(const W *user, const W *domain, const W *password, int logon_flags, const W *application, W *line, uint32_t flags, const W *block, const W *directory, const struct startup *startup, struct process *process)
{
    struct handle *token;
    (void)application;
    int code = log_on("CreateProcessWithLogonW", user, domain, password, 2, &token);
    if (code) return fail(code);
    return start(token, logon_flags, line, flags, block, directory, startup, process);
}

uint32_t ResumeThread(HANDLE thread)
{
    struct handle *known = as(thread, THREAD);
    if (!known || known->process->gate < 0) return fail(INVALID_HANDLE), -1;
    if (write(known->process->gate, known->process->job ? "j" : "r", 1) < 0) {}
    close(known->process->gate);
    known->process->gate = -1;
    return 1;
}

uint32_t WaitForSingleObject(HANDLE handle, uint32_t milliseconds)
{
    struct handle *known = as(handle, PROCESS);
    if (!known || milliseconds != 0xFFFFFFFF) return -1;
    while (!known->ended && waitpid(known->pid, &known->status, 0) < 0 && errno == EINTR) {}
    known->ended = 1;
    note("ended pid=%d", known->pid);
    return 0;
}

BOOL GetExitCodeProcess(HANDLE handle, uint32_t *code)
{
    struct handle *known = as(handle, PROCESS);
    if (!known) return fail(INVALID_HANDLE);
    *code = known->killed ? known->code : WIFEXITED(known->status) ? (uint32_t)WEXITSTATUS(known->status) : WTERMSIG(known->status) == SIGINT ? 0xC000013A : 1;
    return 1;
}

BOOL TerminateProcess(HANDLE handle, uint32_t code)
{
    struct handle *known = as(handle, PROCESS);
    if (!known) return fail(INVALID_HANDLE);
    known->killed = 1;
    known->code = code;
    note("terminated pid=%d", known->pid);
    return !kill(-known->pid, SIGKILL);
}

HANDLE CreateJobObjectW(void *attributes, const W *name)
{
    (void)attributes;
    return name ? NULL : new(JOB);
}

BOOL SetInformationJobObject(HANDLE job, int kind, const uint32_t *information, int length)
{
    if (!as(job, JOB) || kind != 9 || length != 144 || information[4] != 0x2000) return fail(INVALID_PARAMETER);
    return 1;
}

BOOL AssignProcessToJobObject(HANDLE job, HANDLE process)
{
    struct handle *known = as(job, JOB), *member = as(process, PROCESS);
    if (!known || !member || member->gate < 0) return fail(INVALID_HANDLE);
    known->process = member;
    member->job = 1;
    return 1;
}

BOOL TerminateJobObject(HANDLE job, uint32_t code)
{
    struct handle *known = as(job, JOB);
    return known && known->process ? TerminateProcess(known->process, code) : fail(INVALID_HANDLE);
}

BOOL CloseHandle(HANDLE handle) { return handle != NULL; }

/* ---- consoles ---- */

static uint32_t console;

BOOL FreeConsole(void)
{
    console = 0;
    return 1;
}

BOOL AttachConsole(uint32_t pid)
{
    if (console) return fail(ACCESS_DENIED);
    console = pid;
    return 1;
}

BOOL GenerateConsoleCtrlEvent(uint32_t kind, uint32_t group)
{
    note("GenerateConsoleCtrlEvent kind=%u", kind);
    /* It reaches processes of the caller's console only. A process that leads a group has Ctrl-C turned off. */
    if (console != group || kind != 1) return fail(INVALID_PARAMETER);
    return !kill(-(int)group, SIGINT);
}
