"""What the peers of the tests have in common: the lines they are driven by, and pypsrp's HTTP bodies."""

import base64
import os
import sys
import tempfile


def decode(text):
    return None if text == "-" else base64.b64decode(text)


def encode(data):
    return base64.b64encode(data).decode() if data else "-"


def credential_file(user, password):
    """Both pyspnego and gss-ntlmssp read the acceptor's users from this file."""
    domain, _, name = user.rpartition("\\")
    handle = tempfile.NamedTemporaryFile("w", suffix=".users")
    handle.write(f"{domain}:{name}:{password}\n")
    handle.flush()
    os.environ["NTLM_USER_FILE"] = handle.name
    return handle


def answer(peer, protocol, command, *arguments):
    """The answer to a line that every peer knows; `protocol` is that of the HTTP bodies."""
    if command == "step":
        token = peer.step(decode(arguments[0]))
        return f"token {encode(token)} {int(peer.complete)}"
    if command == "wrap":
        wrapped = peer.wrap_winrm(decode(arguments[0]) or b"")
        return f"wrapped {encode(wrapped.header)} {encode(wrapped.data)}"
    if command == "unwrap":
        return f"plain {encode(peer.unwrap_winrm(decode(arguments[0]) or b'', decode(arguments[1]) or b''))}"
    if command == "seal":
        kind, body = encryption(peer, protocol).wrap_message(decode(arguments[0]) or b"")
        kind += f';protocol="{protocol}";boundary="Encrypted Boundary"'
        return f"sealed {encode(kind.encode())} {encode(body)}"
    if command == "open":
        return f"plain {encode(encryption(peer, protocol).unwrap_message(decode(arguments[0]), 'Encrypted Boundary'))}"
    if command == "peer":
        return f"peer {peer.client_principal}"
    raise ValueError(f"unknown command {command}")


def encryption(peer, protocol):
    from pypsrp.encryption import WinRMEncryption

    return WinRMEncryption(peer, protocol)


def converse(answer):
    """Answers line by line; whatever a peer raises is for the test to judge."""
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            reply = answer(*line.split())
        except Exception as error:
            reply = f"error {type(error).__name__} {' '.join(str(error).split())}"
        print(reply, flush=True)
