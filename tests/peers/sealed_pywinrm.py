"""pywinrm as a client of our service, with NTLM and Kerberos: encrypted over http, bound to the channel over https."""

import os
import warnings

import winrm
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.vendor.requests_kerberos.exceptions import KerberosExchangeError

from cases import Cases, expect, expect_error
from encrypted_pywinrm import encrypted, run
from sealed_cases import arguments, by_name

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


TRANSPORTS = ("ntlm", "kerberos") if args.kerberos else ("ntlm",)

for transport in TRANSPORTS:

    def client(url=args.url, **options):
        return protocol(transport, url, **options)

    encrypted(cases, transport, client, args, 160_000, 100_000)

    @cases.case(f"{transport}: unicode both ways")
    def _():
        text = "grün こんにちは 🦀"
        expect(run(protocol(transport), f"printf '%s' '{text}'")[0].decode(), text)

    @cases.case(f"{transport}: clear text over http is refused, and nothing is run")
    def _():
        marker = os.path.join(args.folder, f"ran-by-{transport}")
        client = protocol(transport, message_encryption="never")
        error = expect_error(lambda: run(client, f"touch '{marker}'"), WinRMTransportError)
        expect((error.code, os.path.exists(marker)), (500, False))

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
