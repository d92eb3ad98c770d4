"""One script for two modules called `winrm`: pywinrm and ours. Prints what each case gives, as JSON.

A case gives its result, or the class of its error and what the error says of itself.
"""

import argparse
import contextlib
import inspect
import json
import os
import warnings

import winrm
import winrm.exceptions
import winrm.protocol
import winrm.transport
from winrm.exceptions import WinRMError, WinRMTransportError, WSManFaultError

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True, help="a service that takes clear text")
parser.add_argument("--tls-url", required=True, help="the same over TLS, with a self-signed certificate")
parser.add_argument("--refusing-url", required=True, help="a service that takes no clear text")
parser.add_argument("--host-url", required=True, help="the host of host.py")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
parser.add_argument("--certificate", required=True)
parser.add_argument("--folder", required=True)
parser.add_argument("--powershell", action="store_true")
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)

NOT_AN_ID = "11111111-2222-3333-4444-555555555555"
UUID = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"
outcomes = {}


def case(name, function):
    if name in outcomes:
        raise AssertionError(f"two cases are called {name}")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            outcome = {"result": repr(function())}
        except Exception as error:
            outcome = {"raises": f"{type(error).__module__}.{type(error).__qualname__}", **said(error)}
    mine = [str(warning.message).partition(":")[0] for warning in warned if issubclass(warning.category, UserWarning)]
    outcomes[name] = {**outcome, "warned": mine} if mine else outcome


def said(error):
    """What an error says of itself. The texts of requests' errors are nobody's interface."""
    if isinstance(error, WSManFaultError):
        names = ("code", "reason", "fault_code", "fault_subcode", "wsman_fault_code", "wmierror_code")
        return {"text": str(error), "response": len(error.response), **{name: getattr(error, name) for name in names}}
    if isinstance(error, WinRMTransportError):
        return {"text": str(error), "protocol": error.protocol, "code": error.code, "message": error.message, "response": error.response_text}
    if isinstance(error, WinRMError):
        return {"text": str(error), "code": error.code}
    if type(error).__module__.startswith("requests"):
        return {}
    return {"text": str(error)}


def protocol(url=args.url, transport="basic", **options):
    options = {"username": args.user, "password": password, "message_encryption": "auto", **options}
    return winrm.Protocol(url, transport=transport, **options)


def session(url=args.url, transport="basic", auth=(args.user, password), **options):
    return winrm.Session(url, auth=auth, transport=transport, **options)


def of(response):
    return response.std_out, response.std_err, response.status_code


@contextlib.contextmanager
def shell(client, **options):
    opened = client.open_shell(**options)
    try:
        yield opened
    finally:
        client.close_shell(opened)


def run(line, arguments=(), stdin=None, client=None, **options):
    client = client or protocol()
    with shell(client, **options) as opened:
        command = client.run_command(opened, line, arguments, console_mode_stdin=stdin is None)
        for piece in stdin or ():
            client.send_command_input(opened, command, piece)
        if stdin is not None:
            client.send_command_input(opened, command, b"", end=True)
        output = client.get_command_output(opened, command)
        client.cleanup_command(opened, command)
        return output


# What is there, and how it is called.

for owner, names in [
    (winrm.Session, ["__init__", "run_cmd", "run_ps", "_build_url", "_clean_error_msg"]),
    (winrm.Response, ["__init__"]),
    (
        winrm.Protocol,
        "__init__ open_shell close_shell run_command cleanup_command send_command_input get_command_output get_command_output_raw "
        "_raw_get_command_output build_wsman_header _get_soap_header send_message".split(),
    ),
    (winrm.transport.Transport, ["__init__", "build_session", "close_session", "send_message"]),
    (winrm.exceptions.WSManFaultError, ["__init__"]),
]:
    for name in names:
        function = getattr(owner, name)
        case(f"arguments of {owner.__name__}.{name}", lambda: inspect.getfullargspec(function)._replace(annotations={}))
for name in "__version__ FEATURE_SUPPORTED_AUTHTYPES FEATURE_READ_TIMEOUT FEATURE_OPERATION_TIMEOUT FEATURE_PROXY_SUPPORT".split():
    case(f"winrm.{name}", lambda: getattr(winrm, name) if name != "__version__" else type(winrm.__version__))
for name in "DEFAULT_READ_TIMEOUT_SEC DEFAULT_OPERATION_TIMEOUT_SEC DEFAULT_MAX_ENV_SIZE DEFAULT_LOCALE".split():
    case(f"Protocol.{name}", lambda: getattr(winrm.Protocol, name))
