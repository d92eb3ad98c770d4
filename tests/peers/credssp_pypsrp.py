"""pypsrp's WinRS with CredSSP as a client of our service: encrypted over http, and over https."""

import os
import warnings

from pypsrp.wsman import WSMan
from requests_credssp.exceptions import AuthenticationException, NTStatusException

from cases import Cases, expect, expect_error
from encrypted_pypsrp import encrypted, run
from sealed_cases import address, arguments, by_name

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


for mechanism, user, password in WAYS:
    way = f"{mechanism} as {user}"

    def client(url=args.url, mechanism=mechanism, user=user, password=password, **options):
        return connect(mechanism, user, password, url, **options)

    encrypted(cases, way, client, args, 450_000, 300_000)

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
