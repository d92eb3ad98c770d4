"""Our client against recordings of real Windows hosts: `winrm run` gets what the recorded host sent."""

import argparse
import os
import re
import subprocess

from cases import Cases, expect
from replay import Host, Recording

parser = argparse.ArgumentParser()
parser.add_argument("--winrm", required=True, help="the program under test")
parser.add_argument("--recordings", required=True, help="the folder tests/tests_pypsrp/responses of pypsrp's sources")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
cases = Cases()


def recording(name):
    return Recording(args.recordings, name)


def play(session, command, *flags, stdin=b"", config="test_wsman_update_envelope_size_500", may_miss=("Signal",)):
    """Runs the command against the recorded session; what the program printed, and the host."""
    with Host(session, recording(config), recording("test_winrs_send"), args.user, password) as host:
        line = [args.winrm, "run", "--user", args.user, "--connection-password-file", args.password_file]
        line += ["--transport", "basic", "--encryption", "never", *flags, host.url, "--", *command]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        ended = subprocess.run(line, input=stdin, capture_output=True, env=environment, timeout=50)
    expect(host.problems, [], f"what the host found wrong (the program said {ended.stderr!r})")
    missed = [action for action in host.leftovers if action not in may_miss]
    expect(missed, [], f"recorded requests that were not sent (the program said {ended.stderr!r})")
    return ended, host


def same_output(session, command, *flags, **more):
    """Fails unless the program's output and exit status are what the recording holds."""
    stdin = session.input
    ended, host = play(session, command, *flags, stdin=stdin, **more)
    expect((ended.stdout, ended.stderr, ended.returncode), session.output)
    expect(host.input, stdin, "the input that the host got")


@cases.case("test_winrs_standard")
def _():
    session = recording("test_winrs_standard")
    expect(session.output, (b"hi\r\n", b"", 0), "the recording")
    same_output(session, ["cmd.exe", "/c", "echo", "hi"])


@cases.case("test_winrs_stderr_rc")
def _():
    session = recording("test_winrs_stderr_rc")
    expect(session.output, (b"out \r\n", b"err \r\n", 1), "the recording")
    # One word is the host's shell's to read, as it is.
    same_output(session, ["cmd.exe /c echo out && echo err>&2 && exit 1"])


@cases.case("test_winrs_send")
def _():
    session = recording("test_winrs_send")
    expect(session.output, (b"output 1\noutput 2\n", b"", 0), "the recording")
    expect(session.input, b'Write-Host "output 1";Write-Host "output 2";', "the recording")
    same_output(session, ["powershell.exe", "-"])


@cases.case("test_winrs_operation_timeout")
def _():
    session = recording("test_winrs_operation_timeout")
    expect(session.output, (b"hi\nhi again\n", b"", 0), "the recording")
    expect([exchange.status for exchange in session.of("Receive")], [200, 500, 500, 200], "the recording")
    same_output(session, ["powershell.exe Write-Host hi; Start-Sleep 30; Write-Host hi again"], "--operation-timeout", "10")


@cases.case("test_winrs_unicode")
def _():
    session = recording("test_winrs_unicode")
    expect(session.output, ("こんにちは\n".encode(), b"", 0), "the recording")
    same_output(session, ["powershell.exe Write-Host こんにちは"])


@cases.case("test_winrs_environment")
def _():
    session = recording("test_winrs_environment")
    environment = session.of("Create")[0].request.shell_settings["Environment"]
    expect(len(environment), 3, "variables in the recording")
    flags = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
    same_output(session, ["cmd.exe", "/c", "set"], *flags)


@cases.case("test_winrs_noprofile")
def _():
    session = recording("test_winrs_noprofile")
    expect(b"USERPROFILE=C:\\Users\\Default\r\n" in session.output[0], True, "the recording")
    same_output(session, ["cmd.exe", "/c", "set"], "--no-profile")


@cases.case("test_winrs_extra_opts: working directory and idle timeout")
def _():
    session = recording("test_winrs_extra_opts")
    expect(session.output, (b"C:\\Windows\r\n", b"", 0), "the recording")
    # `winrm run` has one shell for one command, so that a name and a lifetime of the shell mean nothing to it.
    for name in ("Name", "Lifetime"):
        del session.of("Create")[0].request.shell_settings[name]
    same_output(session, ["powershell.exe (pwd).Path"], "--chdir", r"C:\Windows", "--idle-timeout", "60")


@cases.case("test_winrs_no_cmd_shell: the program is not found")
def _():
    session = recording("test_winrs_no_cmd_shell")
    may_miss = ("Command", "Receive", "Signal")
    ended, _ = play(session, ["powershell.exe", "Write-Host", "hi"], "--skip-cmd-shell", may_miss=may_miss)
    expect(ended.stdout, b"")
    expect(ended.returncode, 2, "exit status")
    expect(b"The system cannot find the file specified" in ended.stderr, True, f"{ended.stderr!r} has the host's words")


@cases.case("test_winrs_no_cmd_shell: the program is found")
def _():
    session = recording("test_winrs_no_cmd_shell").without(1)
    expect(session.output, (b"hi\n", b"", 0), "the recording")
    program = r"C:\Windows\system32\WindowsPowerShell\v1.0\powershell.exe"
    same_output(session, [program, "Write-Host", "hi"], "--skip-cmd-shell")


@cases.case("test_winrs_bad_cmd_id: a command that the host has lost")
def _():
    session = recording("test_winrs_bad_cmd_id")
    # pypsrp asked for a wrong id on purpose; the host's answer is the one for a command that it no longer has.
    ended, _ = play(session, ["cmd.exe", "/c", "echo", "hi"])
    expect(ended.stdout, b"")
    expect(ended.returncode, 2, "exit status")
    expect(b"command identifier that does not exist" in ended.stderr, True, f"{ended.stderr!r} has the host's words")


def envelope_size(kilobytes):
    """Large input goes in pieces that the recorded host's MaxEnvelopeSize allows."""
    name = f"test_wsman_update_envelope_size_{kilobytes}"
    answer = recording(name).of("Get")[0].answer
    expect(re.search(r"<cfg:MaxEnvelopeSizekb>(\d+)<", answer)[1], str(kilobytes), "the recording")
    session = recording("test_winrs_send")
    data = os.urandom(1_000_000)
    ended, host = play(session, ["powershell.exe", "-"], stdin=data, config=name)
    expect((ended.stdout, ended.stderr, ended.returncode), session.output)
    expect(host.input, data, "the input that the host got")
    largest = max(request.size for request in host.seen)
    expect(largest <= kilobytes * 1024, True, f"the largest request has {largest} bytes, {kilobytes} kB are allowed")


for kilobytes in (150, 500, 4096):
    cases.case(f"test_wsman_update_envelope_size_{kilobytes}")(lambda: envelope_size(kilobytes))

cases.finish()
