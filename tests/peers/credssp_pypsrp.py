"""pypsrp's WinRS with CredSSP as a client of our service: encrypted over http, and over https."""

import hashlib
import os
import warnings

from pypsrp.exceptions import WSManFaultError
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from requests_credssp.exceptions import AuthenticationException, NTStatusException

from cases import Cases, expect, expect_error
from sealed_cases import address, arguments, by_name

NOT_AN_ID = "11111111-2222-3333-4444-555555555555"
NO_SUCH_SHELL_OR_COMMAND = 2150858843

warnings.simplefilter("ignore")
args = arguments()
cases = Cases()

# What authenticates inside, and as whom.
WAYS = [("auto", args.user, args.password), ("ntlm", args.user, args.password)]
if args.kerberos:
    WAYS += [(mechanism, args.principal, args.principal_password) for mechanism in ("auto", "kerberos")]


def connect(mechanism="auto", user=args.user, password=args.password, url=args.url, **options):
    host, port = address(by_name(url))
    ssl = url.startswith("https:")
    options = {"encryption": "auto" if ssl else "always", "no_proxy": True, "username": user, "password": password, **options}
    return WSMan(host, port=port, ssl=ssl, path="wsman", auth="credssp", credssp_auth_mechanism=mechanism, **options)


def invoke(shell, line, stdin=None):
    process = Process(shell, line)
    process.begin_invoke()
    for number, piece in enumerate(stdin or [], 1):
        process.send(piece, end=number == len(stdin))
    process.end_invoke()
    process.signal(SignalCode.CTRL_C)
    return process.stdout, process.stderr, process.rc


def run(wsman, line, stdin=None):
    """Runs one command in its own shell."""
    with WinRS(wsman) as shell:
        return invoke(shell, line, stdin)


for mechanism, user, password in WAYS:
    way = f"{mechanism} as {user}"

    def client(url=args.url, mechanism=mechanism, user=user, password=password, **options):
        return connect(mechanism, user, password, url, **options)

    @cases.case(f"{way}: output, standard error, exit code")
    def _():
        expect(run(client(), "echo out; echo err >&2; exit 7"), (b"out\n", b"err\n", 7))

    @cases.case(f"{way}: bodies of many lengths")
    def _():
        with WinRS(client()) as shell:
            for length in range(1, 35):
                expect(invoke(shell, f"printf %0{length}d 7"), (b"7".rjust(length, b"0"), b"", 0))

    @cases.case(f"{way}: 3 MB of output, in several records")
    def _():
        wanted = b"".join(b"%d\n" % number for number in range(1, 450_001))
        expect(run(client(), "seq 1 450000"), (wanted, b"", 0))

    @cases.case(f"{way}: 900 kB of standard input, in several records")
    def _():
        pieces = [os.urandom(300_000) for _ in range(3)]
        wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
        expect(run(client(), "sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))

    @cases.case(f"{way}: a fault is encrypted too, and the connection goes on")
    def _():
        with WinRS(client()) as shell:
            process = Process(shell, "cat")
            process.begin_invoke()
            known, process.id = process.id, NOT_AN_ID
            expect(expect_error(process.poll_invoke, WSManFaultError).code, NO_SUCH_SHELL_OR_COMMAND)
            process.id = known
            process.signal(SignalCode.CTRL_C)
            expect(invoke(shell, "echo after"), (b"after\n", b"", 0))

    @cases.case(f"{way}: clear text over http is refused, and nothing is run")
    def _():
        marker = os.path.join(args.folder, f"ran-by-{mechanism}-{len(user)}")
        # The body comes along with the last token, and what is refused has none.
        expect_error(lambda: run(client(encryption="never"), f"touch '{marker}'"), AuthenticationException)
        expect(os.path.exists(marker), False)

    @cases.case(f"{way}: https")
    def _():
        wsman = client(args.tls_url, cert_validation=args.certificate)
        expect(run(wsman, "echo over TLS; exit 9"), (b"over TLS\n", b"", 9))

    @cases.case(f"{way}: https, encrypted inside as well")
    def _():
        wsman = client(args.tls_url, cert_validation=args.certificate, encryption="always")
        expect(run(wsman, "echo twice; exit 9"), (b"twice\n", b"", 9))

    @cases.case(f"{way}: with a minimum version")
    def _():
        expect(run(client(credssp_minimum_version=5), "echo new"), (b"new\n", b"", 0))


@cases.case("a wrong password has its status")
def _():
    for options in ({"password": "wrong"}, {"user": "mallory"}):
        error = expect_error(lambda: run(connect(**options), "echo no"), NTStatusException)
        expect(error.status, 0xC000006D)


@cases.case("a service that does not offer CredSSP says so")
def _():
    expect_error(lambda: run(connect(url=args.other_url), "echo no"), AuthenticationException)


cases.finish()
