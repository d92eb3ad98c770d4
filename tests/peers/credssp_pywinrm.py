"""pywinrm with CredSSP (requests-credssp) as a client of our service: encrypted over http, and over https."""

import hashlib
import os
import warnings

import winrm
from requests_credssp.exceptions import AuthenticationException, NTStatusException
from winrm.exceptions import WSManFaultError

from cases import Cases, expect, expect_error
from sealed_cases import arguments, by_name

NOT_AN_ID = "11111111-2222-3333-4444-555555555555"
STATUS_LOGON_FAILURE = 0xC000006D

warnings.simplefilter("ignore")
args = arguments()
cases = Cases()

# What authenticates inside, and as whom.
WAYS = [("auto", args.user, args.password), ("ntlm", args.user, args.password)]
if args.kerberos:
    WAYS += [(mechanism, args.principal, args.principal_password) for mechanism in ("auto", "kerberos")]


def protocol(mechanism="auto", user=args.user, password=args.password, url=args.url, minimum_version=2, **options):
    options = {"message_encryption": "always" if url.startswith("http:") else "auto", **options}
    client = winrm.Protocol(endpoint=by_name(url), transport="credssp", username=user, password=password, **options)
    # Its transport has these settings, Protocol does not pass them on.
    client.transport.credssp_auth_mechanism = mechanism
    client.transport.credssp_minimum_version = minimum_version
    return client


def run(client, line, stdin=None):
    """Runs one command in its own shell."""
    shell = client.open_shell(codepage=65001)
    try:
        command = client.run_command(shell, line, console_mode_stdin=stdin is None)
        for number, piece in enumerate(stdin or [], 1):
            client.send_command_input(shell, command, piece, end=number == len(stdin))
        result = client.get_command_output(shell, command)
        client.cleanup_command(shell, command)
        return result
    finally:
        client.close_shell(shell)


for mechanism, user, password in WAYS:
    way = f"{mechanism} as {user}"

    def client(url=args.url, mechanism=mechanism, user=user, password=password, **options):
        return protocol(mechanism, user, password, url, **options)

    @cases.case(f"{way}: output, standard error, exit code")
    def _():
        expect(run(client(), "echo out; echo err >&2; exit 7"), (b"out\n", b"err\n", 7))

    @cases.case(f"{way}: bodies of many lengths")
    def _():
        connected = client()
        shell = connected.open_shell()
        for length in range(1, 35):
            command = connected.run_command(shell, f"printf %0{length}d 7")
            expect(connected.get_command_output(shell, command), (b"7".rjust(length, b"0"), b"", 0))
        connected.close_shell(shell)

    @cases.case(f"{way}: 3 MB of output, in several records")
    def _():
        wanted = b"".join(b"%d\n" % number for number in range(1, 450_001))
        expect(run(client(), "seq 1 450000"), (wanted, b"", 0))

    @cases.case(f"{way}: 900 kB of standard input, in several records")
    def _():
        pieces = [os.urandom(300_000) for _ in range(3)]
        wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
        expect(run(client(), "sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))

    @cases.case(f"{way}: a command line longer than a record")
    def _():
        text = "x" * 40_000
        expect(run(client(), f"printf %s {text}"), (text.encode(), b"", 0))

    @cases.case(f"{way}: several commands in a shell")
    def _():
        connected = client()
        shell = connected.open_shell(env_vars={"WINRM_A": "kept"})
        for number in range(10):
            command = connected.run_command(shell, f'echo "$WINRM_A {number}"; exit {number}')
            expect(connected.get_command_output(shell, command), (b"kept %d\n" % number, b"", number))
            connected.cleanup_command(shell, command)
        connected.close_shell(shell)

    @cases.case(f"{way}: a fault is encrypted too")
    def _():
        error = expect_error(lambda: client().run_command(NOT_AN_ID, "echo no"), WSManFaultError)
        expect((error.code, error.wsman_fault_code), (500, 2150858843))

    @cases.case(f"{way}: clear text over http is refused, and nothing is run")
    def _():
        marker = os.path.join(args.folder, f"ran-by-{mechanism}-{len(user)}")
        refused = client(message_encryption="never")
        # The body comes along with the last token, and what is refused has none.
        expect_error(lambda: run(refused, f"touch '{marker}'"), AuthenticationException)
        expect(os.path.exists(marker), False)

    @cases.case(f"{way}: https")
    def _():
        connected = client(args.tls_url, ca_trust_path=args.certificate)
        expect(run(connected, "echo over TLS; exit 9"), (b"over TLS\n", b"", 9))

    @cases.case(f"{way}: https, encrypted inside as well")
    def _():
        connected = client(args.tls_url, ca_trust_path=args.certificate, message_encryption="always")
        expect(run(connected, "echo twice; exit 9"), (b"twice\n", b"", 9))

    @cases.case(f"{way}: https of a service that requires channel bindings, which CredSSP has inside")
    def _():
        connected = client(args.strict_url, ca_trust_path=args.strict_certificate)
        expect(run(connected, "echo bound; exit 9"), (b"bound\n", b"", 9))

    @cases.case(f"{way}: with a minimum version")
    def _():
        expect(run(client(minimum_version=6), "echo new"), (b"new\n", b"", 0))


@cases.case("a wrong password has its status")
def _():
    for user, password in ((args.user, "wrong"), ("mallory", "wrong")):
        error = expect_error(lambda: run(protocol("auto", user, password), "echo no"), NTStatusException)
        expect(error.status, STATUS_LOGON_FAILURE)


@cases.case("a wrong password over https has its status")
def _():
    wrong = protocol(password="wrong", url=args.tls_url, server_cert_validation="ignore")
    expect(expect_error(lambda: run(wrong, "echo no"), NTStatusException).status, STATUS_LOGON_FAILURE)


@cases.case("a service that does not offer CredSSP says so")
def _():
    other = protocol(url=args.other_url)
    expect_error(lambda: run(other, "echo no"), AuthenticationException)


cases.finish()
