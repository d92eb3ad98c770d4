"""The operations of WinRM's remote shell, one by one."""

from __future__ import annotations

import binascii

from winrm import _winrm
from winrm.exceptions import WinRMError, WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    import collections.abc
    import typing as t
    import uuid

_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
_RESOURCE = f"{_SHELL}/cmd"
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"

# "Nothing within the operation timeout", which is no failure.
_OPERATION_TIMEOUT = 2150858793

# How many bytes of input go into one envelope of the size that every host takes.
_INPUT = 100_000

_PREFIXES = {
    "xsd": "http://www.w3.org/2001/XMLSchema",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "b": "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd",
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "x": _TRANSFER,
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": _SHELL,
    "cfg": "http://schemas.microsoft.com/wbem/wsman/1/config",
}
_ENVELOPE = '<?xml version="1.0" encoding="utf-8"?>\n<env:Envelope{}>'.format(
    "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items())
)

xmlns = {
    "soapenv": _PREFIXES["env"],
    "soapaddr": _PREFIXES["a"],
    "wsmanfault": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "wmierror": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError",
}


class _Escapes(dict[int, str]):
    """For `str.translate`: what XML has other names for. Refuses what it can't carry at all."""

    def __missing__(self, code: int) -> str:
        if code < 0x20 or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF):
            raise ValueError(f"XML can't carry the character U+{code:04X}")
        raise LookupError(code)


# Readers make one LF of CR LF, and spaces of white space in attributes, where they aren't escaped.
_ESCAPES = _Escapes({38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 13: "&#xD;", 10: "&#xA;", 9: "&#x9;"})


def _text(value: object) -> str:
    text = str(value)
    # Nearly all texts need nothing, and this looks at them at the speed of C.
    if text.isascii() and text.isprintable() and not ("&" in text or "<" in text or ">" in text or '"' in text):
        return text
    return text.translate(_ESCAPES)


