"""pywinrm with CredSSP (requests-credssp) as a client of our service: encrypted over http, and over https."""

import os
import warnings

import winrm
from requests_credssp.exceptions import AuthenticationException, NTStatusException

from cases import Cases, expect, expect_error
from encrypted_pywinrm import encrypted, run
from sealed_cases import arguments, by_name

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


for mechanism, user, password in WAYS:
    way = f"{mechanism} as {user}"

    def client(url=args.url, mechanism=mechanism, user=user, password=password, **options):
        return protocol(mechanism, user, password, url, **options)

    encrypted(cases, way, client, args, 450_000, 300_000)

    @cases.case(f"{way}: a command line longer than a record")
    def _():
        text = "x" * 40_000
        expect(run(client(), f"printf %s {text}"), (text.encode(), b"", 0))

    @cases.case(f"{way}: clear text over http is refused, and nothing is run")
    def _():
        marker = os.path.join(args.folder, f"ran-by-{mechanism}-{len(user)}")
        refused = client(message_encryption="never")
        # The body comes along with the last token, and what is refused has none.
        expect_error(lambda: run(refused, f"touch '{marker}'"), AuthenticationException)
        expect(os.path.exists(marker), False)

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
