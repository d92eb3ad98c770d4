"""Plays the part of a Windows host from a recording in pypsrp's source package, over HTTP on loopback.

A recording is a list of requests that pypsrp sent to a real host and of the host's answers. The client under test sends
its own requests in its own order, so an answer is found by what is asked: a request gets the next recorded answer to the
same action. What a host would not say yet, because its command has not read its input, is held back until it would.

Changed in an answer is only what a host would have said otherwise: the message it relates to, and ids that the client
chose itself.
"""

import base64
import functools
import http.server
import os
import threading
import xml.etree.ElementTree as ET

import yaml

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
}
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
# A host waits for the client's next request as long as it likes; a test doesn't.
PATIENCE = 20


class Message:
    """What the tests look at in a request."""

    def __init__(self, text):
        self.size = len(text.encode() if isinstance(text, str) else text)
        self.root = ET.fromstring(text)
        self.action = self._text("s:Header/a:Action").rpartition("/")[2]
        self.id = self._text("s:Header/a:MessageID")
        self.resource = self._text("s:Header/w:ResourceURI")
        self.shell = self._text("s:Header/w:SelectorSet/w:Selector[@Name='ShellId']")
        self.largest_answer = self._text("s:Header/w:MaxEnvelopeSize")
        # Options count in the Header only: hosts don't look for them elsewhere.
        self.options = {
            option.get("Name"): option.text for option in self.root.iterfind("s:Header/w:OptionSet/w:Option", NAMESPACES)
        }

    def _text(self, path):
        element = self.root.find(path, NAMESPACES)
        return element.text if element is not None and element.text else ""

    @property
    def command(self):
        """The id of the command that a Receive, Send or Signal is about."""
        for path in ("rsp:Receive/rsp:DesiredStream", "rsp:Send/rsp:Stream", "rsp:Signal"):
            element = self.root.find(f"s:Body/{path}", NAMESPACES)
            if element is not None:
                return element.get("CommandId", "")
        return ""

    @property
    def line(self):
        """The command line, its arguments separated by blanks, as a host's shell gets it."""
        parts = self.root.findall("s:Body/rsp:CommandLine/*", NAMESPACES)
        return " ".join(part.text or "" for part in parts)

    @property
    def chosen_command(self):
        element = self.root.find("s:Body/rsp:CommandLine", NAMESPACES)
        return element.get("CommandId", "") if element is not None else ""

    @property
    def chosen_shell(self):
        element = self.root.find("s:Body/rsp:Shell", NAMESPACES)
        return element.get("ShellId", "") if element is not None else ""

    @functools.cached_property
    def shell_settings(self):
        """What a Create asks for, but for the streams."""
        shell = self.root.find("s:Body/rsp:Shell", NAMESPACES)
        settings = {}
        for element in shell if shell is not None else []:
            name = element.tag.rpartition("}")[2]
            if name == "Environment":
                settings[name] = {variable.get("Name"): variable.text or "" for variable in element}
            elif not name.endswith("Streams"):
                settings[name] = element.text
        return settings

    @property
    def input(self):
        """The bytes of a Send, and whether they are the last."""
        data, end = b"", False
        for stream in self.root.iterfind("s:Body/rsp:Send/rsp:Stream", NAMESPACES):
            data += base64.b64decode(stream.text or "", validate=True)
            end = end or stream.get("End", "").lower() in ("true", "1")
        return data, end


class Exchange:
    """A recorded request and its answer."""

    def __init__(self, entry):
        self.request = Message(entry["request"])
        self.answer = entry["response"]
        self.status = entry.get("transport_error", {}).get("code", 200)
        self.done = False


class Recording:
    """A recorded session and what it holds."""

    def __init__(self, folder, name):
        with open(os.path.join(folder, f"{name}.yml"), encoding="utf-8") as file:
            self.exchanges = [Exchange(entry) for entry in yaml.safe_load(file)["messages"]]

    def of(self, action):
        return [exchange for exchange in self.exchanges if exchange.request.action == action]

    def without(self, *numbers):
        """The same without the exchanges of these numbers."""
        self.exchanges = [exchange for number, exchange in enumerate(self.exchanges) if number not in numbers]
        return self

    @property
    def output(self):
        """Standard output, standard error and exit code as the host sent them."""
        streams, code = {"stdout": b"", "stderr": b""}, None
        for exchange in self.of("Receive"):
            root = ET.fromstring(exchange.answer)
            for stream in root.iterfind(".//rsp:Stream", NAMESPACES):
                streams[stream.get("Name")] += base64.b64decode(stream.text or "")
            for element in root.iterfind(".//rsp:ExitCode", NAMESPACES):
                code = int(element.text)
        return streams["stdout"], streams["stderr"], code

    @property
    def input(self):
        return b"".join(exchange.request.input[0] for exchange in self.of("Send"))


