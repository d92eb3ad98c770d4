"""An HTTP server that does WinRM's handshake by pyspnego and its encryption by pypsrp, with a shell in it that only pretends.

Prints `listening URL`, and a line for whatever happens to its connections. The pretended commands: `cat` gives back its
standard input; every other one gives its own line, `complaint` as standard error, and the exit code 3.
"""

import argparse
import base64
import hashlib
import http.server
import os
import re
import ssl
import tempfile
import threading
import warnings
import xml.etree.ElementTree as ET

import gssapi
import spnego
import spnego._credssp
import spnego.channel_bindings
import spnego.tls
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pypsrp.encryption import WinRMEncryption

parser = argparse.ArgumentParser()
parser.add_argument("--protocol", default="negotiate", choices=["negotiate", "kerberos", "ntlm", "credssp"], help="pyspnego's name of what is accepted")
parser.add_argument("--scheme", default="Negotiate", choices=["Negotiate", "Kerberos", "NTLM", "CredSSP"], help="what a 401 offers")
parser.add_argument("--certificate", help="serve https with this PEM file")
parser.add_argument("--key")
parser.add_argument("--binding", help="expect the channel binding of this certificate instead")
parser.add_argument("--clear-answers", action="store_true", help="answer encrypted requests in clear text")
parser.add_argument("--version", type=int, default=6, help="the newest version of CredSSP that is spoken")
parser.add_argument("--inner-tls", choices=["1.0", "1.2"], help="the version of the TLS inside CredSSP")
parser.add_argument("--attack", help="what is wrong with CredSSP: see `dishonest`")
args = parser.parse_args()

NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "wsmid": "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd",
}
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
ID = "0F0F0F0F-1111-2222-3333-%012d"


def say(*words):
    print(*words, flush=True)


class PretendedCommand:
    def __init__(self, line):
        self.line = line
        self.stdin = b""
        self.ended = threading.Event()


class PretendedShells:
    """What all connections share."""

    def __init__(self):
        self.commands = {}
        self.lock = threading.Lock()

    def answer(self, envelope):
        root = ET.fromstring(envelope)
        if root.find("s:Body/wsmid:Identify", NS) is not None:
            return (
                "",
                "<wsmid:IdentifyResponse><wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</wsmid:ProtocolVersion>"
                "<wsmid:ProductVendor>Nobody</wsmid:ProductVendor><wsmid:ProductVersion>pretended</wsmid:ProductVersion></wsmid:IdentifyResponse>",
            )
        action = root.findtext("s:Header/a:Action", namespaces=NS)
        say("action", action.rpartition("/")[2])
        if action == f"{TRANSFER}/Create":
            shell = ID % 1
            return (
                f"{TRANSFER}/CreateResponse",
                f"<x:ResourceCreated><a:ReferenceParameters><w:SelectorSet><w:Selector Name='ShellId'>{shell}</w:Selector></w:SelectorSet>"
                f"</a:ReferenceParameters></x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell}</rsp:ShellId></rsp:Shell>",
            )
        if action == f"{SHELL}/Command":
            line = root.findtext("s:Body/rsp:CommandLine/rsp:Command", namespaces=NS)
            with self.lock:
                identity = ID % (len(self.commands) + 2)
                self.commands[identity] = PretendedCommand(line)
            return f"{SHELL}/CommandResponse", f"<rsp:CommandResponse><rsp:CommandId>{identity}</rsp:CommandId></rsp:CommandResponse>"
        if action == f"{SHELL}/Send":
            stream = root.find("s:Body/rsp:Send/rsp:Stream", NS)
            command = self.commands[stream.get("CommandId")]
            command.stdin += base64.b64decode(stream.text or "")
            if (stream.get("End") or "").lower() == "true":
                command.ended.set()
            return f"{SHELL}/SendResponse", "<rsp:SendResponse/>"
        if action == f"{SHELL}/Receive":
            return f"{SHELL}/ReceiveResponse", self.receive(root.find("s:Body/rsp:Receive/rsp:DesiredStream", NS).get("CommandId"))
        if action == f"{SHELL}/Signal":
            return f"{SHELL}/SignalResponse", "<rsp:SignalResponse/>"
        return f"{TRANSFER}/DeleteResponse", ""

    def receive(self, identity):
        command = self.commands[identity]
        out, err, code = command.line.encode(), b"complaint", 3
        if command.line == "cat":
            if not command.ended.wait(20):
                raise TimeoutError("standard input does not end")
            out, err, code = command.stdin, b"", 0
        streams = "".join(
            f"<rsp:Stream Name='{name}' CommandId='{identity}'>{base64.b64encode(data).decode()}</rsp:Stream>"
            f"<rsp:Stream Name='{name}' CommandId='{identity}' End='true'/>"
            for name, data in (("stdout", out), ("stderr", err))
        )
        return (
            f"<rsp:ReceiveResponse>{streams}<rsp:CommandState CommandId='{identity}' State='{SHELL}/CommandState/Done'>"
            f"<rsp:ExitCode>{code}</rsp:ExitCode></rsp:CommandState></rsp:ReceiveResponse>"
        )