for name in (
    "WinRMError WSManFaultError WinRMTransportError WinRMOperationTimeoutError AuthenticationError BasicAuthDisabledError InvalidCredentialsError"
).split():
    kind = getattr(winrm.exceptions, name)
    case(f"the class {name}", lambda: ([base.__qualname__ for base in kind.__mro__], getattr(kind, "code", None) if "Transport" not in name else "", getattr(kind, "message", None) if "Transport" not in name else ""))
case("xmlns", lambda: winrm.protocol.xmlns)
case("Response", lambda: repr(winrm.Response((b"out" * 20, b"err", 3))))
case("a transport error", lambda: [str(winrm.exceptions.WinRMTransportError("http", 503, "text")), WinRMTransportError("http", 503, "text").args])

# Arguments.

for target, transport in [
    ("host", "plaintext"),
    ("host", "ssl"),
    ("host:1234", "ssl"),
    ("http://host", "ntlm"),
    ("https://host", "plaintext"),
    ("HTTPS://Host.Example:5986/wsman", "ntlm"),
    ("http://10.0.0.1:80/", "ntlm"),
    ("host/wsman", "ntlm"),
    ("host_1-a.example.com:5985/wsman", "kerberos"),
    ("", "ntlm"),
    ("!", "ntlm"),
]:
    case(f"the URL of {target!r} by {transport}", lambda: winrm.Session._build_url(target, transport))
for name, options in {
    "no user": {"username": None},
    "an empty user": {"username": ""},
    "no password": {"password": None},
    "a certificate without its key": {"transport": "certificate", "cert_pem": "/no/such/file"},
    "a certificate that isn't there": {"transport": "ssl", "cert_pem": "/no/such/file", "cert_key_pem": "/no/such/key"},
    "no such way to verify": {"server_cert_validation": "maybe"},
    "no such encryption": {"message_encryption": "sometimes"},
    "no truth value": {"kerberos_delegation": "perhaps"},
    "a timeout that is no number": {"operation_timeout_sec": "x"},
    "a read timeout that is no number": {"read_timeout_sec": "1.5"},
    "timeouts the wrong way round": {"read_timeout_sec": 5, "operation_timeout_sec": 5},
    "no operation timeout": {"operation_timeout_sec": 0},
}.items():
    case(f"argument: {name}", lambda: type(protocol(**options)))
for name, options in {
    "no such transport": {"transport": "auto"},
    "encryption that basic hasn't": {"transport": "basic", "message_encryption": "always"},
    "encryption that ssl hasn't": {"transport": "ssl", "message_encryption": "always"},
    "no scheme": {"url": "host.example"},
    "another scheme": {"url": "ftp://host.example/"},
    "authorities that aren't there": {"url": args.tls_url, "ca_trust_path": "/no/such/bundle"},
}.items():
    case(f"at the first message: {name}", lambda: protocol(**options).open_shell())
case(
    "attributes",
    lambda: {
        name: value
        for name, value in sorted(vars(protocol("http://h:5985/wsman", "kerberos", kerberos_delegation="yes", service="host")).items())
        if not name.startswith("_") and name != "transport"
    },
)
for shell_id in (None, NOT_AN_ID):
    case(
        f"build_wsman_header for the shell {shell_id}",
        lambda: protocol("http://windows-host:5985/wsman").build_wsman_header("an action", "a resource", shell_id=shell_id, message_id=UUID),
    )

# Commands.

case("run_cmd", lambda: of(session().run_cmd("echo out; echo err >&2; exit 7")))
case("run_cmd with arguments", lambda: of(session().run_cmd("echo", ["one", b"two", "three four"])))
case("run_cmd with a tuple", lambda: of(session().run_cmd("printf", ("'%s|'", b"one", "'two three'"))))
case("run_cmd, a command that isn't there", lambda: session().run_cmd("winrm-no-such-program").status_code)
case("run_cmd by name of the transport plaintext", lambda: of(session(transport="plaintext").run_cmd("echo hello")))
case("run_cmd by NTLM", lambda: of(session(args.refusing_url, "ntlm").run_cmd("echo sealed")))
case("run_cmd over TLS, any certificate", lambda: of(session(args.tls_url, "ssl", server_cert_validation="ignore").run_cmd("echo tls")))
case("run_cmd over TLS, this certificate", lambda: of(session(args.tls_url, "ssl", ca_trust_path=args.certificate).run_cmd("echo tls")))
case("run_cmd over TLS, an unknown certificate", lambda: of(session(args.tls_url, "ssl").run_cmd("echo no")))
case("unicode", lambda: run("printf '%s' 'grün こんにちは 🦀'", codepage=65001))
case("characters of XML", lambda: run("printf '%s' '<a b=\"c\">&amp; ]]>'"))
for code in (0, 1, 7, 255):
    case(f"exit code {code}", lambda: run(f"exit {code}"))
