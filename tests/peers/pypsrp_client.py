"""pypsrp's WinRS as a client of our service."""

import hashlib
import os
import urllib.parse
import warnings

import requests.exceptions
from pypsrp.exceptions import AuthenticationError, WinRMError, WSManFaultError
from pypsrp.shell import CommandState, Process, SignalCode, WinRS
from pypsrp.wsman import WSMan

from cases import Cases, arguments, expect, expect_error, expect_gone, expect_running

NO_SUCH_SHELL_OR_COMMAND = 2150858843
INVALID_PARAMETER = 87
NOT_AN_ID = "11111111-2222-3333-4444-555555555555"

warnings.simplefilter("ignore")
args = arguments(certificate="the certificate of the service with TLS")
cases = Cases()


def connect(url=args.url, user=args.user, password=args.password, **options):
    address = urllib.parse.urlsplit(url)
    ssl = address.scheme == "https"
    return WSMan(
        address.hostname,
        port=address.port,
        ssl=ssl,
        path=address.path.lstrip("/"),
        username=user,
        password=password,
        auth="basic",
        encryption="auto" if ssl else "never",
        no_proxy=True,
        **options,
    )


def invoke(shell, line, arguments=None, stdin=None, **options):
    process = Process(shell, line, arguments, **options)
    process.begin_invoke()
    for number, piece in enumerate(stdin or [], 1):
        process.send(piece, end=number == len(stdin))
    process.end_invoke()
    process.signal(SignalCode.CTRL_C)
    return process.stdout, process.stderr, process.rc


def run(line, arguments=None, stdin=None, wsman=None, no_shell=False, **shell_options):
    """Runs one command in its own shell."""
    with WinRS(wsman or connect(), **shell_options) as shell:
        return invoke(shell, line, arguments, stdin, no_shell=no_shell)


@cases.case("output")
def _():
    expect(run("echo hello"), (b"hello\n", b"", 0))


@cases.case("output and standard error stay apart, with the exit code")
def _():
    expect(run("echo out; echo err >&2; exit 7"), (b"out\n", b"err\n", 7))


@cases.case("exit codes 0, 1, 7, 255")
def _():
    for code in (0, 1, 7, 255):
        expect(run(f"exit {code}"), (b"", b"", code))


@cases.case("each argument is an element of its own")
def _():
    expect(run("printf", ["'%s|'", "one", "'two three'", "four"]), (b"one|two three|four|", b"", 0))


@cases.case("a program without the shell")
def _():
    # A host joins the arguments to one line, which the program takes apart again by the rules of Windows.
    arguments = ["%s|", '"a  b"', "$HOME", "*", '"say \\"hi\\""', "c d"]
    expect(run("/usr/bin/printf", arguments, no_shell=True), (b'a  b|$HOME|*|say "hi"|c|d|', b"", 0))


@cases.case("a program that does not exist, without the shell")
def _():
    with WinRS(connect()) as shell:
        process = Process(shell, "/nowhere/winrm-no-such-program", no_shell=True)
        error = expect_error(process.invoke, WSManFaultError)
        expect(error.code, 2147942402)
        expect(invoke(shell, "echo after"), (b"after\n", b"", 0))


@cases.case("standard input in pieces")
def _():
    expect(run("cat", stdin=[b"first ", b"second\n", b"third"]), (b"first second\nthird", b"", 0))


