"""What our module does in threads, in forked processes, when a signal comes, and with its connections."""

import gc
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from cases import Cases, arguments, expect, expect_error, expect_gone

import requests.exceptions
import winrm
from winrm.exceptions import InvalidCredentialsError, WinRMError, WSManFaultError

args = arguments(log="the log of the service that takes no clear text", winrm="the program `winrm`", certificate="the certificate of the service with TLS")
cases = Cases()


def session(url=args.refusing_url, transport="ntlm", **options):
    return winrm.Session(url, auth=(args.user, args.password), transport=transport, server_cert_validation="ignore", **options)


def echo(used, text):
    result = used.run_cmd(f"echo {text}; exit 3")
    expect((result.std_out, result.status_code), (f"{text}\n".encode(), 3), "a command")


def connections():
    """How many connections the service has seen."""
    with open(args.log, encoding="utf-8") as log:
        return log.read().count("connection opened")


def in_threads(count, function):
    """Calls the function with 0, 1, … at the same time; gives what went wrong."""
    failures, barrier = [], threading.Barrier(count)

    def work(number):
        try:
            barrier.wait()
            function(number)
        except BaseException as error:
            failures.append(f"{number}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(failures, [], "what went wrong in threads")


def in_child(function):
    """Calls the function in a forked process, which then ends without any clearing up; fails unless it returns."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException as error:
            print(f"in the child: {type(error).__name__}: {error}", flush=True)
        finally:
            os._exit(status)
    return child


def ended(child):
    expect(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "the child's exit status")


def in_worker(number):
    """What a worker of a pool does with the session that it has from its parent."""
    return shared.run_cmd(f"echo {number}").std_out


def expect_interrupted(function, kind):
    """Fails unless the function raises this, which need not be an `Exception`."""
    try:
        function()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


@cases.case("one connection for ten commands, sealed")
def _():
    used, before = session(), connections()
    for number in range(10):
        echo(used, f"kept-{number}")
    expect(connections() - before, 1, "connections")


@cases.case("close_shell closes the connection, where close_session isn't False")
def _():
    protocol, before = session().protocol, connections()
    for number in range(3):
        shell = protocol.open_shell()
        protocol.close_shell(shell)
    expect(connections() - before, 3, "connections")
    for number in range(3):
        shell = protocol.open_shell()
        protocol.close_shell(shell, close_session=False)
    expect(connections() - before, 4, "connections")


@cases.case("the end of a with, and the last reference, close the connection")
def _():
    def open_sockets():
        return sum(os.readlink(f"/proc/self/fd/{fd}").startswith("socket:") for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}"))

    before = open_sockets()
    with session() as used:
        echo(used, "inside")
        expect(open_sockets() > before, True, "a socket")
    expect(open_sockets(), before, "sockets")
    used = session()
    echo(used, "again")
    del used
    gc.collect()
    expect(open_sockets(), before, "sockets")


@cases.case("16 threads share a session, 10 commands each")
def _():
    used = session()
    in_threads(16, lambda number: [echo(used, f"thread-{number}-{turn}") for turn in range(10)])


@cases.case("16 threads share a session over TLS")
def _():
    used = session(args.tls_url, "basic")
    in_threads(16, lambda number: [echo(used, f"tls-{number}-{turn}") for turn in range(3)])


@cases.case("threads with a protocol each")
def _():
    in_threads(16, lambda number: echo(session(), f"own-{number}"))


@cases.case("a thread computes while another waits for a host")
def _():
    used = session()
    waiting = threading.Thread(target=lambda: used.run_cmd("sleep 3"))
    waiting.start()
    turns, end = 0, time.monotonic() + 0.5
    while time.monotonic() < end:
        turns += 1
    expect(waiting.is_alive(), True, "the command still runs")
    # With the interpreter held, there would be a handful.
    expect(turns > 1000, True, f"{turns} turns")
    waiting.join()


@cases.case("a session used before and after a fork, in both processes")
def _():
    used = session()
    echo(used, "before")
    child = in_child(lambda: [echo(used, f"child-{turn}") for turn in range(5)])
    for turn in range(5):
        echo(used, f"parent-{turn}")
    ended(child)
    echo(used, "after")


@cases.case("the child's clearing up leaves the parent's connection alone")
def _():
    used = session(args.tls_url, "ntlm")
    protocol = used.protocol
    shell = protocol.open_shell()

    def clear_up():
        nonlocal used, protocol
        protocol.transport.close_session()
        del used, protocol
        gc.collect()

    ended(in_child(clear_up))
    command = protocol.run_command(shell, "echo still here")
    expect(protocol.get_command_output(shell, command), (b"still here\n", b"", 0))
    protocol.close_shell(shell)


@cases.case("a fork while 8 threads are at work, child and grandchild")
def _():
    used, stop = session(), threading.Event()
    echo(used, "first")
    threads = [threading.Thread(target=lambda: [echo(used, "busy") for _ in iter(stop.is_set, True)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(10):
            ended(in_child(lambda: (echo(used, f"child-{turn}"), ended(in_child(lambda: echo(used, "grandchild"))))))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@cases.case("forks while 8 threads read certificates, whose children do so too")
def _():
    def fresh():
        # Other authorities each time: what sessions with the same ones share is made anew. Nobody listens, so that no handshake follows: in
        # that, OpenSSL has locks of its own.
        copy = os.path.join(args.folder, f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}.pem")
        shutil.copy(args.certificate, copy)
        used = winrm.Session("https://127.0.0.1:9", auth=(args.user, args.password), transport="basic", ca_trust_path=copy)
        expect_error(lambda: used.run_cmd("echo no"), requests.exceptions.ConnectionError)

    stop = threading.Event()
    threads = [threading.Thread(target=lambda: [fresh() for _ in iter(stop.is_set, True)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            ended(in_child(fresh))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@cases.case("multiprocessing: a pool of forked workers uses a session of the parent's")
def _():
    global shared
    shared = session()
    echo(shared, "parent")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        expect(pool.map(in_worker, range(12)), [f"{number}\n".encode() for number in range(12)])


@cases.case("Ctrl-C ends a call that waits, and the session goes on")
def _():
    used = session()
    echo(used, "before")
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    expect_interrupted(lambda: used.run_cmd(f"echo $$ > '{args.folder}/interrupted'; sleep 60"), KeyboardInterrupt)
    with open(f"{args.folder}/interrupted", encoding="ascii") as file:
        expect_gone(int(file.read()))
    echo(used, "after")


@cases.case("an alarm's handler may raise, as Ansible's task timeout does")
def _():
    class TaskTimeout(BaseException):
        pass

    def handler(*_):
        raise TaskTimeout

    used = session()
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        expect_interrupted(lambda: used.run_cmd("sleep 60"), TaskTimeout)
    finally:
        signal.signal(signal.SIGALRM, previous)
        signal.alarm(60)
    echo(used, "after")


@cases.case("a script ends while commands still run in daemon threads")
def _():
    script = (
        "import sys, threading, time, winrm\n"
        "url, user, password = sys.argv[1:]\n"
        "used = winrm.Session(url, auth=(user, password), transport='ntlm')\n"
        "for _ in range(4): threading.Thread(target=lambda: used.run_cmd('sleep 5'), daemon=True).start()\n"
        "time.sleep(0.5)\n"
        "print('end')\n"
    )
    ended_script = subprocess.run([sys.executable, "-c", script, args.refusing_url, args.user, args.password], capture_output=True, text=True)
    expect((ended_script.returncode, ended_script.stdout, ended_script.stderr), (0, "end\n", ""), "a script's end")


@cases.case("errors in threads belong to their threads")
def _():
    protocol = session().protocol

    def work(number):
        error = expect_error(lambda: protocol.run_command(f"{number:08}-0000-0000-0000-000000000000", "echo no"), WSManFaultError)
        expect(error.wsman_fault_code, 2150858843)

    in_threads(16, work)


@cases.case("a script of PowerShell that is too long for a command line", run=args.powershell)
def _():
    script = "$sum = 0\n" + "".join(f"$sum += {number} # grün 🦀\n" for number in range(2000)) + "Write-Output \"$sum ü\"; Write-Error 'an error'; exit 5"
    result = session().run_ps(script)
    expect((result.std_out.decode(), result.status_code, b"an error" in result.std_err), (f"{sum(range(2000))} ü\r\n", 5, True))


def serve(port):
    """Starts a service at this port, and gives the process and its URL."""
    service = subprocess.Popen(
        [args.winrm, "serve", "--listen", f"127.0.0.1:{port}", "--user", args.user, "--password-file", os.path.abspath(args.password_file)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
    )
    return service, service.stdout.readline().split()[1]


@cases.case("a service that ends and is started again between two commands, and between two threads' commands")
def _():
    service, url = serve(0)
    try:
        used = session(url)
        in_threads(4, lambda number: echo(used, f"before-{number}"))
        service.kill()
        service.wait()
        expect_error(lambda: echo(used, "nobody"), requests.exceptions.ConnectionError)
        service, _ = serve(url.split(":")[2].split("/")[0])
        in_threads(4, lambda number: echo(used, f"after-{number}"))
    finally:
        service.kill()
        service.wait()


@cases.case("what is otherwise than with pywinrm, on purpose")
def _():
    expect(winrm.Session._build_url("[::1]", "ssl"), "https://[::1]:5986/wsman")
    expect(winrm.Session._build_url("http://[fe80::1%eth0]:99", "ntlm"), "http://[fe80::1%eth0]:99/wsman")
    error = expect_error(lambda: session(args.url, "ssl").run_cmd("echo no"), WinRMError)
    expect("over https only" in str(error), True, str(error))
    unverified = winrm.Session(args.tls_url, auth=(args.user, args.password), transport="basic", server_cert_validation=None)
    expect_error(lambda: unverified.run_cmd("echo no"), requests.exceptions.SSLError)
    error = expect_error(lambda: session(transport="ntlm", send_cbt="perhaps"), ValueError)
    expect(str(error), "invalid truth value 'perhaps'")
    expect(session(send_cbt="false").protocol.transport.send_cbt, False)
    error = expect_error(lambda: winrm.Session(args.url, auth=(args.user, "wrong"), transport="basic").run_cmd("echo no"), InvalidCredentialsError)
    expect((str(error), "refused the credentials of" in str(error.__cause__), bool(error.hint)), ("the specified credentials were rejected by the server", True, True))
    error = expect_error(lambda: session().run_cmd("echo \0"), ValueError)
    expect(str(error), "XML can't carry the character U+0000")


@cases.case("importing winrm imports neither requests nor anything of the standard library's network")
def _():
    names = "requests urllib3 ssl socket http.client urllib.request xmltodict asyncio logging typing re uuid".split()
    script = f"import winrm, sys; print([name for name in {names!r} if name in sys.modules])"
    imported = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path += {sys.path!r}\n{script}"], capture_output=True, text=True)
    expect((imported.stdout, imported.stderr), ("[]\n", ""))


@cases.case("everything works where requests and xmltodict aren't installed")
def _():
    script = (
        "import sys\n"
        "sys.modules['requests'] = sys.modules['xmltodict'] = None\n"
        "import winrm\n"
        "url, user, password = sys.argv[1:]\n"
        "print(winrm.Session(url, auth=(user, password), transport='ntlm').run_cmd('echo hello').std_out)\n"
        "try:\n"
        "    winrm.Session('http://127.0.0.1:9', auth=(user, password)).run_cmd('echo no')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__, 'refuses connections' in str(error))\n"
    )
    printed = subprocess.run([sys.executable, "-c", script, args.refusing_url, args.user, args.password], capture_output=True, text=True)
    expect((printed.stdout, printed.stderr), ("b'hello\\n'\nConnectionError True\n", ""))


@cases.case("kerberos stands in for Ansible alone")
def _():
    script = "import sys\ntry:\n    import kerberos\nexcept ModuleNotFoundError as error: print(error)\nimport ansible, kerberos\nprint(hasattr(kerberos, 'authGSSClientInit'))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    expect((printed.stdout, printed.stderr), ("No module named 'kerberos'\nFalse\n", ""))


cases.finish()
