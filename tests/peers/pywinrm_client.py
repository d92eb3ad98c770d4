"""pywinrm as a client of our service."""

import hashlib
import os
import threading
import warnings

import requests.exceptions
import winrm
from winrm.exceptions import InvalidCredentialsError, WinRMOperationTimeoutError, WSManFaultError

from cases import Cases, arguments, expect, expect_error, expect_gone, expect_running

NO_SUCH_SHELL_OR_COMMAND = 2150858843
SCHEMA_VALIDATION = 2150858817
NOT_AN_ID = "11111111-2222-3333-4444-555555555555"

warnings.simplefilter("ignore")
args = arguments(certificate="the certificate of the service with TLS")
cases = Cases()


def protocol(url=args.url, user=args.user, password=args.password, **options):
    options = {"transport": "basic", "message_encryption": "never", **options}
    return winrm.Protocol(endpoint=url, username=user, password=password, **options)


def run(line, arguments=(), stdin=None, client=None, **shell_options):
    """Runs one command in its own shell."""
    client = client or protocol()
    shell = client.open_shell(codepage=65001, **shell_options)
    try:
        command = client.run_command(shell, line, arguments, console_mode_stdin=stdin is None)
        if stdin is not None:
            for piece in stdin:
                client.send_command_input(shell, command, piece)
            client.send_command_input(shell, command, b"", end=True)
        result = client.get_command_output(shell, command)
        client.cleanup_command(shell, command)
        return result
    finally:
        client.close_shell(shell)


def session(**options):
    return winrm.Session(args.url, auth=(args.user, args.password), transport="basic", message_encryption="never", **options)


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


@cases.case("a command that does not exist")
def _():
    out, err, code = run("winrm-no-such-program --really")
    expect((out, code), (b"", 127))
    expect(b"winrm-no-such-program" in err, True, f"standard error {err!r} names the program")


@cases.case("arguments are part of the line")
def _():
    expect(run("printf", ("'%s|'", b"one", "'two three'", "four")), (b"one|two three|four|", b"", 0))


@cases.case("Session.run_cmd")
def _():
    result = session().run_cmd("echo", ["one", "two"])
    expect((result.std_out, result.std_err, result.status_code), (b"one two\n", b"", 0))


@cases.case("standard input in pieces")
def _():
    expect(run("cat", stdin=[b"first ", b"second\n", b"third"]), (b"first second\nthird", b"", 0))


@cases.case("standard input ends")
def _():
    expect(run("wc -c", stdin=[])[0].strip(), b"0")


@cases.case("standard input of every byte")
def _():
    data = bytes(range(256)) * 4
    expect(run("cat", stdin=[data]), (data, b"", 0))


