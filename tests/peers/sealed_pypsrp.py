"""pypsrp's WinRS as a client of our service, with NTLM, Kerberos and SPNEGO: encrypted over http, bound to the channel over https."""

import os
import warnings

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pypsrp.exceptions import AuthenticationError, WinRMTransportError
from pypsrp.negotiate import HTTPNegotiateAuth
from pypsrp.wsman import WSMan

from cases import Cases, expect, expect_error
from encrypted_pypsrp import encrypted, run
from sealed_cases import address, arguments, by_name

warnings.simplefilter("ignore")
args = arguments()
cases = Cases()


def connect(auth, url=args.url, principal=False, **options):
    host, port = address(by_name(url))
    ssl = url.startswith("https:")
    credentials = {"username": args.user, "password": args.password}
    if principal:
        credentials = {"username": args.principal, "password": args.principal_password}
    options = {"encryption": "auto" if ssl else "always", "no_proxy": True, **credentials, **options}
    return WSMan(host, port=port, ssl=ssl, path="wsman", auth=auth, negotiate_service="HTTP", **options)


def certificate_hash(file):
    """The hash for channel binding, as pypsrp takes it of a certificate."""
    with open(file, "rb") as pem:
        certificate = x509.load_pem_x509_certificate(pem.read())
    return HTTPNegotiateAuth._get_certificate_hash(certificate.public_bytes(Encoding.DER))


# Who authenticates how: what is asked for, and whether it is the principal of the KDC that does.
WAYS = [("ntlm", False), ("negotiate", False)]
if args.kerberos:
    WAYS += [("kerberos", True), ("negotiate", True)]

for auth, principal in WAYS:
    way = f"{auth} as {'a principal' if principal else 'an account'}"

    def client(url=args.url, **options):
        return connect(auth, url, principal, **options)

    encrypted(cases, way, client, args, 160_000, 100_000)

    @cases.case(f"{way}: clear text over http is refused, and nothing is run")
    def _():
        marker = os.path.join(args.folder, f"ran-by-{auth}-{principal}")
        error = expect_error(lambda: run(client(encryption="never"), f"touch '{marker}'"), WinRMTransportError)
        expect((error.code, os.path.exists(marker)), (500, False))

    @cases.case(f"{way}: https with a required channel binding")
    def _():
        wsman = client(args.strict_url, cert_validation=args.strict_certificate)
        expect(run(wsman, "echo bound; exit 9"), (b"bound\n", b"", 9))

    @cases.case(f"{way}: https without the binding that is required")
    def _():
        wsman = client(args.strict_url, cert_validation=args.strict_certificate, negotiate_send_cbt=False)
        expect_error(lambda: run(wsman, "echo no"), AuthenticationError)

    @cases.case(f"{way}: https without a binding where none is required")
    def _():
        wsman = client(args.tls_url, cert_validation=args.certificate, negotiate_send_cbt=False)
        expect(run(wsman, "echo unbound"), (b"unbound\n", b"", 0))

    @cases.case(f"{way}: https with the binding of another certificate")
    def _():
        # What reaches the service when somebody in between relays the tokens of a connection to himself.
        genuine = HTTPNegotiateAuth._get_cbt_data
        other = certificate_hash(args.strict_certificate)
        HTTPNegotiateAuth._get_cbt_data = staticmethod(lambda response: b"tls-server-end-point:" + other)
        try:
            wsman = client(args.tls_url, cert_validation=args.certificate)
            expect_error(lambda: run(wsman, "echo no"), AuthenticationError)
        finally:
            HTTPNegotiateAuth._get_cbt_data = staticmethod(genuine)


@cases.case("ntlm, negotiate: wrong password, unknown user")
def _():
    for auth in ("ntlm", "negotiate"):
        for options in ({"password": "wrong"}, {"username": "mallory"}):
            expect_error(lambda: run(connect(auth, **options), "echo no"), AuthenticationError)


cases.finish()