class Protocol:
    """A host, and the operations of its remote shell: open a shell, run commands in it, take their output, close it.

    :param endpoint: the URL of the service, such as `https://host.example:5986/wsman`
    :param transport: `basic`, `plaintext` (Basic), `ssl` (Basic over https, or the certificate where one is given), `certificate`, `ntlm`,
        `kerberos` or `credssp`
    :param username: `user`, `DOMAIN\\user` or `user@domain`
    :param password: the password; Kerberos takes tickets from the cache (`kinit`) or a keytab
    :param realm: the realm of Kerberos, where krb5.conf and DNS don't tell
    :param service: the service in the host's principal
    :param keytab: a key table to log on with, in place of a ticket
    :param ca_trust_path: a file or folder with the authorities that may have signed the host's certificate; None for the system's; by default
        REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE name one, else it is the system's
    :param cert_pem: the client's certificate, a file
    :param cert_key_pem: its key, a file
    :param server_cert_validation: `validate`, or `ignore`, which lets anybody in between read and change everything
    :param kerberos_delegation: whether the host gets the ticket, to act in the user's name elsewhere
    :param read_timeout_sec: how long the host may be silent, in seconds; longer than `operation_timeout_sec`
    :param operation_timeout_sec: how long the host may wait for output before it says that there is none yet, in seconds
    :param kerberos_hostname_override: the host's name in its principal, where it isn't that of the endpoint
    :param message_encryption: `auto` encrypts over http, `always` inside TLS as well, `never` not at all
    :param credssp_disable_tlsv1_2: TLS 1.0 inside CredSSP, for Windows Server 2008
    :param send_cbt: whether authentication is bound to the TLS connection
    :param proxy: the proxy's URL; None for none; by default the environment's

    One object keeps its connections, authenticated once. Any number of threads may use it at once, and a forked process makes connections
    of its own.
    """

    DEFAULT_READ_TIMEOUT_SEC = 30
    DEFAULT_OPERATION_TIMEOUT_SEC = 20
    DEFAULT_MAX_ENV_SIZE = 153600
    DEFAULT_LOCALE = "en-US"

    def __init__(
        self,
        endpoint: str,
        transport: str = "plaintext",
        username: str | None = None,
        password: str | None = None,
        realm: str | None = None,
        service: str = "HTTP",
        keytab: str | None = None,
        ca_trust_path: str | None = "legacy_requests",
        cert_pem: str | None = None,
        cert_key_pem: str | None = None,
        server_cert_validation: str | None = "validate",
        kerberos_delegation: bool | str = False,
        read_timeout_sec: str | int = DEFAULT_READ_TIMEOUT_SEC,
        operation_timeout_sec: str | int = DEFAULT_OPERATION_TIMEOUT_SEC,
        kerberos_hostname_override: str | None = None,
        message_encryption: str = "auto",
        credssp_disable_tlsv1_2: bool | str = False,
        send_cbt: bool | str = True,
        proxy: str | None = "legacy_requests",
    ) -> None:
        self.read_timeout_sec = _seconds("read_timeout_sec", read_timeout_sec)
        self.operation_timeout_sec = _seconds("operation_timeout_sec", operation_timeout_sec)
        if self.operation_timeout_sec >= self.read_timeout_sec or self.operation_timeout_sec < 1:
            raise WinRMError("read_timeout_sec must exceed operation_timeout_sec, and both must be non-zero")
        self.max_env_sz = Protocol.DEFAULT_MAX_ENV_SIZE
        self.locale = Protocol.DEFAULT_LOCALE
        self.transport = Transport(
            endpoint=endpoint,
            username=username,
            password=password,
            realm=realm,
            service=service,
            keytab=keytab,
            ca_trust_path=ca_trust_path,
            cert_pem=cert_pem,
            cert_key_pem=cert_key_pem,
            read_timeout_sec=self.read_timeout_sec,
            server_cert_validation=server_cert_validation,
            kerberos_delegation=kerberos_delegation,
            kerberos_hostname_override=kerberos_hostname_override,
            auth_method=transport,
            message_encryption=message_encryption,
            credssp_disable_tlsv1_2=credssp_disable_tlsv1_2,
            send_cbt=send_cbt,
            proxy=proxy,
        )
        self._endpoint = endpoint
        # See `_heads`.
        self._made_of: tuple[object, ...] | None = None
        self._made_heads = ("", "")
        self.username = username
        self.password = password
        self.service = service
        self.keytab = keytab
        self.ca_trust_path = ca_trust_path
        self.server_cert_validation = server_cert_validation
        self.kerberos_delegation = kerberos_delegation
        self.kerberos_hostname_override = kerberos_hostname_override
        self.credssp_disable_tlsv1_2 = credssp_disable_tlsv1_2

    def open_shell(
        self,
        i_stream: str = "stdin",
        o_stream: str = "stdout stderr",
        working_directory: str | None = None,
        env_vars: dict[str, str] | None = None,
        noprofile: bool = False,
        codepage: int = 437,
        lifetime: None = None,
        idle_timeout: str | int | None = None,
    ) -> str:
        """Opens a shell and gives its id.

        :param i_stream: the streams for input
        :param o_stream: the streams for output
        :param working_directory: where commands start; a path of the host
        :param env_vars: environment variables for all commands of the shell
        :param noprofile: whether the user's profile is left alone, which is faster
        :param codepage: what programs write in: 437 where nothing is said, as with pywinrm; 65001 is UTF-8
        :param lifetime: not used
        :param idle_timeout: when the host removes the shell if nothing is asked for, such as `PT600S`
        """
        body = ["<rsp:Shell>"]
        if env_vars:
            variables = (f'<rsp:Variable Name="{_text(name)}">{_text(value)}</rsp:Variable>' for name, value in env_vars.items())
            body.append(f"<rsp:Environment>{''.join(variables)}</rsp:Environment>")
        # The order is the schema's, [MS-WSMV] 2.2.4.37.
        if idle_timeout:
            body.append(f"<rsp:IdleTimeOut>{_text(idle_timeout)}</rsp:IdleTimeOut>")
        if working_directory:
            body.append(f"<rsp:WorkingDirectory>{_text(working_directory)}</rsp:WorkingDirectory>")
        body.append(f"<rsp:InputStreams>{_text(i_stream)}</rsp:InputStreams><rsp:OutputStreams>{_text(o_stream)}</rsp:OutputStreams></rsp:Shell>")
        options = {"WINRS_NOPROFILE": str(noprofile).upper(), "WINRS_CODEPAGE": codepage}
        return _winrm.shell_id(self._ask(f"{_TRANSFER}/Create", None, "".join(body), options))

    def close_shell(self, shell_id: str, close_session: bool = True) -> None:
        """Removes a shell, and ends what still runs in it.

        :param close_session: whether the connections are closed as well
        """
        try:
            self._tell(f"{_TRANSFER}/Delete", shell_id, "")
        finally:
            if close_session:
                self.transport.close_session()

    def run_command(
        self,
        shell_id: str,
        command: str | bytes,
        arguments: collections.abc.Iterable[str | bytes] = (),
        console_mode_stdin: bool = True,
        skip_cmd_shell: bool = False,
    ) -> str:
        """Starts a command in a shell and gives its id.

        :param command: the command, or a whole command line
        :param arguments: what follows it, joined by spaces; nothing is quoted
        :param console_mode_stdin: whether standard input is a console, or a pipe that carries any bytes
        :param skip_cmd_shell: whether the program is started without `cmd`; hosts since 2012 R2 may ignore it
        """
        line = f"<rsp:Command>{_text(_decoded(command))}</rsp:Command>"
        if arguments:
            line += f"<rsp:Arguments>{_text(' '.join(map(_decoded, arguments)))}</rsp:Arguments>"
        options = {"WINRS_CONSOLEMODE_STDIN": str(console_mode_stdin).upper(), "WINRS_SKIP_CMD_SHELL": str(skip_cmd_shell).upper()}
        return _winrm.command_id(self._ask(f"{_SHELL}/Command", shell_id, f"<rsp:CommandLine>{line}</rsp:CommandLine>", options))

    def cleanup_command(self, shell_id: str, command_id: str) -> None:
        """Ends a command, and has the host forget it."""
        self._tell(
            f"{_SHELL}/Signal",
            shell_id,
            f'<rsp:Signal CommandId="{_text(command_id)}"><rsp:Code>{_SHELL}/signal/terminate</rsp:Code></rsp:Signal>',
        )

    def send_command_input(self, shell_id: str, command_id: str, stdin_input: str | bytes, end: bool = False) -> None:
        """Sends a command input.

        :param stdin_input: bytes, or a text that code page 437 can write
        :param end: whether this is all
        """
        data = stdin_input.encode("437") if isinstance(stdin_input, str) else stdin_input
        text = binascii.b2a_base64(data, newline=False).decode("ascii")
        self._ask(
            f"{_SHELL}/Send",
            shell_id,
            f'<rsp:Send><rsp:Stream xmlns:rsp="{_SHELL}" CommandId="{_text(command_id)}" Name="stdin" End="{"true" if end else "false"}">'
            f"{text}</rsp:Stream></rsp:Send>",
        )

    def _send_all(self, shell_id: str, command_id: str, data: bytes) -> None:
        """Sends input to its end, in pieces that every host takes."""
        for start in range(0, max(len(data), 1), _INPUT):
            self.send_command_input(shell_id, command_id, data[start : start + _INPUT], end=start + _INPUT >= len(data))

    def get_command_output(self, shell_id: str, command_id: str) -> tuple[bytes, bytes, int]:
        """Waits for a command's end, and gives standard output, standard error and the exit code."""
        stdout, stderr = [], []
        done = False
        code = -1
        while not done:
            try:
                out, err, code, done = self.get_command_output_raw(shell_id, command_id)
            except WinRMOperationTimeoutError:
                continue
            stdout.append(out)
            stderr.append(err)
        return b"".join(stdout), b"".join(stderr), code

    def get_command_output_raw(self, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool]:
        """Waits for a command's next output, and gives standard output, standard error, the exit code and whether it has ended.

        :raises winrm.exceptions.WinRMOperationTimeoutError: when there was none within the operation timeout
        """
        body = f'<rsp:Receive><rsp:DesiredStream CommandId="{_text(command_id)}">stdout stderr</rsp:DesiredStream></rsp:Receive>'
        return _winrm.output(self._ask(f"{_SHELL}/Receive", shell_id, body))

    _raw_get_command_output = get_command_output_raw

    def build_wsman_header(
        self,
        action: str,
        resource_uri: str,
        shell_id: str | None = None,
        message_id: str | uuid.UUID | None = None,
    ) -> dict[str, t.Any]:
        """The beginning of an envelope, for messages of the caller's own: a dictionary as `xmltodict.unparse` takes it.

        :param action: the action's URI
        :param resource_uri: the URI of what it is done to
        :param shell_id: the shell, if it is for one
        :param message_id: a UUID of the message's own; one is made where none is given
        """
        header: dict[str, t.Any] = {f"@xmlns:{prefix}": uri for prefix, uri in _PREFIXES.items()}
        header["env:Header"] = fields = {
            "a:To": self._endpoint,
            "a:ReplyTo": {"a:Address": {"@mustUnderstand": "true", "#text": _ANONYMOUS}},
            "w:MaxEnvelopeSize": {"@mustUnderstand": "true", "#text": str(self.max_env_sz)},
            "a:MessageID": f"uuid:{message_id or _new_id()}",
            "w:Locale": {"@mustUnderstand": "false", "@xml:lang": self.locale},
            "p:DataLocale": {"@mustUnderstand": "false", "@xml:lang": self.locale},
            "w:OperationTimeout": f"PT{int(self.operation_timeout_sec)}S",
            "w:ResourceURI": {"@mustUnderstand": "true", "#text": resource_uri},
            "a:Action": {"@mustUnderstand": "true", "#text": action},
        }
        if shell_id:
            fields["w:SelectorSet"] = {"w:Selector": {"@Name": "ShellId", "#text": shell_id}}
        return header

    # Ansible calls it by this name.
    _get_soap_header = build_wsman_header

    def send_message(self, message: str) -> bytes:
        """Sends an envelope and gives the answer.

        :raises winrm.exceptions.WSManFaultError: for a fault
        :raises winrm.exceptions.WinRMOperationTimeoutError: for the fault that says that there was nothing within the operation timeout
        :raises Exception: all that :meth:`winrm.transport.Transport.send_message` raises
        """
        try:
            return self.transport.send_message(message)
        except WinRMTransportError as error:
            fault = _winrm.fault(error.response_text)
            if fault is None:
                raise
            code, subcode, reason, number, wmi = fault
            if number == _OPERATION_TIMEOUT:
                raise WinRMOperationTimeoutError() from None
            raise WSManFaultError(
                code=error.code,
                message=error.message,
                response=error.response_text,
                reason=reason or "(no error message in fault)",
                fault_code=code,
                fault_subcode=subcode,
                wsman_fault_code=number,
                wmierror_code=wmi,
            ) from error

    def _ask(self, action: str, shell_id: str | None, body: str, options: collections.abc.Mapping[str, object] | None = None, message_id: object = None) -> bytes:
        before, between = self._heads()
        parts = [before, str(message_id or _new_id()), between, action, "</a:Action>"]
        if shell_id:
            parts.append(f'<w:SelectorSet><w:Selector Name="ShellId">{_text(shell_id)}</w:Selector></w:SelectorSet>')
        if options:
            each = (f'<w:Option Name="{name}">{_text(value)}</w:Option>' for name, value in options.items())
            parts.append(f"<w:OptionSet>{''.join(each)}</w:OptionSet>")
        parts += ("</env:Header><env:Body>", body, "</env:Body></env:Envelope>")
        return self.send_message("".join(parts))

    def _heads(self) -> tuple[str, str]:
        """What all headers begin with, up to the message's id and from there to the action."""
        made_of = (self.max_env_sz, self.operation_timeout_sec, self.locale)
        if self._made_of != made_of:
            size, seconds, locale = int(self.max_env_sz), int(self.operation_timeout_sec), _text(self.locale)
            self._made_heads = (
                f"{_ENVELOPE}<env:Header><a:To>{_text(self._endpoint)}</a:To>"
                f'<a:ReplyTo><a:Address mustUnderstand="true">{_ANONYMOUS}</a:Address></a:ReplyTo>'
                f'<w:MaxEnvelopeSize mustUnderstand="true">{size}</w:MaxEnvelopeSize><a:MessageID>uuid:',
                f'</a:MessageID><w:Locale mustUnderstand="false" xml:lang="{locale}"/><p:DataLocale mustUnderstand="false" xml:lang="{locale}"/>'
                f"<w:OperationTimeout>PT{seconds}S</w:OperationTimeout>"
                f'<w:ResourceURI mustUnderstand="true">{_RESOURCE}</w:ResourceURI><a:Action mustUnderstand="true">',
            )
            self._made_of = made_of
        return self._made_heads

    def _tell(self, action: str, shell_id: str, body: str) -> None:
        """Sends what has an answer without content, and looks whether it is the answer to this."""
        message_id = _new_id()
        answered = _winrm.relates_to(self._ask(action, shell_id, body, message_id=message_id))
        if answered is not None and answered.lower() != f"uuid:{message_id}".lower():
            raise WinRMError(f"the host answered another message ({answered}) than the one that was sent (uuid:{message_id})")


def _new_id() -> object:
    # Late, since it takes twice as long as everything else here.
    import uuid

    return uuid.uuid4()


def _decoded(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode()


def _seconds(name: str, value: str | int) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise ValueError(f"failed to parse {name} as int: {error}") from error
