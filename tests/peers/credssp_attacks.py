"""What a client may try against CredSSP of our service. All but the genuine has to fail.

pyspnego makes the genuine tokens; the damage is done here.
"""

import base64
import http.client
import os
import warnings

import spnego
import spnego._credssp
from pypsrp.encryption import WinRMEncryption
from spnego._context import WrapResult
from spnego._credssp_structures import NegoData, TSCredentials, TSPasswordCreds, TSRequest

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
ACCESS_DENIED = 0xC0000022
INVALID_PARAMETER = 0xC000000D


class Connection:
    """One TCP connection to the service."""

    def __init__(self, user=args.user, password=args.password, url=args.url):
        self.http = http.client.HTTPConnection(*address(url), timeout=20)
        # Without this, a request on a connection that was closed would go over a new one.
        self.http.connect()
        self.http.auto_open = 0
        self.context = spnego.client(user, password, hostname="localhost", service="HTTP", protocol="credssp")
        self.tokens = []

    def post(self, body=b"", authorization=None, content_type=SOAP):
        headers = {"Content-Type": content_type}
        if authorization is not None:
            headers["Authorization"] = authorization
        self.http.request("POST", "/wsman", body, headers)
        answer = self.http.getresponse()
        answer.content = answer.read()
        return answer

    def token(self, token):
        """Sends a token; gives the answer's status and the token in it."""
        answer = self.post(authorization=f"CredSSP {base64.b64encode(token).decode()}")
        for value in answer.headers.get_all("WWW-Authenticate", []):
            name, _, data = value.partition(" ")
            if name == "CredSSP" and data:
                return answer.status, base64.b64decode(data)
        return answer.status, None

    def authenticate(self, change=lambda leg, token: token):
        """Runs the handshake, with each token as `change` has it; gives the last status."""
        status, token, leg = 401, self.context.step(), 0
        while token:
            token = change(leg, token)
            self.tokens.append(token)
            status, reply = self.token(token)
            try:
                token = self.context.step(reply) if reply and not self.context.complete else None
            except spnego.exceptions.SpnegoError:
                # The service says why it refuses.
                return status
            leg += 1
        return status

    def genuine(self):
        expect((self.authenticate(), self.context.complete), (200, True), "the genuine authentication")
        self.sealing = WinRMEncryption(self.context, WinRMEncryption.CREDSSP)
        return self

    def seal(self, message=IDENTIFY):
        kind, body = self.sealing.wrap_message(message)
        return body, f'{kind};protocol="{self.sealing.protocol}";boundary="{BOUNDARY}"'

    def send(self, sealed):
        return self.post(sealed[0], content_type=sealed[1])

    def identified(self):
        answer = self.send(self.seal())
        expect((answer.status, answer.headers["Content-Type"].split(";")[0]), (200, "multipart/encrypted"))
        expect(b"IdentifyResponse" in self.sealing.unwrap_message(answer.content, BOUNDARY), True)

    def to_proof(self):
        """Goes on until the client's proof of the server's key would be sent; gives that message, which TLS has not sealed yet."""
        held = []
        wrap = self.context.wrap

        def hold(data, *rest):
            message = TSRequest.unpack(data)
            if not message.pub_key_auth:
                return wrap(data, *rest)
            held.append(message)
            return WrapResult(data=b"", encrypted=True)

        self.context.wrap = hold
        token = self.context.step()
        while not held:
            status, reply = self.token(token)
            expect(status, 401)
            token = self.context.step(reply)
        self.context.wrap = wrap
        return held[0]

    def exchange(self, message):
        """Sends a message and gives the service's: its status, and the code of its refusal, 0 for none, None without a message."""
        status, reply = self.token(self.context.wrap(message.pack()).data)
        if reply is None:
            return status, None
        answer = TSRequest.unpack(self.context.unwrap(reply).data)
        return status, (answer.error_code or 0) & 0xFFFFFFFF

    def expect_nobody(self, what="the connection"):
        """Fails unless the connection has not been authenticated, or is closed."""
        try:
            expect(self.post(IDENTIFY).status, 401, what)
        except (http.client.HTTPException, OSError):
            pass


def refused(connection, answer, status=400):
    """Fails unless the answer is this refusal without a body, and the end of the connection."""
    expect((answer.status, answer.content), (status, b""))
    connection.expect_nobody()


@cases.case("what is genuine is answered, many in a row")
def _():
    connection = Connection().genuine()
    for _ in range(20):
        connection.identified()


@cases.case("delegated credentials that are none of the service's")
def _():
    for domain, user, password in (
        ("", args.user, "wrong"),
        ("", args.user, ""),
        ("", "mallory", args.password),
        ("", "", ""),
        ("NOWHERE", "mallory", "x"),
    ):
        attacked = Connection()
        attacked.context._ts_credential = TSCredentials(TSPasswordCreds(domain, user, password))
        expect(attacked.authenticate(), 401, f"{domain}\\{user}")
        attacked.expect_nobody()


