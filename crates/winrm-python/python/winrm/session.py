"""One host, and commands one after the other."""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    import collections.abc
    import typing as t

from winrm.protocol import Protocol

_CLIXML = b"#< CLIXML\r\n"

# What `cmd` takes at most, in characters, with something left for the line that it makes of it.
_LONGEST_LINE = 8000

# Reads a script from standard input to its end, and runs it as if it had been on the command line.
_BOOTSTRAP = (
    "$reader = New-Object IO.StreamReader ([Console]::OpenStandardInput()), (New-Object Text.UTF8Encoding $false); "
    "$script = [ScriptBlock]::Create($reader.ReadToEnd()); Remove-Variable reader; . $script"
)


class Response:
    """What a command wrote, and how it ended.

    :ivar std_out: standard output, bytes
    :ivar std_err: standard error, bytes
    :ivar status_code: the exit code, unsigned as Windows has it
    """

    def __init__(self, args: tuple[bytes, bytes, int]) -> None:
        self.std_out, self.std_err, self.status_code = args

    def __repr__(self) -> str:
        return f'<Response code {self.status_code}, out "{self.std_out[:20]!r}", err "{self.std_err[:20]!r}">'


class Session:
    """Runs commands on one host, each in a shell of its own.

    :param target: `[http://|https://]host[:port][/path]`
    :param auth: user and password
    :param kwargs: further arguments of :class:`winrm.Protocol`

    The connection is kept between commands. Threads may share a session.
    """

    def __init__(self, target: str, auth: tuple[str, str], **kwargs: t.Any) -> None:
        username, password = auth
        self.url = self._build_url(target, kwargs.get("transport", "plaintext"))
        self.protocol = Protocol(self.url, username=username, password=password, **kwargs)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.protocol.transport.close_session()

    def run_cmd(self, command: str, args: collections.abc.Iterable[str | bytes] = ()) -> Response:
        """Runs a command line of `cmd` to its end.

        :param command: the command, or a whole command line
        :param args: what follows it; nothing is quoted
        """
        return self._run(command, args, None)

    def run_ps(self, script: str) -> Response:
        """Runs a PowerShell script to its end. Errors are in `std_err` as text.

        A script that is too long for a command line goes through standard input.
        """
        line = f"powershell -encodedcommand {_encoded(script)}"
        if len(line) <= _LONGEST_LINE:
            response = self._run(line, (), None)
        else:
            response = self._run(f"powershell -encodedcommand {_encoded(_BOOTSTRAP)}", (), script.encode("utf-8", "surrogatepass"))
        if response.std_err:
            response.std_err = self._clean_error_msg(response.std_err)
        return response

    def _run(self, command: str, args: collections.abc.Iterable[str | bytes], stdin: bytes | None) -> Response:
        protocol = self.protocol
        shell_id = protocol.open_shell()
        try:
            if stdin is None:
                command_id = protocol.run_command(shell_id, command, args)
            else:
                command_id = protocol.run_command(shell_id, command, args, console_mode_stdin=False)
                protocol._send_all(shell_id, command_id, stdin)
            response = Response(protocol.get_command_output(shell_id, command_id))
        except BaseException:
            # The shell ends what runs in it. Whatever comes of that, the first error is the one to tell.
            try:
                protocol.close_shell(shell_id, close_session=False)
            except Exception:
                pass
            raise
        protocol.close_shell(shell_id, close_session=False)
        return response

    def _clean_error_msg(self, msg: bytes) -> bytes:
        """The text of what PowerShell wrote as CLIXML; what isn't that, or holds no text, stays as it is."""
        if not msg.startswith(_CLIXML):
            return msg
        import xml.etree.ElementTree as ET

        try:
            root = ET.fromstring(msg[len(_CLIXML) :])
            pieces = [child.text for child in root if child.tag.rpartition("}")[2] == "S" and child.text]
        except Exception as error:
            import warnings

            warnings.warn(f"There was a problem converting the Powershell error message: {error}", stacklevel=2)
            return msg
        text = "".join(pieces).replace("_x000D__x000A_", "\n").strip()
        return text.encode() if text else msg

    @staticmethod
    def _build_url(target: str, transport: str) -> str:
        import re

        match = re.match(
            r"(?i)^((?P<scheme>https?)://)?(?P<host>[0-9a-z-_.]+|\[[0-9a-f:.]+(%[^\]/]+)?\])(:(?P<port>\d+))?(?P<path>(/)?(wsman)?)?", target
        )
        if not match:
            raise ValueError(f"Invalid target URL: {target}")
        is_ssl = transport == "ssl"
        scheme = match["scheme"] or ("https" if is_ssl else "http")
        port = match["port"] or (5986 if is_ssl else 5985)
        path = match["path"] or "wsman"
        return f"{scheme}://{match['host']}:{port}/{path.lstrip('/')}"


def _encoded(script: str) -> str:
    return binascii.b2a_base64(script.encode("utf-16-le", "surrogatepass"), newline=False).decode("ascii")
