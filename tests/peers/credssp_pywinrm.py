"""pywinrm with CredSSP (requests-credssp) as a client of our service: encrypted over http, and over https."""

import hashlib
import os
import ssl
import uuid
import warnings

import winrm
from requests_credssp.exceptions import AuthenticationException, NTStatusException
from winrm.exceptions import WSManFaultError

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


def configure(thumbprint):
    """Writes the service's setting."""
    addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
    service = "http://schemas.microsoft.com/wbem/wsman/1/config/service"
    protocol().send_message(f"""<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:a='{addressing}'
      xmlns:w='http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'><s:Header>
      <a:To>{args.url}</a:To><a:ReplyTo><a:Address>{addressing}/role/anonymous</a:Address></a:ReplyTo>
      <a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><w:ResourceURI>{service}</w:ResourceURI>
      <a:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Put</a:Action></s:Header><s:Body>
      <Service xmlns='{service}'><CertificateThumbprint>{thumbprint}</CertificateThumbprint></Service>
      </s:Body></s:Envelope>""")


def inside(client):
    """The certificate of the TLS inside of a new connection, DER."""
    shell = client.open_shell()
    (context,) = client.transport.session.auth.contexts.values()
    certificate = context.tls_connection.getpeercert(True)
    client.close_shell(shell)
    return certificate


@cases.case("the certificate inside is the one that the service's configuration names")
def _():
    with open(args.certificate, encoding="ascii") as file:
        listeners = ssl.PEM_cert_to_DER_cert(file.read())
    thumbprint = hashlib.sha1(listeners).hexdigest()
    own = inside(protocol())
    expect(own == listeners, False, "before")
    before = protocol()
    shell = before.open_shell()
    configure(thumbprint.upper())
    try:
        for mechanism, user, password in WAYS:
            expect(inside(protocol(mechanism, user, password)) == listeners, True, f"{mechanism} as {user}")
        # What was authenticated goes on.
        command = before.run_command(shell, "echo after")
        expect(before.get_command_output(shell, command), (b"after\n", b"", 0))
        before.cleanup_command(shell, command)
        before.close_shell(shell)
        unknown = expect_error(lambda: configure("ab" * 20), WSManFaultError)
        expect(unknown.wsman_fault_code, 0x80338082)
        expect(inside(protocol()) == listeners, True, "after a thumbprint that was refused")
    finally:
        configure("")
    expect(inside(protocol()) == own, True, "in the end")


cases.finish()