def envelope_of(action, body):
    prefixes = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())
    header = f"<a:Action>{action}</a:Action>" if action else ""
    return f"<s:Envelope {prefixes}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()


def bindings():
    """RFC 5929's tls-server-end-point; the certificates of the tests are signed with SHA-256."""
    file = args.binding or args.certificate
    if file is None:
        return None
    with open(file, "rb") as pem:
        certificate = x509.load_pem_x509_certificate(pem.read()).public_bytes(Encoding.DER)
    data = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
    return spnego.channel_bindings.GssChannelBindings(application_data=data)


def use_delegated(context):
    """Fetches another ticket with the credential that was delegated; whose it is, and for whom."""
    inner = getattr(context, "_context", None)
    while inner is not None and not isinstance(inner, gssapi.SecurityContext):
        inner = getattr(inner, "_context", None) or getattr(inner, "_context_list", None)
    credential = inner.delegated_creds if inner is not None else None
    if credential is None:
        return "nothing"
    target = gssapi.Name("HTTP@host1.winrm.test", gssapi.NameType.hostbased_service)
    token = gssapi.SecurityContext(name=target, creds=credential, usage="initiate").step()
    return f"{credential.name}:{len(token) > 500}"


def inner_tls():
    """The TLS inside CredSSP, with a new key."""
    context = spnego.tls.default_tls_context(usage="accept")
    if args.inner_tls == "1.0":
        context.context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.context.maximum_version = ssl.TLSVersion.TLSv1
    certificate, key, context.public_key = spnego.tls.generate_tls_certificate()
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.context.load_cert_chain(file.name)
    return context


def accept():
    """The acceptor of a connection."""
    if args.protocol != "credssp":
        return spnego.server("localhost", "HTTP", protocol=args.protocol, channel_bindings=bindings(), options=OPTIONS)
    context = spnego.server("localhost", "HTTP", protocol="credssp", credssp_tls_context=INNER_TLS)
    genuine = context._yield_ts_request

    def exchange(request, stage):
        if args.attack:
            dishonest(request, stage)
        answer = yield from genuine(request, stage)
        if answer.auth_info:
            say("password received")
        return answer

    context._yield_ts_request = exchange
    return context


