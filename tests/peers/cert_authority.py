"""Makes certificates with `cryptography`: an authority, clients that are to be let in, and those that are not.

Each client is a file `NAME.pem` with certificate, chain and key.
"""

import datetime
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

UPN = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def string(text, tag=0x0C):
    """A string of DER: a UTF8String, unless the tag says otherwise."""
    data = text.encode() if isinstance(text, str) else text
    assert len(data) < 0x80
    return bytes([tag, len(data)]) + data


def upn(text, tag=0x0C):
    return x509.OtherName(UPN, string(text, tag))


def certificate(
    name,
    key,
    issuer=None,
    names=(),
    usages=CLIENT,
    authority=False,
    start=NOW - DAY,
    end=NOW + DAY,
):
    """A certificate; self-signed where there is no issuer, which is a pair of certificate and key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(folder, name, *parts):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(b"".join(parts))


def main(folder):
    authority_key = new_key()
    authority = certificate("Test authority", authority_key, usages=None, authority=True)
    root = (authority, authority_key)
    write(folder, "ca.pem", pem(authority))
    write(folder, "ca.key", key_pem(authority_key))

    false_key = new_key()
    false_root = (certificate("Test authority", false_key, usages=None, authority=True), false_key)
    middle_key = new_key()
    middle = (certificate("Test intermediate", middle_key, root, usages=None, authority=True), middle_key)

    def client(file, name="alice", issuer=root, chain=(), key=None, **options):
        key = key or new_key()
        made = certificate(name, key, issuer, **options)
        write(folder, f"{file}.pem", pem(made), *(pem(above) for above in chain), key_pem(key))
        return made, key

    alice = [upn("alice@localhost")]
    # Let in.
    right = client("right", names=alice)
    client("case", names=[upn("ALICE@LocalHost")])
    client("more_names", names=[x509.DNSName("web1"), *alice, x509.RFC822Name("bob@localhost")])
    client("more_usages", names=alice, usages=[ExtendedKeyUsageOID.SERVER_AUTH, *CLIENT])
    client("below_intermediate", names=alice, issuer=middle, chain=[middle[0]])
    # Not let in.
    client("other_authority", names=alice, issuer=false_root, chain=[false_root[0]])
    client("self_signed", names=alice, issuer=None)
    client("below_client", name="below", names=alice, issuer=right, chain=[right[0]])
    client("without_chain", names=alice, issuer=middle)
    client("expired", names=alice, start=NOW - 3 * DAY, end=NOW - DAY)
    client("not_yet", names=alice, start=NOW + DAY, end=NOW + 2 * DAY)
    client("no_usage", names=alice, usages=None)
    client("server_usage", names=alice, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    client("any_usage", names=alice, usages=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    client("small_key", names=alice, key=rsa.generate_private_key(65537, 1024))
    client("unmapped", names=[upn("mallory@localhost")])
    client("two_names", names=[upn("mallory@localhost"), *alice])
    client("name_twice", names=alice + alice)
    client("nul", names=[upn("alice@localhost\0.example")])
    client("longer", names=[upn("alice@localhost.example")])
    client("space", names=[upn("alice@localhost ")])
    client("no_suffix", names=[upn("alice")])
    client("other_string", names=[upn("alice@localhost", tag=0x16)])
    client("bad_utf8", names=[upn(b"alice@localhost\xff")])
    client("no_name", name="alice@localhost")
    client("email", names=[x509.RFC822Name("alice@localhost")])


if __name__ == "__main__":
    main(sys.argv[1])