case("environment", lambda: run('printf "%s" "$A-$B"', env_vars={"A": "one & <two>", "B": "grün"}, codepage=65001))
case("directory", lambda: run("pwd", working_directory=os.path.realpath(args.folder)))
case("idle timeout, profile, code page", lambda: run("echo x", idle_timeout="PT600S", noprofile=True, codepage=65001))
case("standard input", lambda: run("cat", stdin=[b"one ", b"two\n", bytes(range(256))]))
case("standard input as text", lambda: run("cat", stdin=["äöü\n"]))
case("standard input as text that code page 437 hasn't", lambda: run("cat", stdin=["日本"]))
case("1 MB of output", lambda: [len(part) if isinstance(part, bytes) else part for part in run("head -c 1000000 /dev/zero")])
case("skip_cmd_shell", lambda: protocol().run_command(NOT_AN_ID, "x", (), True, True))
with contextlib.suppress(Exception):
    client = protocol()
    with shell(client) as opened:
        command = client.run_command(opened, "echo raw; exit 3")
        case("get_command_output_raw", lambda: client.get_command_output_raw(opened, command))
        case("_raw_get_command_output after the end", lambda: client._raw_get_command_output(opened, command)[3])
        case("cleanup_command", lambda: client.cleanup_command(opened, command))
    case("a shell that was closed", lambda: client.run_command(opened, "echo no"))
for name, use in {
    "run_command": lambda client: client.run_command(NOT_AN_ID, "echo no"),
    "send_command_input": lambda client: client.send_command_input(NOT_AN_ID, NOT_AN_ID, b"no"),
    "get_command_output": lambda client: client.get_command_output(NOT_AN_ID, NOT_AN_ID),
    "cleanup_command": lambda client: client.cleanup_command(NOT_AN_ID, NOT_AN_ID),
    "close_shell": lambda client: client.close_shell(NOT_AN_ID),
    "open_shell with an idle timeout that is none": lambda client: client.open_shell(idle_timeout="60"),
}.items():
    case(f"no such shell: {name}", lambda: use(protocol()))
for transport in ("basic", "ntlm"):
    for name, options in {
        "a wrong password": {"password": "wrong"},
        "an empty password": {"password": ""},
        "an unknown user": {"username": "mallory"},
    }.items():
        case(f"{transport}: {name}", lambda: protocol(transport=transport, **options).open_shell())
case("clear text where it isn't taken, basic", lambda: protocol(args.refusing_url).open_shell())
case("clear text where it isn't taken, NTLM", lambda: protocol(args.refusing_url, "ntlm", message_encryption="never").open_shell())
if args.powershell:
    case("run_ps", lambda: of(session().run_ps("Write-Output \"grün $(1 + 1)\"; exit 3")))
    case("run_ps, errors", lambda: of(session().run_ps("Write-Error 'an error'; throw 'the end'")))
    case("run_ps, warnings alone", lambda: of(session().run_ps("Write-Warning 'careful'; Write-Output out")))
for name, text in {
    "nothing": b"",
    "plain": b"plain text",
    "errors": b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><S S="Error">a_x000D__x000A_</S>'
    b'<S S="Error">  b &lt;c&gt;_x000D__x000A_</S><S S="verbose">v</S></Objs>',
    "progress": b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj S="progress" RefId="0"/></Objs>',
    "broken": b"#< CLIXML\r\n<Objs>",
    "LF alone": b"#< CLIXML\n<Objs/>",
}.items():
    case(f"_clean_error_msg: {name}", lambda: session()._clean_error_msg(text))

# What hosts answer.


def ask(path, operation="raw", **options):
    client = protocol(f"{args.host_url}/{path}", **options)
    if operation == "raw":
        return client.get_command_output_raw(NOT_AN_ID, NOT_AN_ID)
    if operation == "output":
        return client.get_command_output(NOT_AN_ID, NOT_AN_ID)
    if operation == "send_message":
        return client.send_message("<mine>ä</mine>")
    return client.open_shell()


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.json"), encoding="utf-8") as file:
    answers = json.load(file)
for name, answer in answers.items():
    options = {"read_timeout_sec": 2, "operation_timeout_sec": 1} if answer.get("silent") else {}
    case(f"host: {name}", lambda: ask(name.replace(" ", "%20"), answer.get("operation", "raw"), **options))
case("nobody listens", lambda: protocol("http://127.0.0.1:9/wsman").open_shell())
case("no such name", lambda: protocol("http://no-such-host.invalid:5985/wsman").open_shell())
case("https where http is spoken", lambda: protocol(args.url.replace("http:", "https:"), server_cert_validation="ignore").open_shell())
case("http where https is spoken", lambda: protocol(args.tls_url.replace("https:", "http:")).open_shell())

print(json.dumps(outcomes))
