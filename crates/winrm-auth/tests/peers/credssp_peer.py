"""pyspnego's CredSSP as the other side of an authentication, driven by lines on standard input.

usage: credssp_peer.py ROLE INNER VERSION MINIMUM TLS CIPHERS KEY USER PASSWORD HOST

ROLE      initiate or accept
INNER     auto (SPNEGO), or as an initiator ntlm or kerberos (raw tokens, as requests-credssp sends them)
VERSION   the newest version that the peer speaks: pyspnego has no setting for it, but a constant
MINIMUM   the oldest version that it takes
TLS       1.0, 1.2, or any for pyspnego's own choice
CIPHERS   OpenSSL's names, or - for pyspnego's own choice
KEY       rsa or ec: that of the acceptor's certificate
USER      [DOMAIN\\]name
HOST      the name in the host's principal

Lines in, and what is answered (bytes are base64, none is -):
  step TOKEN               token TOKEN COMPLETE    COMPLETE is 0 or 1
  wrap DATA                wrapped HEADER SEALED
  unwrap HEADER SEALED     plain DATA
  seal DATA                sealed CONTENT_TYPE BODY     the HTTP body of pypsrp
  open BODY                plain DATA
  peer                     peer NAME
  suite                    suite VERSION CIPHER
  agreed                   agreed VERSION
  credentials              credentials DOMAIN USER PASSWORD
The first line out is "ready". Any failure is answered by: error TEXT
"""

import datetime
import ssl
import sys
import tempfile
import warnings

import conversation
import spnego
import spnego._credssp
import spnego.tls
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


# TLS 1.0 is old: that is why it is tried.
warnings.simplefilter("ignore")


def elliptic_certificate():
    """What spnego.tls.generate_tls_certificate makes for RSA: certificate, key, and the bytes that are bound to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CREDSSP-peer")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return certificate.public_bytes(serialization.Encoding.PEM), pem, point


def tls_context(role, tls, ciphers, key):
    context = spnego.tls.default_tls_context(usage=role)
    if tls == "1.0":
        context.context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if tls != "any":
        version = {"1.0": ssl.TLSVersion.TLSv1, "1.2": ssl.TLSVersion.TLSv1_2}[tls]
        context.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.context.maximum_version = version
        context.context.minimum_version = version
    if ciphers != "-":
        context.context.set_ciphers(ciphers)
    if role == "accept":
        certificate, pem, public = spnego.tls.generate_tls_certificate() if key == "rsa" else elliptic_certificate()
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + pem)
            file.flush()
            context.context.load_cert_chain(file.name)
        context.public_key = public
    return context


def make(role, inner, version, minimum, tls, ciphers, key, user, password, host):
    spnego._credssp._CREDSSP_VERSION = int(version)
    arguments = {
        "hostname": host,
        "service": "HTTP",
        "protocol": "credssp",
        "credssp_tls_context": tls_context(role, tls, ciphers, key),
        "credssp_min_protocol": int(minimum),
    }
    if role == "accept":
        return spnego.server(**arguments)
    if inner != "auto":
        arguments["credssp_negotiate_context"] = spnego.client(user, password, hostname=host, service="HTTP", protocol=inner)
    return spnego.client(user, password, **arguments)


CREDSSP = "application/HTTP-CredSSP-session-encrypted"


def answer(peer, command, *arguments):
    if command == "suite":
        name, version, _ = peer.get_extra_info("ssl_object").cipher()
        return f"suite {peer.get_extra_info('ssl_object').version()} {name}"
    if command == "agreed":
        return f"agreed {peer.get_extra_info('protocol_version')}"
    if command == "credentials":
        given = peer.get_extra_info("client_credential")
        return f"credentials {given.domain_name or '-'} {given.username} {given.password}"
    return conversation.answer(peer, CREDSSP, command, *arguments)


def main():
    user, password = sys.argv[8:10]
    users = conversation.credential_file(user, password) if sys.argv[1] == "accept" else None
    peer = make(*sys.argv[1:])
    conversation.converse(lambda *line: answer(peer, *line))
    del users


main()
