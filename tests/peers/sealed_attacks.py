"""What somebody in between, or somebody without a password, may try against our service. All of it has to fail.

pyspnego makes the genuine tokens and seals; the damage is done here.
"""

import base64
import hashlib
import hmac
import http.client
import os
import socket
import struct
import warnings

import spnego
from pypsrp.encryption import WinRMEncryption
from spnego._ntlm_raw.messages import Authenticate, Challenge, NegotiateFlags, NTClientChallengeV2

from cases import Cases, expect
from sealed_cases import address, arguments

warnings.simplefilter("ignore")
args = arguments()
cases = Cases()

IDENTIFY = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    b'xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    b"<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>"
)
SOAP = "application/soap+xml;charset=UTF-8"
BOUNDARY = "Encrypted Boundary"
PROTOCOLS = {"Negotiate": WinRMEncryption.SPNEGO, "NTLM": WinRMEncryption.SPNEGO, "Kerberos": WinRMEncryption.KERBEROS}


class Connection:
    """One TCP connection to the service."""

    def __init__(self, url=args.url):
        self.http = http.client.HTTPConnection(*address(url), timeout=20)
        # Without this, a request on a connection that was closed would go over a new one.
        self.http.connect()
        self.http.auto_open = 0
        self.tokens = []

    def post(self, body=b"", authorization=None, content_type=SOAP):
        headers = {"Content-Type": content_type}
        if authorization is not None:
            headers["Authorization"] = authorization
        self.http.request("POST", "/wsman", body, headers)
        answer = self.http.getresponse()
        answer.content = answer.read()
        return answer

    def token(self, scheme, token):
        """Sends a token; gives the answer and the token in it."""
        answer = self.post(authorization=f"{scheme} {base64.b64encode(token).decode()}")
        for value in answer.headers.get_all("WWW-Authenticate", []):
            name, _, data = value.partition(" ")
            if name == scheme and data:
                return answer, base64.b64decode(data)
        return answer, None

    def authenticate(self, protocol="ntlm", scheme="Negotiate"):
        credentials = (args.user, args.password)
        if protocol == "kerberos":
            credentials = (args.principal, None)
        options = spnego.NegotiateOptions.wrapping_winrm if protocol == "kerberos" else 0
        context = spnego.client(*credentials, hostname="localhost", service="HTTP", protocol=protocol, options=options)
        token = context.step()
        while token:
            self.tokens.append(token)
            answer, reply = self.token(scheme, token)
            token = context.step(reply) if reply else None
        expect((answer.status, context.complete), (200, True), "the genuine authentication")
        self.sealing = WinRMEncryption(context, PROTOCOLS[scheme])
        return self

    def seal(self, message=IDENTIFY):
        kind, body = self.sealing.wrap_message(message)
        return body, f'{kind};protocol="{self.sealing.protocol}";boundary="{BOUNDARY}"'

    def send(self, sealed):
        return self.post(sealed[0], content_type=sealed[1])

    def identified(self, answer=None):
        """Fails unless the answer to a sealed request is a sealed identity."""
        answer = answer or self.send(self.seal())
        expect((answer.status, answer.headers["Content-Type"].split(";")[0]), (200, "multipart/encrypted"))
        plain = self.sealing.unwrap_message(answer.content, BOUNDARY)
        expect(b"IdentifyResponse" in plain, True, "the answer is an identity")

    def expect_closed(self):
        """Fails unless the service has closed this connection."""
        try:
            self.http.request("POST", "/wsman", b"", {})
            answer = self.http.getresponse()
        except (http.client.HTTPException, OSError):
            return
        raise AssertionError(f"the connection still answers, with {answer.status}")


def refused(connection, answer, status=400):
    """Fails unless the answer is this refusal without a body, and the end of the connection."""
    expect((answer.status, answer.content), (status, b""))
    connection.expect_closed()


WAYS = [("ntlm", "Negotiate"), ("ntlm", "NTLM"), ("negotiate", "Negotiate")]
if args.kerberos:
    WAYS += [("kerberos", "Negotiate"), ("kerberos", "Kerberos")]