def dishonest(request, stage):
    """Changes what the acceptor sends: `status:CODE`, or one of the names below, in the answer to the client's proof."""
    name, _, value = args.attack.partition(":")
    last = stage == "Public key exchange"
    if name == "status" and last:
        request.pub_key_auth = request.nego_tokens = None
        request.error_code = int(value, 0)
    elif name == "first-status" and not last:
        request.nego_tokens = None
        request.error_code = int(value, 0)
    elif name == "no-proof" and last:
        request.pub_key_auth = None
    elif name == "empty-proof" and last:
        request.pub_key_auth = b""
    elif name == "random-proof" and last:
        request.pub_key_auth = os.urandom(len(request.pub_key_auth))
    elif name == "other-version" and last:
        request.version = 2
    elif name == "no-token" and not last:
        request.nego_tokens = None
    elif name == "long" and last:
        request.pub_key_auth += bytes(150_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """One for each connection."""

    protocol_version = "HTTP/1.1"
    shells = PretendedShells()
    context = None
    sealing = None
    number = 0

    def setup(self):
        super().setup()
        Handler.number += 1
        self.name = Handler.number
        say("connection", self.name)

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.answer(body)
        except Exception as error:
            # A message that can't be opened is answered as Windows does.
            say("failed", self.name, type(error).__name__, str(error).replace("\n", " "))
            self.close_connection = True
            self.reply(400)

    def answer(self, body):
        if self.headers.get("WSMANIDENTIFY") == "unauthenticated":
            return self.reply(200, envelope_of(*self.shells.answer(body)))
        if self.headers.get("Authorization"):
            return self.handshake(body)
        if self.context is None or not self.context.complete:
            say("refused", self.name)
            return self.reply(401, challenge=args.scheme)
        return self.operation(body)

    def handshake(self, body):
        scheme, _, data = self.headers["Authorization"].partition(" ")
        if scheme != args.scheme:
            say("refused", self.name, scheme)
            return self.reply(401, challenge=args.scheme)
        if self.context is None or self.context.complete:
            self.context = accept()
        try:
            reply = self.context.step(base64.b64decode(data))
        except Exception as error:
            say("refused", self.name, type(error).__name__, str(error).replace("\n", " "))
            self.context = None
            return self.reply(401, challenge=args.scheme)
        if reply and args.attack == "truncated" and reply[0] == 23:
            reply = reply[:-1]
        elif reply and args.attack == "no-tls":
            reply = b"hello"
        elif reply and args.attack == "early-success" and reply[0] == 23:
            return self.reply(200)
        token = f"{scheme} {base64.b64encode(reply).decode()}" if reply else None
        if not self.context.complete:
            return self.reply(401, challenge=token or args.scheme)
        mechanism = self.context.negotiated_protocol
        delegated = use_delegated(self.context) if mechanism == "kerberos" else "nothing"
        say("authenticated", self.name, scheme, mechanism, self.context.client_principal, f"delegated={delegated}")
        if scheme == "CredSSP":
            given = self.context.get_extra_info("client_credential")
            version, (name, tls, _) = self.context.get_extra_info("protocol_version"), self.context.get_extra_info("ssl_object").cipher()
            say("delegated", self.name, f"{given.domain_name}\\{given.username}", hashlib.sha256(given.password.encode()).hexdigest())
            say("credssp", version, self.context.get_extra_info("ssl_object").version(), name)
        protocol = {"Kerberos": WinRMEncryption.KERBEROS, "CredSSP": WinRMEncryption.CREDSSP}.get(scheme, WinRMEncryption.SPNEGO)
        self.sealing = WinRMEncryption(self.context, protocol)
        if body:
            return self.operation(body, token)
        return self.reply(200, challenge=token)

    def operation(self, body, token=None):
        kind = self.headers["Content-Type"]
        if not kind.startswith(("multipart/encrypted", "multipart/x-multi-encrypted")):
            say("clear", self.name)
            if args.certificate is None:
                return self.reply(500)
            return self.reply(200, envelope_of(*self.shells.answer(body)), challenge=token)
        if f'protocol="{self.sealing.protocol}"' not in kind:
            raise ValueError(f"sealed as {kind}")
        say("sealed", self.name, kind.partition(";")[0])
        boundary = re.search('boundary="([^"]*)"', kind).group(1)
        answer = envelope_of(*self.shells.answer(self.sealing.unwrap_message(body, boundary)))
        if args.clear_answers:
            return self.reply(200, answer)
        kind, sealed = self.sealing.wrap_message(answer)
        self.reply(200, sealed, f'{kind};protocol="{self.sealing.protocol}";boundary="Encrypted Boundary"', challenge=token)

    def reply(self, status, body=b"", kind="application/soap+xml;charset=UTF-8", challenge=None):
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


spnego._credssp._CREDSSP_VERSION = args.version
if args.attack == "other-key":
    # As if the key were another's: both sides' hashes and the key itself are made from it.
    genuine_proof = spnego._credssp._get_pub_key_auth
    spnego._credssp._get_pub_key_auth = lambda key, usage, nonce=None: genuine_proof(
        key[::-1] if usage == "accept" else key, usage, nonce=nonce
    )
elif args.attack == "client-proof":
    # What the client itself has proved, sealed by the server: versions 2 to 4 differ in a byte from it.
    genuine_proof = spnego._credssp._get_pub_key_auth
    spnego._credssp._get_pub_key_auth = lambda key, usage, nonce=None: genuine_proof(key, "initiate", nonce=nonce)
warnings.simplefilter("ignore")
INNER_TLS = inner_tls() if args.protocol == "credssp" else None
OPTIONS = spnego.NegotiateOptions.wrapping_winrm if os.environ.get("KRB5_KTNAME") else spnego.NegotiateOptions.none
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if args.certificate:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(args.certificate, args.key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
say(f"listening {'https' if args.certificate else 'http'}://127.0.0.1:{server.server_address[1]}/wsman")
server.serve_forever()