@cases.case("2 MB of standard input")
def _():
    pieces = [os.urandom(100_000) for _ in range(20)]
    wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
    expect(run("sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))


@cases.case("standard input of every byte and back")
def _():
    data = bytes(range(256)) * 400
    expect(run("cat", stdin=[data, data]), (data + data, b"", 0))


@cases.case("environment with names and values of all kinds")
def _():
    odd = "_-(){}[]<>*+-/\\?\"'!@#$^&|;:i,.`~0"
    environment = {"env1": "var1", "1234": "5678", odd: odd, "WINRM_U": "größer — 漢字"}
    out, _, code = run("/usr/bin/env", no_shell=True, environment=environment)
    lines = out.decode().splitlines()
    expect(code, 0)
    for name, value in environment.items():
        expect(f"{name}={value}" in lines, True, f"{name}={value} is there")


@cases.case("working directory, name, lifetime, idle timeout")
def _():
    folder = os.path.realpath(os.path.join(args.folder, "pypsrp dir"))
    os.makedirs(folder)
    with WinRS(connect(), name="shell 1", lifetime=60, idle_time_out=60, working_directory=folder) as shell:
        expect(shell.idle_time_out, "PT60.000S")
        expect(invoke(shell, "pwd"), (f"{folder}\n".encode(), b"", 0))


@cases.case("unicode both ways")
def _():
    text = "grün こんにちは 🦀 e\u0301"
    out, err, code = run(f"printf '%s' '{text}'; printf '%s' '{text}' >&2", codepage=65001)
    expect((out.decode(), err.decode(), code), (text, text, 0))


@cases.case("an option that has to be complied with")
def _():
    expect(run("echo hello", no_profile=True), (b"hello\n", b"", 0))


@cases.case("1 MB of output")
def _():
    wanted = b"".join(b"%d\n" % number for number in range(1, 160_001))
    expect(run("seq 1 160000"), (wanted, b"", 0))


@cases.case("several commands in a shell, one after another")
def _():
    with WinRS(connect()) as shell:
        for number in range(10):
            expect(invoke(shell, f"echo {number}; exit {number}"), (b"%d\n" % number, b"", number))


@cases.case("two commands in a shell at once")
def _():
    with WinRS(connect()) as shell:
        first, second = Process(shell, "cat; echo first"), Process(shell, "echo second; exit 2")
        first.begin_invoke()
        second.invoke()
        expect((second.stdout, second.rc), (b"second\n", 2))
        first.send(b"input ")
        first.end_invoke()
        expect((first.stdout, first.rc), (b"input first\n", 0))


@cases.case("opening a shell twice")
def _():
    with WinRS(connect()) as shell:
        shell.open()
        expect(invoke(shell, "echo hello"), (b"hello\n", b"", 0))
    shell.close()


@cases.case("the shell's state can be read")
def _():
    with WinRS(connect()) as shell:
        state = shell._get_shell()
        expect((state["ShellId"], state["InputStreams"]), (shell.id, "stdin"))
        expect(state["ResourceUri"], "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd")


@cases.case("an operation without output times out and is repeated")
def _():
    with WinRS(connect(operation_timeout=1)) as shell:
        process = Process(shell, "cat; echo done")
        process.begin_invoke()
        process.poll_invoke()
        process.poll_invoke()
        expect((process.state, process.stdout), (CommandState.PENDING, b""))
        process.send(b"", end=True)
        process.end_invoke()
        expect((process.stdout, process.rc), (b"done\n", 0))


# Two processes, the second one a part of a pipe: what runs in the background of a POSIX shell doesn't hear of Ctrl-C.
FOREGROUND = "sh -c 'echo $$; exec sleep 600' | { read pid; echo $$ $pid; cat; }"
BACKGROUND = "sleep 600 & echo $$ $!; wait"


def signalled(code, line):
    with WinRS(connect()) as shell:
        process = Process(shell, line)
        process.begin_invoke()
        process.poll_invoke()
        pids = [int(word) for word in process.stdout.split()]
        expect(len(pids), 2)
        for pid in pids:
            expect_running(pid)
        process.signal(code)
        for pid in pids:
            expect_gone(pid)
        expect(invoke(shell, "echo after"), (b"after\n", b"", 0))


@cases.case("Ctrl-C ends the command's processes")
def _():
    signalled(SignalCode.CTRL_C, FOREGROUND)


@cases.case("Ctrl-Break ends the command's processes")
def _():
    signalled(SignalCode.CTRL_BREAK, FOREGROUND)


@cases.case("terminate, with the capital letter that pypsrp gives it")
def _():
    signalled(SignalCode.TERMINATE, BACKGROUND)


@cases.case("the largest envelope")
def _():
    wsman = connect()
    wsman.update_max_payload_size()
    expect(wsman.max_envelope_size, 512_000)
    # Standard input in pieces as large as pypsrp thinks that they may be.
    data = os.urandom(wsman.max_payload_size)
    wanted = hashlib.sha256(data + data).hexdigest()
    expect(run("sha256sum", stdin=[data, data], wsman=wsman), (f"{wanted}  -\n".encode(), b"", 0))


@cases.case("a request beyond the largest envelope is refused, and the next one is served")
def _():
    with WinRS(connect()) as shell:
        try:
            Process(shell, "cat").begin_invoke()
            shell.send("stdin", bytes(600_000), command_id=NOT_AN_ID)
        except (WinRMError, requests.exceptions.ConnectionError):
            pass
        else:
            raise AssertionError("600,000 bytes were taken")
        expect(invoke(shell, "echo after"), (b"after\n", b"", 0))


@cases.case("wrong password")
def _():
    expect_error(lambda: run("echo no", wsman=connect(password="wrong")), AuthenticationError)


@cases.case("unknown user")
def _():
    expect_error(lambda: run("echo no", wsman=connect(user="mallory")), AuthenticationError)


@cases.case("clear text is refused where it isn't allowed, and nothing is run")
def _():
    marker = os.path.join(args.folder, "ran-by-pypsrp")
    expect_error(lambda: run(f"touch '{marker}'", wsman=connect(url=args.refusing_url)), AuthenticationError)
    expect(os.path.exists(marker), False, "the command was run")


@cases.case("unknown command")
def _():
    with WinRS(connect()) as shell:
        process = Process(shell, "cat")
        process.begin_invoke()
        known, process.id = process.id, NOT_AN_ID
        error = expect_error(process.poll_invoke, WSManFaultError)
        expect(error.code, NO_SUCH_SHELL_OR_COMMAND)
        process.id = known
        process.signal(SignalCode.CTRL_C)


@cases.case("receiving without a command")
def _():
    with WinRS(connect()) as shell:
        error = expect_error(Process(shell, "echo no").poll_invoke, WSManFaultError)
        expect(error.code, INVALID_PARAMETER)


@cases.case("unknown shell")
def _():
    shell = WinRS(connect())
    shell.open()
    shell._selector_set.values = [("ShellId", NOT_AN_ID, {})]
    error = expect_error(lambda: invoke(shell, "echo no"), WSManFaultError)
    expect(error.code, NO_SUCH_SHELL_OR_COMMAND)


@cases.case("https with the certificate ignored")
def _():
    expect(run("echo over TLS; exit 9", wsman=connect(url=args.tls_url, cert_validation=False)), (b"over TLS\n", b"", 9))


@cases.case("https with the certificate known")
def _():
    expect(run("echo over TLS", wsman=connect(url=args.tls_url, cert_validation=args.certificate)), (b"over TLS\n", b"", 0))


@cases.case("https with a certificate that nobody vouches for")
def _():
    expect_error(lambda: run("echo no", wsman=connect(url=args.tls_url)), requests.exceptions.SSLError)


cases.finish()