for protocol, scheme in WAYS:
    way = f"{protocol} under {scheme}"

    def connection():
        return Connection().authenticate(protocol, scheme)

    @cases.case(f"{way}: what is genuine is answered, many in a row")
    def _():
        genuine = connection()
        for _ in range(20):
            genuine.identified()

    @cases.case(f"{way}: clear text instead of encryption")
    def _():
        for content_type in (SOAP, "text/xml", "", f'multipart/mixed;boundary="{BOUNDARY}"'):
            attacked = connection()
            refused(attacked, attacked.post(IDENTIFY, content_type=content_type), 500)

    @cases.case(f"{way}: clear text after encrypted messages")
    def _():
        attacked = connection()
        attacked.identified()
        refused(attacked, attacked.post(IDENTIFY), 500)

    @cases.case(f"{way}: clear text that is said to be encrypted")
    def _():
        attacked = connection()
        _, content_type = attacked.seal()
        refused(attacked, attacked.post(IDENTIFY, content_type=content_type))

    @cases.case(f"{way}: a message again")
    def _():
        attacked = connection()
        sealed = attacked.seal()
        attacked.identified(attacked.send(sealed))
        refused(attacked, attacked.send(sealed))

    @cases.case(f"{way}: messages in another order")
    def _():
        attacked = connection()
        attacked.seal()
        refused(attacked, attacked.send(attacked.seal()))

    @cases.case(f"{way}: a message of another connection")
    def _():
        attacked, other = connection(), connection()
        refused(attacked, attacked.send(other.seal()))

    @cases.case(f"{way}: the answer of the service as a request")
    def _():
        attacked = connection()
        answer = attacked.send(attacked.seal())
        refused(attacked, attacked.post(answer.content, content_type=answer.headers["Content-Type"]))

    @cases.case(f"{way}: a flipped bit in every part")
    def _():
        body, _ = connection().seal()
        start = body.index(b"octet-stream\r\n") + len(b"octet-stream\r\n")
        signature = struct.unpack("<I", body[start : start + 4])[0]
        sealed, end = start + 4 + signature, len(body) - len(f"--{BOUNDARY}--\r\n")
        places = [*range(start, start + 4), start + 4, start + 4 + signature // 2, sealed - 1, sealed, (sealed + end) // 2, end - 1]
        # The announced length: another digit.
        places.append(body.index(b"Length=") + len(b"Length="))
        for place in places:
            attacked = connection()
            body, content_type = attacked.seal()
            damaged = bytearray(body)
            damaged[place] ^= 1
            refused(attacked, attacked.post(bytes(damaged), content_type=content_type))

    @cases.case(f"{way}: every bit of the signature", run=protocol == "ntlm" and scheme == "NTLM")
    def _():
        for bit in range(128):
            attacked = connection()
            body, content_type = attacked.seal()
            damaged = bytearray(body)
            damaged[body.index(b"octet-stream\r\n") + len(b"octet-stream\r\n") + 4 + bit // 8] ^= 1 << bit % 8
            refused(attacked, attacked.post(bytes(damaged), content_type=content_type))

    @cases.case(f"{way}: a truncated message")
    def _():
        body, _ = connection().seal()
        for length in (1, 10, body.index(b"octet-stream"), len(body) // 2, len(body) - 30):
            attacked = connection()
            body, content_type = attacked.seal()
            refused(attacked, attacked.post(body[:length], content_type=content_type))

    @cases.case(f"{way}: sealed as something else")
    def _():
        attacked = connection()
        attacked.sealing.protocol = WinRMEncryption.CREDSSP
        refused(attacked, attacked.send(attacked.seal()))

    @cases.case(f"{way}: tokens of another connection")
    def _():
        tokens = connection().tokens
        # The last ones alone, and all of them from the start.
        for replayed in (tokens[-1:], tokens):
            attacked = Connection()
            for token in replayed:
                answer, _ = attacked.token(scheme, token)
            expect(answer.status, 401)
            expect(attacked.post(IDENTIFY).status, 401)

    @cases.case(f"{way}: the end of a session by an empty request")
    def _():
        attacked = connection()
        attacked.identified()
        expect(attacked.post().status, 401)

    @cases.case(f"{way}: truncated tokens")
    def _():
        tokens = connection().tokens
        for number, token in enumerate(tokens):
            # Each length of the short ones, some of the long ones.
            for length in range(0, len(token) - 1, max(1, len(token) // 150)):
                attacked = Connection()
                for genuine in tokens[:number]:
                    attacked.token(scheme, genuine)
                answer, _ = attacked.token(scheme, token[:length])
                expect(answer.status, 401, f"token {number}, {length} of {len(token)} bytes")
                expect(attacked.post(IDENTIFY).status, 401)

    @cases.case(f"{way}: tokens of 64 kB")
    def _():
        for token in (bytes(65_536), b"NTLMSSP\0\1\0\0\0" + b"\xff" * 65_536, b"\x60\x83\x01\x00\x00" + b"\x30" * 65_536, os.urandom(65_536)):
            attacked = Connection()
            expect(attacked.token(scheme, token)[0].status in (401, 431), True)
        connection().identified()


@cases.case("an NTLM response of zeroes without MIC")
def _():
    for user in (args.user, "", "mallory"):
        for scheme in ("Negotiate", "NTLM"):
            attacked = Connection()
            genuine = spnego.client("somebody", "no", hostname="localhost", service="HTTP", protocol="ntlm")
            _, reply = attacked.token(scheme, genuine.step())
            challenge = Challenge.unpack(reply)
            blob = NTClientChallengeV2(client_challenge=b"\0" * 8, av_pairs=challenge.target_info)
            forged = Authenticate(
                flags=challenge.flags & ~NegotiateFlags.key_exch,
                lm_challenge_response=b"\0" * 24,
                nt_challenge_response=b"\0" * 16 + blob.pack(),
                username=user,
            ).pack()
            answer, _ = attacked.token(scheme, forged)
            expect(answer.status, 401, f"{scheme} as {user!r}")
            expect(attacked.post(IDENTIFY).status, 401)


@cases.case("an anonymous NTLM response")
def _():
    attacked = Connection()
    genuine = spnego.client("x", "no", hostname="localhost", service="HTTP", protocol="ntlm")
    _, reply = attacked.token("Negotiate", genuine.step())
    forged = Authenticate(
        flags=Challenge.unpack(reply).flags | NegotiateFlags.anonymous, lm_challenge_response=b"\0", nt_challenge_response=b""
    ).pack()
    expect(attacked.token("Negotiate", forged)[0].status, 401)


@cases.case("a genuine NTLM response with another MIC")
def _():
    attacked = Connection()
    genuine = spnego.client(args.user, args.password, hostname="localhost", service="HTTP", protocol="ntlm")
    _, reply = attacked.token("NTLM", genuine.step())
    message = bytearray(genuine.step(reply))
    # [MS-NLMP] 2.2.1.3: the MIC stands at 72 for 16 bytes.
    message[72] ^= 1
    expect(attacked.token("NTLM", bytes(message))[0].status, 401)


@cases.case("an NTLM response whose flags were changed on the way, signing and sealing left out")
def _():
    attacked = Connection()
    genuine = spnego.client(args.user, args.password, hostname="localhost", service="HTTP", protocol="ntlm")
    negotiate = bytearray(genuine.step())
    flags = struct.unpack("<I", negotiate[12:16])[0]
    # NTLMSSP_NEGOTIATE_SIGN and _SEAL, [MS-NLMP] 2.2.2.5.
    negotiate[12:16] = struct.pack("<I", flags & ~0x30)
    _, reply = attacked.token("NTLM", bytes(negotiate))
    message = genuine.step(reply)
    expect(attacked.token("NTLM", message)[0].status, 401)


@cases.case("a handshake on one connection, its end on another")
def _():
    first, second = Connection(), Connection()
    genuine = spnego.client(args.user, args.password, hostname="localhost", service="HTTP", protocol="ntlm")
    _, reply = first.token("NTLM", genuine.step())
    answer, _ = second.token("NTLM", genuine.step(reply))
    expect((answer.status, second.post(IDENTIFY).status, first.post(IDENTIFY).status), (401, 401, 401))


@cases.case("after all of that the service is as good as before")
def _():
    for protocol, scheme in WAYS:
        Connection().authenticate(protocol, scheme).identified()


cases.finish()