@cases.case("credentials before the proof, and without it")
def _():
    for with_token in (True, False):
        attacked = Connection()
        proof = attacked.to_proof()
        inner = attacked.context._auth_context
        credentials = inner.wrap(attacked.context._ts_credential.pack()).data
        message = TSRequest(6, nego_tokens=proof.nego_tokens if with_token else None, auth_info=credentials)
        expect(attacked.exchange(message), (401, INVALID_PARAMETER))
        attacked.expect_nobody()


@cases.case("a proof of another key, another nonce, none, and no nonce")
def _():
    def genuine(message):
        pass

    def other_proof(message):
        message.pub_key_auth = os.urandom(len(message.pub_key_auth))

    def other_nonce(message):
        message.client_nonce = os.urandom(32)

    def no_nonce(message):
        message.client_nonce = None

    def short_nonce(message):
        message.client_nonce = b"x"

    def empty_proof(message):
        message.pub_key_auth = b""

    def no_token(message):
        message.nego_tokens = None

    def older(message):
        # The proof is a hash; versions before 5 have the key itself there.
        message.version = 4

    for change, wanted in (
        (genuine, 0),
        (other_proof, ACCESS_DENIED),
        (other_nonce, ACCESS_DENIED),
        (empty_proof, ACCESS_DENIED),
        (no_nonce, INVALID_PARAMETER),
        (short_nonce, INVALID_PARAMETER),
        (no_token, INVALID_PARAMETER),
        (older, INVALID_PARAMETER),
    ):
        attacked = Connection()
        message = attacked.to_proof()
        change(message)
        expect(attacked.exchange(message), (401, wanted), change.__name__)
        attacked.expect_nobody(change.__name__)


@cases.case("versions that there are not, and one that is newer than all")
def _():
    newest = spnego._credssp._CREDSSP_VERSION
    try:
        for version, accepted in ((0, False), (1, False), (2, True)):
            spnego._credssp._CREDSSP_VERSION = version
            attacked = Connection()
            attacked.context._min_version = 0
            expect(attacked.authenticate() == 200, accepted, f"version {version}")
    finally:
        spnego._credssp._CREDSSP_VERSION = newest
    attacked = Connection()
    message = attacked.to_proof()
    message.version = 99
    # To a service of version 6 it is as good as 6: the proof is answered.
    expect(attacked.exchange(message), (401, 0), "version 99")


@cases.case("a service with a minimum version")
def _():
    newest = spnego._credssp._CREDSSP_VERSION
    try:
        for version, accepted in ((2, False), (4, False), (5, True), (6, True)):
            spnego._credssp._CREDSSP_VERSION = version
            attacked = Connection(url=args.other_url)
            expect(attacked.authenticate() == 200, accepted, f"version {version}")
            if not accepted:
                attacked.expect_nobody()
    finally:
        spnego._credssp._CREDSSP_VERSION = newest


@cases.case("garbage inside TLS")
def _():
    for message in (
        b"x",
        b"\x30",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x00",
        os.urandom(1_000),
        bytes(60_000),
        TSRequest(6).pack(),
        TSRequest(6, nego_tokens=NegoData(b"")).pack(),
        TSRequest(6, nego_tokens=NegoData(b"x")).pack(),
        TSRequest(6, nego_tokens=NegoData(b"NTLMSSP\0\1\0\0\0")).pack(),
        TSRequest(6, error_code=5).pack(),
        TSRequest(6, auth_info=b"x", pub_key_auth=b"y", client_nonce=bytes(32)).pack(),
        TSRequest(6, nego_tokens=NegoData(b"\x60\x03\x06\x01\x00")).pack() + b"x",
    ):
        attacked = Connection()
        first = attacked.context.step()
        _, reply = attacked.token(first)
        _, reply = attacked.token(attacked.context.step(reply))
        attacked.context._in_buff.write(reply)
        attacked.context._tls_object.do_handshake()
        status, _ = attacked.token(attacked.context.wrap(message).data)
        expect(status, 401, repr(message[:20]))
        attacked.expect_nobody()