@cases.case("2 MB of standard input")
def _():
    pieces = [os.urandom(100_000) for _ in range(20)]
    wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
    expect(run("sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))


@cases.case("2 MB of standard input and back, at the same time")
def _():
    # The command's output has to be taken while its input is sent: from another connection, as a session of this client
    # does one thing at a time.
    client, sender = protocol(), protocol()
    pieces = [os.urandom(100_000) for _ in range(20)]
    shell = client.open_shell()
    command = client.run_command(shell, "cat", console_mode_stdin=False)

    def send():
        for number, piece in enumerate(pieces, 1):
            sender.send_command_input(shell, command, piece, end=number == len(pieces))

    thread = threading.Thread(target=send)
    thread.start()
    expect(client.get_command_output(shell, command), (b"".join(pieces), b"", 0))
    thread.join()
    client.close_shell(shell)


@cases.case("environment")
def _():
    values = {"WINRM_A": "one two", "WINRM_B": "<a href=\"x\">&amp;'$HOME'`", "WINRM_C": "größer — 漢字"}
    line = 'printf "%s\\n%s\\n%s\\n" "$WINRM_A" "$WINRM_B" "$WINRM_C"'
    expect(run(line, env_vars=values)[0].decode(), "".join(f"{value}\n" for value in values.values()))


@cases.case("one variable, and the service's own are still there")
def _():
    expect(run('echo "$WINRM_A"; test -n "$PATH"', env_vars={"WINRM_A": "x"}), (b"x\n", b"", 0))


@cases.case("working directory")
def _():
    folder = os.path.realpath(os.path.join(args.folder, "wörk dir"))
    os.makedirs(folder)
    expect(run("pwd", working_directory=folder)[0].decode(), f"{folder}\n")


@cases.case("unicode both ways")
def _():
    text = "grün こんにちは 🦀 e\u0301"
    out, err, code = run(f"printf '%s' '{text}'; printf '%s' '{text}' >&2")
    expect((out.decode(), err.decode(), code), (text, text, 0))


@cases.case("characters of XML in the command")
def _():
    text = "<a b=\"c\">&amp;&lt;]]>\t\r\n%"
    expect(run(f"printf '%s' '{text}'")[0].decode().replace("\r\n", "\n"), text.replace("\r\n", "\n"))


@cases.case("output that is no text")
def _():
    expect(run(r"printf '\000\377\200\001'"), (b"\x00\xff\x80\x01", b"", 0))


@cases.case("1 MB of output")
def _():
    wanted = b"".join(b"%d\n" % number for number in range(1, 160_001))
    expect(len(wanted) > 1_000_000, True)
    expect(run("seq 1 160000"), (wanted, b"", 0))


@cases.case("1 MB of output and of standard error at once")
def _():
    out, err, code = run("seq 1 160000 & seq 1 160000 >&2; wait; exit 3")
    expect((len(out), out == err, code), (1_008_895, True, 3))


@cases.case("several commands in a shell, one after another")
def _():
    client = protocol()
    shell = client.open_shell(env_vars={"WINRM_A": "kept"})
    for number in range(10):
        command = client.run_command(shell, f'echo "$WINRM_A {number}"; exit {number}')
        expect(client.get_command_output(shell, command), (b"kept %d\n" % number, b"", number))
        client.cleanup_command(shell, command)
    client.close_shell(shell)


@cases.case("two commands in a shell at once")
def _():
    client = protocol()
    shell = client.open_shell()
    # The first can't end before its input does, and that is sent after the second has ended.
    first = client.run_command(shell, "cat; echo first")
    second = client.run_command(shell, "echo second; exit 2")
    expect(client.get_command_output(shell, second), (b"second\n", b"", 2))
    client.send_command_input(shell, first, b"input ", end=True)
    expect(client.get_command_output(shell, first), (b"input first\n", b"", 0))
    client.close_shell(shell)


@cases.case("output arrives while the command runs")
def _():
    client = protocol()
    shell = client.open_shell()
    command = client.run_command(shell, "echo early; cat")
    out, err, _, done = client.get_command_output_raw(shell, command)
    expect((out, err, done), (b"early\n", b"", False))
    client.send_command_input(shell, command, b"late", end=True)
    expect(client.get_command_output(shell, command), (b"late", b"", 0))
    client.close_shell(shell)


@cases.case("an operation without output times out and is repeated")
def _():
    client = protocol(operation_timeout_sec=1, read_timeout_sec=20)
    shell = client.open_shell()
    command = client.run_command(shell, "cat; echo done")
    expect_error(lambda: client.get_command_output_raw(shell, command), WinRMOperationTimeoutError)
    expect_error(lambda: client.get_command_output_raw(shell, command), WinRMOperationTimeoutError)
    client.send_command_input(shell, command, b"", end=True)
    expect(client.get_command_output(shell, command), (b"done\n", b"", 0))
    client.close_shell(shell)


def start_sleeper(client, shell):
    """Starts a command with a child; the ids of both processes."""
    command = client.run_command(shell, "sleep 600 & echo $$ $!; wait")
    out, _, _, done = client.get_command_output_raw(shell, command)
    expect(done, False, "the command has ended")
    pids = [int(word) for word in out.split()]
    for pid in pids:
        expect_running(pid)
    return command, pids


@cases.case("terminating a command ends its processes")
def _():
    client = protocol()
    shell = client.open_shell()
    command, pids = start_sleeper(client, shell)
    client.cleanup_command(shell, command)
    for pid in pids:
        expect_gone(pid)
    # The shell is as good as before.
    command = client.run_command(shell, "echo after")
    expect(client.get_command_output(shell, command), (b"after\n", b"", 0))
    client.close_shell(shell)


@cases.case("closing a shell ends its commands")
def _():
    client = protocol()
    shell = client.open_shell()
    _, pids = start_sleeper(client, shell)
    client.close_shell(shell)
    for pid in pids:
        expect_gone(pid)


@cases.case("wrong password")
def _():
    expect_error(lambda: run("echo no", client=protocol(password="wrong")), InvalidCredentialsError)


@cases.case("empty password")
def _():
    expect_error(lambda: run("echo no", client=protocol(password="")), InvalidCredentialsError)


@cases.case("unknown user")
def _():
    expect_error(lambda: run("echo no", client=protocol(user="mallory")), InvalidCredentialsError)


@cases.case("clear text is refused where it isn't allowed, and nothing is run")
def _():
    marker = os.path.join(args.folder, "ran-by-pywinrm")
    client = protocol(url=args.refusing_url)
    expect_error(lambda: run(f"touch '{marker}'", client=client), InvalidCredentialsError)
    expect(os.path.exists(marker), False, "the command was run")


@cases.case("unknown shell")
def _():
    error = expect_error(lambda: protocol().run_command(NOT_AN_ID, "echo no"), WSManFaultError)
    expect((error.code, error.wsman_fault_code, error.fault_subcode), (500, NO_SUCH_SHELL_OR_COMMAND, "w:InvalidSelectors"))


@cases.case("a shell that was closed")
def _():
    client = protocol()
    shell = client.open_shell()
    client.close_shell(shell)
    for use in (lambda: client.run_command(shell, "echo no"), lambda: client.close_shell(shell)):
        expect(expect_error(use, WSManFaultError).wsman_fault_code, NO_SUCH_SHELL_OR_COMMAND)


@cases.case("unknown command")
def _():
    client = protocol()
    shell = client.open_shell()
    error = expect_error(lambda: client.get_command_output(shell, NOT_AN_ID), WSManFaultError)
    expect(error.wsman_fault_code, NO_SUCH_SHELL_OR_COMMAND)
    error = expect_error(lambda: client.send_command_input(shell, NOT_AN_ID, b"no"), WSManFaultError)
    expect(error.wsman_fault_code, NO_SUCH_SHELL_OR_COMMAND)
    client.close_shell(shell)


@cases.case("a command belongs to one shell")
def _():
    client = protocol()
    first, second = client.open_shell(), client.open_shell()
    command = client.run_command(first, "cat")
    error = expect_error(lambda: client.get_command_output(second, command), WSManFaultError)
    expect(error.wsman_fault_code, NO_SUCH_SHELL_OR_COMMAND)
    client.close_shell(first, close_session=False)
    client.close_shell(second)


@cases.case("an idle timeout that is no duration")
def _():
    error = expect_error(lambda: protocol().open_shell(idle_timeout="60"), WSManFaultError)
    expect(error.wsman_fault_code, SCHEMA_VALIDATION)


@cases.case("an idle timeout")
def _():
    expect(run("echo hello", idle_timeout="PT60S"), (b"hello\n", b"", 0))


@cases.case("no profile")
def _():
    expect(run("echo hello", noprofile=True), (b"hello\n", b"", 0))


@cases.case("https with the certificate ignored")
def _():
    client = protocol(url=args.tls_url, transport="ssl", server_cert_validation="ignore")
    expect(run("echo over TLS; exit 9", client=client), (b"over TLS\n", b"", 9))


@cases.case("https with a certificate that nobody vouches for")
def _():
    expect_error(lambda: run("echo no", client=protocol(url=args.tls_url, transport="ssl")), requests.exceptions.SSLError)


@cases.case("https with the certificate known")
def _():
    client = protocol(url=args.tls_url, transport="ssl", ca_trust_path=args.certificate)
    expect(run("echo over TLS", client=client), (b"over TLS\n", b"", 0))


@cases.case("wrong password over https")
def _():
    client = protocol(url=args.tls_url, transport="ssl", server_cert_validation="ignore", password="wrong")
    expect_error(lambda: run("echo no", client=client), InvalidCredentialsError)


@cases.case("Session.run_ps", run=args.powershell)
def _():
    result = session().run_ps("Write-Output 'grün'; [Console]::Error.Write('bad'); exit 3")
    expect((result.std_out.decode(), result.status_code), ("grün\r\n", 3))
    expect(b"bad" in result.std_err, True, f"standard error {result.std_err!r} has the script's text")


cases.finish()
