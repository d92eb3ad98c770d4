"""What can go wrong. Connections that fail raise `requests.exceptions.ConnectionError`, `Timeout` and the like, as with pywinrm."""

from __future__ import annotations

# Ansible sends input again when a host is busy, and knows that by this code in quotes, as pywinrm 0.4 and older wrote it.
_BUSY = 170


class WinRMError(Exception):
    """Something went wrong. `hint` says what to do about it, where that is known."""

    code = 500
    hint: str | None = None


class WSManFaultError(WinRMError):
    """The host answered with a fault.

    :ivar code: the HTTP status
    :ivar response: the whole answer, as text
    :ivar reason: what the host says
    :ivar fault_code: the SOAP code, such as `s:Receiver`
    :ivar fault_subcode: the SOAP subcode, such as `w:TimedOut`
    :ivar wsman_fault_code: the number of Windows' own detail, such as 0x8033805B
    :ivar wmierror_code: the number in a detail that WMI made
    """

    def __init__(
        self,
        code: int,
        message: str,
        response: str,
        reason: str,
        fault_code: str | None = None,
        fault_subcode: str | None = None,
        wsman_fault_code: int | None = None,
        wmierror_code: int | None = None,
    ) -> None:
        self.code = code
        self.response = response
        self.reason = reason
        self.fault_code = fault_code
        self.fault_subcode = fault_subcode
        self.wsman_fault_code = wsman_fault_code
        self.wmierror_code = wmierror_code
        extended: dict[str, object] = {"transport_message": message, "http_status_code": code}
        if wsman_fault_code is not None:
            extended["wsmanfault_code"] = str(_BUSY) if wsman_fault_code == _BUSY else wsman_fault_code
        if fault_code is not None:
            extended["fault_code"] = fault_code
        if fault_subcode is not None:
            extended["fault_subcode"] = fault_subcode
        super().__init__(f"{reason} (extended fault data: {extended})")


class WinRMTransportError(Exception):
    """An HTTP status that is neither success nor a refusal of the credentials, without a fault.

    The arguments are the protocol (`http`), the status, and the answer as text.
    """

    args: tuple[str, int, str]

    @property
    def protocol(self) -> str:
        """`http`."""
        return self.args[0]

    @property
    def code(self) -> int:
        """The HTTP status."""
        return self.args[1]

    @property
    def message(self) -> str:
        """The error as a sentence."""
        return f"Bad HTTP response returned from server. Code {self.code}"

    @property
    def response_text(self) -> str:
        """The answer."""
        return self.args[2]

    def __str__(self) -> str:
        return self.message


class WinRMOperationTimeoutError(Exception):
    """The host had nothing to say within the operation timeout: no failure, ask again."""

    code = 500


class AuthenticationError(WinRMError):
    """The credentials can't be used, or the host refuses them. `__cause__`, where there is one, tells more."""

    code = 401


class BasicAuthDisabledError(AuthenticationError):
    """The host takes no Basic authentication."""

    message = "WinRM/HTTP Basic authentication is not enabled on remote host"


class InvalidCredentialsError(AuthenticationError):
    """User, password or certificate are missing, or refused."""
