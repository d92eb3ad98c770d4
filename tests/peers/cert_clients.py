"""Clients with certificates against our service: pywinrm, pypsrp, and Python's own TLS for what those can't do."""

import argparse
import base64
import glob
import http.client
import os
import ssl
import urllib.parse
import warnings

import winrm
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID
from pypsrp.exceptions import AuthenticationError
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError

from cases import Cases, expect, expect_error

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
ENVELOPE = f"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">
<s:Header><a:To>https://host/wsman</a:To><w:ResourceURI>{SHELL}</w:ResourceURI>
<a:Action>http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate</a:Action>
<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
<a:MessageID>uuid:11111111-2222-3333-4444-555555555555</a:MessageID></s:Header><s:Body/></s:Envelope>""".encode()

# Those of cert_authority.py that are let in; all others it makes are not.
WELCOME = ["right", "case", "more_names", "more_usages", "below_intermediate"]

warnings.simplefilter("ignore")
parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True, help="the listener without TLS")
parser.add_argument("--tls-url", required=True, help="the listener that asks for certificates")
parser.add_argument("--certificate", required=True, help="the service's certificate")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
parser.add_argument("--made", required=True, help="the folder of cert_authority.py")
parser.add_argument("--new", required=True, nargs="+", help="PREFIX of pairs made by `winrm cert new`, self-signed and issued")
parser.add_argument("--encrypted", required=True, help="the same with an encrypted key")
parser.add_argument("--passphrase", required=True)
parser.add_argument("--pfx", required=True, nargs="+", help="that of the encrypted key as PFX, with the same passphrase")
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)
address = urllib.parse.urlsplit(args.tls_url)
cases = Cases()
basic = "Basic " + base64.b64encode(f"{args.user}:{password}".encode()).decode()


def made(name):
    return os.path.join(args.made, f"{name}.pem")


def connect(pem=None, weak=False, versions=None):
    context = ssl.create_default_context(cafile=args.certificate)
    if weak:
        context.set_ciphers("ALL:@SECLEVEL=0")
    if versions:
        context.minimum_version, context.maximum_version = versions
    if pem:
        context.load_cert_chain(pem)
    connection = http.client.HTTPSConnection(address.hostname, address.port, context=context, timeout=20)
    connection.connect()
    connection.auto_open = 0
    return connection


def status(connection, authorization=MUTUAL, body=ENVELOPE):
    headers = {"Content-Type": "application/soap+xml;charset=UTF-8"}
    if authorization:
        headers["Authorization"] = authorization
    connection.request("POST", "/wsman", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    # The shell resource can be enumerated by those who are let in, or it is a fault; either way it is an answer in SOAP.
    return "in" if text.startswith((b"<s:Envelope", b"<?xml", b"<")) else answer.status


def pywinrm(pem, key, **options):
    return winrm.Protocol(args.tls_url, transport="certificate", cert_pem=pem, cert_key_pem=key, ca_trust_path=args.certificate, **options)


def run_pywinrm(client):
    shell = client.open_shell(codepage=65001)
    try:
        command = client.run_command(shell, "echo out; echo err >&2; exit 3")
        result = client.get_command_output(shell, command)
        client.cleanup_command(shell, command)
        return result
    finally:
        client.close_shell(shell)


def pypsrp(pem, key, **options):
    return WSMan(
        address.hostname,
        port=address.port,
        ssl=True,
        path="wsman",
        auth="certificate",
        certificate_pem=pem,
        certificate_key_pem=key,
        cert_validation=args.certificate,
        no_proxy=True,
        **options,
    )


def run_pypsrp(client):
    with WinRS(client) as shell:
        process = Process(shell, "echo out; echo err >&2; exit 3")
        process.invoke()
        return process.stdout, process.stderr, process.rc


def read(path):
    with open(path, "rb") as file:
        return file.read()


def public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


for prefix in [*args.new, args.encrypted]:

    @cases.case(f"cryptography reads {os.path.basename(prefix)} of `winrm cert new`")
    def _():
        made = x509.load_pem_x509_certificate(read(f"{prefix}.pem"))
        value = made.extensions.get_extension_for_class
        names = list(value(x509.SubjectAlternativeName).value)
        expect([type(name) for name in names], [x509.OtherName])
        expect((names[0].type_id.dotted_string, names[0].value), ("1.3.6.1.4.1.311.20.2.3", b"\x0c\x0falice@localhost"))
        expect(list(value(x509.ExtendedKeyUsage).value), [ExtendedKeyUsageOID.CLIENT_AUTH])
        expect(value(x509.BasicConstraints).value.ca, False)
        expect(value(x509.KeyUsage).value.digital_signature, True)
        expect(made.version, x509.Version.v3)
        expect(made.serial_number.bit_length() <= 159, True, "a serial number of 20 bytes at the most")
        passphrase = args.passphrase.encode() if prefix == args.encrypted else None
        key = serialization.load_pem_private_key(read(f"{prefix}.key"), passphrase)
        expect(public(key.public_key()), public(made.public_key()))


for pfx in args.pfx:

    @cases.case(f"cryptography reads {os.path.basename(pfx)} of `winrm cert convert`")
    def _():
        found = pkcs12.load_pkcs12(read(pfx), args.passphrase.encode())
        made = x509.load_pem_x509_certificate(read(f"{args.encrypted}.pem"))
        expect(found.cert.certificate, made)
        expect(found.cert.friendly_name, b"CN=alice")
        expect(public(found.key.public_key()), public(made.public_key()))
        error = expect_error(lambda: pkcs12.load_pkcs12(read(pfx), b"wrong"), ValueError)
        expect("nvalid password" in str(error), True, str(error))


OUTPUT = (b"out\n", b"err\n", 3)

for prefix in args.new:

    @cases.case(f"pywinrm with {os.path.basename(prefix)} of `winrm cert new`")
    def _():
        expect(run_pywinrm(pywinrm(f"{prefix}.pem", f"{prefix}.key")), OUTPUT)

    @cases.case(f"pypsrp with {os.path.basename(prefix)} of `winrm cert new`")
    def _():
        expect(run_pypsrp(pypsrp(f"{prefix}.pem", f"{prefix}.key")), OUTPUT)


@cases.case("pypsrp with an encrypted key of `winrm cert new`")
def _():
    client = pypsrp(f"{args.encrypted}.pem", f"{args.encrypted}.key", certificate_key_password=args.passphrase)
    expect(run_pypsrp(client), OUTPUT)


@cases.case("pywinrm with a chain")
def _():
    expect(run_pywinrm(pywinrm(made("below_intermediate"), made("below_intermediate"))), OUTPUT)


@cases.case("pywinrm is told that its certificate is refused")
def _():
    expect_error(lambda: run_pywinrm(pywinrm(made("unmapped"), made("unmapped"))), InvalidCredentialsError)


@cases.case("pypsrp is told that its certificate is refused")
def _():
    expect_error(lambda: run_pypsrp(pypsrp(made("expired"), made("expired"))), AuthenticationError)


@cases.case("pywinrm with NTLM and Basic on the same listener, without a certificate")
def _():
    for transport in ("ntlm", "basic"):
        client = winrm.Protocol(
            args.tls_url, transport=transport, username=args.user, password=password, ca_trust_path=args.certificate
        )
        expect(run_pywinrm(client), OUTPUT, transport)


for name in WELCOME:

    @cases.case(f"let in: {name}")
    def _():
        connection = connect(made(name))
        expect(status(connection), "in")
        expect(status(connection), "in", "once more on the same connection")


names = sorted(os.path.basename(path)[:-4] for path in glob.glob(made("*")))
for name in names:
    if name in WELCOME or name == "ca":
        continue

    @cases.case(f"refused: {name}")
    def _():
        connection = connect(made(name), weak=name == "small_key")
        expect(status(connection), 401)
        expect(status(connection), 401, "once more on the same connection")
        # The certificate stands in nobody's way who has a password.
        expect(status(connection, basic), "in", "with a password")
        expect(status(connection), 401, "after that")


@cases.case("refused: no certificate")
def _():
    connection = connect()
    expect(status(connection), 401)
    expect(status(connection, basic), "in")


@cases.case("a certificate alone is no authentication: the request has to say so")
def _():
    connection = connect(made("right"))
    expect(status(connection, None), 401)
    expect(status(connection, None, b""), 401)
    expect(status(connection), "in")
    expect(status(connection, None), 401, "nothing is remembered")


@cases.case("a wrong password is none the better for a certificate")
def _():
    connection = connect(made("right"))
    wrong = "Basic " + base64.b64encode(f"{args.user}:wrong".encode()).decode()
    expect(status(connection, wrong), 401)


@cases.case("refused: without TLS")
def _():
    plain = urllib.parse.urlsplit(args.url)
    connection = http.client.HTTPConnection(plain.hostname, plain.port, timeout=20)
    expect(status(connection), 401)


@cases.case("other authorities' names in the header are no authentication")
def _():
    connection = connect(made("right"))
    expect(status(connection, MUTUAL + "/basic"), 401)
    expect(status(connection, MUTUAL[:-1]), 401)


@cases.case("TLS 1.2 at the most, as on Windows")
def _():
    version = ssl.TLSVersion
    expect(status(connect(made("right"), versions=(version.TLSv1_2, version.TLSv1_3))), "in")
    expect_error(lambda: connect(made("right"), versions=(version.TLSv1_3, version.TLSv1_3)), ssl.SSLError)


cases.finish()