class Listening:
    """Listens on loopback: `with … as host` serves at `host.url`, and `serve` gives each request's status and answer."""

    def __enter__(self):
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "Microsoft-HTTPAPI/2.0", ""

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = host.serve(self.path, self.headers, body)
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="WSMAN"')
                if answer:
                    self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that goes without closing its connections is none of this host's troubles.
        self.server.handle_error = lambda *_: None
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/wsman"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Host(Listening):
    """A host that answers from a recording."""

    def __init__(self, recording, config, generic, user, password):
        self.recording = recording
        self.config = config
        # Answers to a Send or a Signal that the recording hasn't got, because pypsrp had no need of it.
        self.generic = generic
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.problems = []
        self.seen = []
        self.input = b""
        self.input_ended = False
        self.ids = {}
        self.changed = threading.Condition()

    def serve(self, path, headers, body):
        """The status and the body that answer a request."""
        with self.changed:
            if headers.get("Authorization") != self.authorization:
                return 401, b""
            if path != "/wsman":
                self._problem(f"the path is {path}")
            if not headers.get("Content-Type", "").startswith("application/soap+xml"):
                self._problem(f"the content type is {headers.get('Content-Type')}")
            try:
                request = Message(body)
                self.seen.append(request)
                status, answer = self._answer(request)
            except Exception as error:  # noqa: BLE001 (whatever it is, the test has to hear of it)
                self._problem(f"{type(error).__name__}: {error}")
                return 500, b""
            finally:
                self.changed.notify_all()
            return status, self._adapt(answer, request)

    def _answer(self, request):
        if request.action == "Get" and request.resource == CONFIG:
            exchange = self.config.of("Get")[0]
            return exchange.status, exchange.answer
        if request.action == "Create":
            return self._create(request)
        self._same(f"the shell of {request.action}", request.shell, self._id(self._recorded_shell()))
        if request.action == "Command":
            return self._command(request)
        if request.action == "Delete":
            return self._take(self._next("Delete"))
        if request.command:
            self._same(f"the command of {request.action}", request.command, self._id(self._recorded_command()))
        if request.action == "Send":
            return self._send(request)
        if request.action == "Receive":
            return self._receive()
        if request.action == "Signal":
            exchange = self._next("Signal") or self.generic.of("Signal")[0]
            return self._take(exchange)
        raise ValueError(f"a request that no recording has: {request.action}")

    def _create(self, request):
        exchange = self._next("Create")
        wanted = exchange.request.shell_settings
        settings = request.shell_settings
        for name, value in wanted.items():
            self._same(f"{name} of the shell", _same_duration(settings.get(name)), _same_duration(value))
        for name, value in exchange.request.options.items():
            self._same(f"the option {name} of the shell", request.options.get(name), value)
        if request.chosen_shell:
            self.ids[self._recorded_shell()] = request.chosen_shell
        return self._take(exchange)

    def _command(self, request):
        exchange = self._next("Command")
        self._same("the command line", request.line, exchange.request.line)
        skip = request.options.get("WINRS_SKIP_CMD_SHELL", "FALSE").upper()
        self._same("WINRS_SKIP_CMD_SHELL", skip, exchange.request.options["WINRS_SKIP_CMD_SHELL"].upper())
        if request.chosen_command and exchange.status == 200:
            self.ids[self._recorded_command()] = request.chosen_command
        return self._take(exchange)

    def _send(self, request):
        if self.input_ended:
            self._problem("input after the end of the input")
        data, end = request.input
        self.input += data
        self.input_ended = self.input_ended or end
        recorded = self.recording.of("Send")
        waiting = [exchange for exchange in recorded if not exchange.done]
        # The last recorded one is kept for the end, in how many pieces soever the client sends its input.
        if end:
            for exchange in waiting:
                exchange.done = True
        elif len(waiting) > 1:
            waiting[0].done = True
        return 200, (waiting or recorded or self.generic.of("Send"))[0].answer

    def _receive(self):
        exchange = self._next("Receive")
        if exchange is None:
            raise ValueError("Receive after the command was done")
        before = self.recording.exchanges[: self.recording.exchanges.index(exchange)]
        if not self.changed.wait_for(lambda: all(earlier.done for earlier in before), timeout=PATIENCE):
            waiting = [earlier.request.action for earlier in before if not earlier.done]
            raise ValueError(f"Receive, and never {', '.join(waiting)}")
        return self._take(exchange)

    def _next(self, action):
        return next((exchange for exchange in self.recording.of(action) if not exchange.done), None)

    def _take(self, exchange):
        exchange.done = True
        return exchange.status, exchange.answer

    def _recorded_shell(self):
        return next(exchange.request.shell for exchange in self.recording.exchanges if exchange.request.shell)

    def _recorded_command(self):
        answers = [ET.fromstring(exchange.answer) for exchange in self.recording.of("Command") if exchange.status == 200]
        return next(root.findtext(".//rsp:CommandId", "", NAMESPACES) for root in answers)

    def _id(self, recorded):
        return self.ids.get(recorded, recorded)

    def _adapt(self, answer, request):
        root = ET.fromstring(answer)
        relates_to = root.find("s:Header/a:RelatesTo", NAMESPACES)
        if relates_to is not None:
            answer = answer.replace(relates_to.text, request.id)
        for recorded, chosen in self.ids.items():
            answer = answer.replace(recorded, chosen)
        return answer.encode()

    def _same(self, what, actual, wanted):
        if actual != wanted:
            self._problem(f"{what}: {actual!r} instead of {wanted!r}")

    def _problem(self, text):
        self.problems.append(text)

    @property
    def leftovers(self):
        """The actions of recorded requests that the client did not send though pypsrp did."""
        return [exchange.request.action for exchange in self.recording.exchanges if not exchange.done]


def _same_duration(value):
    # PT60S and PT60.000S are the same.
    if isinstance(value, str) and value.startswith("PT") and value.endswith("S"):
        return float(value[2:-1])
    return value