@cases.case("tokens that are no TLS, truncated or oversized")
def _():
    tokens = Connection().genuine().tokens
    for token in (b"x", b"\x16\x03\x01", b"\x16\x03\x01\xff\xff" + bytes(70_000), bytes(70_000), b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x01\x00\x05\x01"):
        attacked = Connection()
        expect(attacked.token(token)[0] in (401, 431), True)
    for number, token in enumerate(tokens):
        for length in range(1, len(token) - 1, max(1, len(token) // 20)):
            attacked = Connection()
            attacked.authenticate(lambda leg, genuine: genuine[:length] if leg == number else genuine)
            attacked.expect_nobody(f"token {number}, {length} of {len(token)} bytes")
    Connection().genuine().identified()


@cases.case("tokens of another connection")
def _():
    tokens = Connection().genuine().tokens
    for replayed in (tokens[-1:], tokens[2:], tokens):
        attacked = Connection()
        for token in replayed:
            status, _ = attacked.token(token)
            expect(status, 401)
        attacked.expect_nobody()


@cases.case("the service's own tokens sent back")
def _():
    for number in range(3):
        attacked = Connection()
        token = attacked.context.step()
        for leg in range(5):
            status, reply = attacked.token(token)
            expect(status, 401)
            if leg == number or reply is None:
                break
            token = attacked.context.step(reply)
        status, _ = attacked.token(reply)
        expect(status, 401)
        attacked.expect_nobody()


@cases.case("clear text instead of encryption, and after encrypted messages")
def _():
    for content_type in (SOAP, "text/xml", "", f'multipart/mixed;boundary="{BOUNDARY}"'):
        attacked = Connection().genuine()
        refused(attacked, attacked.post(IDENTIFY, content_type=content_type), 500)
    attacked = Connection().genuine()
    attacked.identified()
    refused(attacked, attacked.post(IDENTIFY), 500)


@cases.case("clear text that is said to be encrypted")
def _():
    attacked = Connection().genuine()
    _, content_type = attacked.seal()
    refused(attacked, attacked.post(IDENTIFY, content_type=content_type))


@cases.case("a message again, messages in another order, a message of another connection")
def _():
    attacked = Connection().genuine()
    sealed = attacked.seal()
    expect(attacked.send(sealed).status, 200)
    refused(attacked, attacked.send(sealed))
    attacked = Connection().genuine()
    attacked.seal()
    refused(attacked, attacked.send(attacked.seal()))
    attacked, other = Connection().genuine(), Connection().genuine()
    refused(attacked, attacked.send(other.seal()))


@cases.case("the parts of a long message in another order, one left out, one twice, one of no record")
def _():
    message = IDENTIFY.replace(b"<s:Header/>", b"<s:Header><!--" + b"x" * 50_000 + b"--></s:Header>")
    start = f"--{BOUNDARY}\r\n\tContent-Type: {WinRMEncryption.CREDSSP}".encode()

    def parts(body):
        pieces = body.split(start)[1:]
        return [start + piece for piece in pieces]

    def end(body):
        return body if body.endswith(b"--\r\n") else body + f"--{BOUNDARY}--\r\n".encode()

    changes = {
        "genuine": lambda pieces: pieces,
        "order": lambda pieces: [pieces[1], pieces[0], *pieces[2:]],
        "left out": lambda pieces: [pieces[0], *pieces[2:]],
        "twice": lambda pieces: [pieces[0], pieces[0], *pieces[1:]],
        "short": lambda pieces: pieces[:-1],
    }
    for name, change in changes.items():
        attacked = Connection().genuine()
        body, content_type = attacked.seal(message)
        pieces = parts(body[: -len(f"--{BOUNDARY}--\r\n")])
        expect(len(pieces), 4)
        answer = attacked.post(end(b"".join(change(pieces))), content_type=content_type)
        if name == "genuine":
            expect(answer.status, 200)
        elif name == "short":
            # What is there is genuine, but no envelope.
            expect(answer.status in (400, 500), True)
        else:
            refused(attacked, answer)


@cases.case("a flipped bit in every part of a message")
def _():
    body, _ = Connection().genuine().seal()
    start = body.index(b"octet-stream\r\n") + len(b"octet-stream\r\n")
    places = [*range(start + 4, len(body) - len(f"--{BOUNDARY}--\r\n"), 37), body.index(b"Length=") + len(b"Length=")]
    for place in places:
        attacked = Connection().genuine()
        body, content_type = attacked.seal()
        damaged = bytearray(body)
        damaged[place] ^= 1
        refused(attacked, attacked.post(bytes(damaged), content_type=content_type))


@cases.case("a truncated message")
def _():
    body, _ = Connection().genuine().seal()
    for length in (1, 10, body.index(b"octet-stream"), len(body) // 2, len(body) - 30):
        attacked = Connection().genuine()
        body, content_type = attacked.seal()
        refused(attacked, attacked.post(body[:length], content_type=content_type))


@cases.case("sealed as something else")
def _():
    attacked = Connection().genuine()
    attacked.sealing.protocol = WinRMEncryption.SPNEGO
    refused(attacked, attacked.send(attacked.seal()))


@cases.case("the end of TLS inside, and renegotiation")
def _():
    attacked = Connection().genuine()
    body, content_type = attacked.seal()
    # An alert in place of data: the record's type is 21.
    at = body.index(b"octet-stream\r\n") + len(b"octet-stream\r\n") + 4
    expect(body[at], 23)
    for kind in (20, 21, 22, 24):
        attacked = Connection().genuine()
        body, content_type = attacked.seal()
        refused(attacked, attacked.post(body[:at] + bytes([kind]) + body[at + 1 :], content_type=content_type))


@cases.case("after all of that the service is as good as before")
def _():
    Connection().genuine().identified()


cases.finish()
