"""A host that answers as `answers.json` says: the path of a request names the answer."""

import base64
import http.server
import json
import os
import threading
import time
import urllib.parse

ENVELOPE = (
    '<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" '
    'xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell" xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer" '
    'xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"><s:Header><a:MessageID>uuid:1</a:MessageID></s:Header><s:Body>{}</s:Body></s:Envelope>'
)
STATE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState"
WMI = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.json"), encoding="utf-8") as file:
    ANSWERS = json.load(file)


def fault(answer):
    code = answer.get("fault")
    detail = ""
    if code is not None:
        nested = answer.get("nested", "")
        detail = f'<f:WSManFault Code="{code}" Machine="host"><f:Message>{answer.get("message", "The message.")}{nested}</f:Message></f:WSManFault>'
    if "wmi" in answer:
        detail += f'<m:MSFT_WmiError xmlns:m="{WMI}"><m:Message>WMI says.</m:Message><m:error_Code>{answer["wmi"]}</m:error_Code></m:MSFT_WmiError>'
    subcode = f"<s:Subcode><s:Value>{answer['subcode']}</s:Value></s:Subcode>" if "subcode" in answer else ""
    reason = "".join(f'<s:Text xml:lang="{language}">{text}</s:Text>' for language, text in answer.get("reason", [["en-US", "The reason."]]))
    return (
        f"<s:Fault><s:Code><s:Value>s:{answer.get('side', 'Receiver')}</s:Value>{subcode}</s:Code>"
        f"<s:Reason>{reason}</s:Reason><s:Detail>{detail}</s:Detail></s:Fault>"
    )


def received(answer):
    streams = "".join(
        f'<rsp:Stream Name="{name}" CommandId="C">{base64.b64encode(text.encode()).decode()}</rsp:Stream>' for name, text in answer["streams"]
    )
    code = f"<rsp:ExitCode>{answer['code']}</rsp:ExitCode>" if "code" in answer else ""
    return f'<rsp:ReceiveResponse>{streams}<rsp:CommandState CommandId="C" State="{STATE}/{answer.get("state", "Done")}">{code}</rsp:CommandState></rsp:ReceiveResponse>'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = urllib.parse.unquote(self.path.strip("/"))
        answer = ANSWERS[name]
        if "then" in answer:
            with self.server.lock:
                turn = self.server.turns.setdefault((name, self.headers.get("User-Agent")), iter([answer, *answer["then"]]))
                answer = next(turn, answer["then"][-1])
        if answer.get("silent"):
            time.sleep(5)
            self.close_connection = True
            return
        if answer.get("closed"):
            self.close_connection = True
            return
        if "fault" in answer or "wmi" in answer or "reason" in answer:
            kind, body, status = "application/soap+xml;charset=UTF-8", ENVELOPE.format(fault(answer)), 500
        elif "streams" in answer:
            kind, body, status = "application/soap+xml;charset=UTF-8", ENVELOPE.format(received(answer)), 200
        else:
            kind, body, status = "application/soap+xml;charset=UTF-8", answer.get("body", ""), 200
        body = body.encode(answer.get("encoding", "utf-8"))
        self.send_response(answer.get("status", status))
        self.send_header("Content-Type", answer.get("kind", kind))
        if "authenticate" in answer:
            self.send_header("WWW-Authenticate", answer["authenticate"])
        self.send_header("Content-Length", str(len(body) + answer.get("missing", 0)))
        self.end_headers()
        self.wfile.write(body)
        if answer.get("missing"):
            self.close_connection = True

    def log_message(self, *_):
        pass


def start():
    """Starts the host and gives its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.lock, server.turns = threading.Lock(), {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
