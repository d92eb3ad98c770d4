"""pywinrm as a client of our service, with NTLM and Kerberos: encrypted over http, bound to the channel over https."""

import hashlib
import os
import warnings

import winrm
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError, WSManFaultError
from winrm.vendor.requests_kerberos.exceptions import KerberosExchangeError

from cases import Cases, expect, expect_error
from sealed_cases import arguments, by_name

NOT_AN_ID = "11111111-2222-3333-4444-555555555555"

warnings.simplefilter("ignore")
args = arguments()
cases = Cases()


def protocol(transport, url=args.url, **options):
    credentials = {"ntlm": (args.user, args.password), "kerberos": (getattr(args, "principal", None), None)}[transport]
    options = {
        "username": credentials[0],
        "password": credentials[1],
        "message_encryption": "always" if url.startswith("http:") else "auto",
        **options,
    }
    return winrm.Protocol(endpoint=by_name(url), transport=transport, **options)


def run(client, line, stdin=None):
    """Runs one command in its own shell."""
    shell = client.open_shell(codepage=65001)
    try:
        command = client.run_command(shell, line, console_mode_stdin=stdin is None)
        if stdin is not None:
            for number, piece in enumerate(stdin, 1):
                client.send_command_input(shell, command, piece, end=number == len(stdin))
        result = client.get_command_output(shell, command)
        client.cleanup_command(shell, command)
        return result
    finally:
        client.close_shell(shell)


TRANSPORTS = ("ntlm", "kerberos") if args.kerberos else ("ntlm",)

for transport in TRANSPORTS:

    @cases.case(f"{transport}: output, standard error, exit code")
    def _():
        expect(run(protocol(transport), "echo out; echo err >&2; exit 7"), (b"out\n", b"err\n", 7))

    @cases.case(f"{transport}: bodies of many lengths")
    def _():
        # The length of what is sealed goes through every remainder of a cipher's block.
        client = protocol(transport)
        shell = client.open_shell()
        for length in range(1, 35):
            command = client.run_command(shell, f"printf %0{length}d 7")
            expect(client.get_command_output(shell, command), (b"7".rjust(length, b"0"), b"", 0))
        client.close_shell(shell)

    @cases.case(f"{transport}: unicode both ways")
    def _():
        text = "grün こんにちは 🦀"
        expect(run(protocol(transport), f"printf '%s' '{text}'")[0].decode(), text)

    @cases.case(f"{transport}: 1 MB of output")
    def _():
        wanted = b"".join(b"%d\n" % number for number in range(1, 160_001))
        expect(run(protocol(transport), "seq 1 160000"), (wanted, b"", 0))

    @cases.case(f"{transport}: 300 kB of standard input")
    def _():
        pieces = [os.urandom(100_000) for _ in range(3)]
        wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
        expect(run(protocol(transport), "sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))

    @cases.case(f"{transport}: several commands in a shell")
    def _():
        client = protocol(transport)
        shell = client.open_shell(env_vars={"WINRM_A": "kept"})
        for number in range(10):
            command = client.run_command(shell, f'echo "$WINRM_A {number}"; exit {number}')
            expect(client.get_command_output(shell, command), (b"kept %d\n" % number, b"", number))
            client.cleanup_command(shell, command)
        client.close_shell(shell)

    @cases.case(f"{transport}: a fault is encrypted too")
    def _():
        error = expect_error(lambda: protocol(transport).run_command(NOT_AN_ID, "echo no"), WSManFaultError)
        expect((error.code, error.wsman_fault_code), (500, 2150858843))

    @cases.case(f"{transport}: clear text over http is refused, and nothing is run")
    def _():
        marker = os.path.join(args.folder, f"ran-by-{transport}")
        client = protocol(transport, message_encryption="never")
        error = expect_error(lambda: run(client, f"touch '{marker}'"), WinRMTransportError)
        expect((error.code, os.path.exists(marker)), (500, False))

    @cases.case(f"{transport}: https")
    def _():
        client = protocol(transport, args.tls_url, ca_trust_path=args.certificate)
        expect(run(client, "echo over TLS; exit 9"), (b"over TLS\n", b"", 9))

    @cases.case(f"{transport}: https, encrypted inside as well")
    def _():
        client = protocol(transport, args.tls_url, ca_trust_path=args.certificate, message_encryption="always")
        expect(run(client, "echo twice; exit 9"), (b"twice\n", b"", 9))

    @cases.case(f"{transport}: https with a required channel binding")
    def _():
        client = protocol(transport, args.strict_url, ca_trust_path=args.strict_certificate)
        expect(run(client, "echo bound; exit 9"), (b"bound\n", b"", 9))

    @cases.case(f"{transport}: https without the binding that is required")
    def _():
        client = protocol(transport, args.strict_url, ca_trust_path=args.strict_certificate, send_cbt=False)
        expect_error(lambda: run(client, "echo no"), InvalidCredentialsError)


@cases.case("ntlm: wrong password, empty password, unknown user")
def _():
    for options in ({"password": "wrong"}, {"password": ""}, {"username": "mallory"}, {"username": "NOWHERE\\alice", "password": "no"}):
        expect_error(lambda: run(protocol("ntlm", **options), "echo no"), InvalidCredentialsError)


@cases.case("ntlm: wrong password over https")
def _():
    client = protocol("ntlm", args.tls_url, server_cert_validation="ignore", password="wrong")
    expect_error(lambda: run(client, "echo no"), InvalidCredentialsError)


@cases.case("kerberos: no ticket", run=args.kerberos)
def _():
    os.environ["KRB5CCNAME"] = os.path.join(args.folder, "no-such-cache")
    try:
        expect_error(lambda: run(protocol("kerberos"), "echo no"), KerberosExchangeError)
    finally:
        os.environ["KRB5CCNAME"] = args.ccache


cases.finish()
