"""Which class an error of the Rust client has in Python: that which pywinrm raises for the same trouble.

pywinrm stands on requests, and callers catch requests' errors. They are raised here too; requests is imported for the first error and
for nothing else. Where it isn't installed, classes of the same names stand in.
"""

from __future__ import annotations

from winrm.exceptions import InvalidCredentialsError, WinRMError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

_REFUSED = "the specified credentials were rejected by the server"


def requests_exceptions() -> t.Any:
    """The module `requests.exceptions`, or what stands in for it."""
    try:
        import requests.exceptions

        return requests.exceptions
    except ImportError:
        import winrm._requests_exceptions

        return winrm._requests_exceptions


def error(kind: str, message: str, hint: str | None) -> Exception:
    """The exception for an error of the Rust client."""
    text = message if hint is None else f"{message}; hint: {hint}"
    made = _error(kind, text)
    made.hint = hint
    return made  # type: ignore[no-any-return]


def _error(kind: str, text: str) -> t.Any:
    if kind == "unauthorized":
        # This very sentence is what callers look for.
        refused = InvalidCredentialsError(_REFUSED)
        refused.__cause__ = WinRMError(text)
        return refused
    if kind == "authentication":
        return InvalidCredentialsError(f"{_REFUSED}: {text}")
    if kind == "kerberos":
        from winrm.vendor.requests_kerberos.exceptions import KerberosExchangeError

        return KerberosExchangeError(text)
    if kind in ("configuration", "protocol"):
        return WinRMError(text)
    exceptions = requests_exceptions()
    if kind == "connect-timeout":
        return exceptions.ConnectTimeout(text)
    if kind == "timeout":
        return exceptions.ReadTimeout(f"Read timed out. {text}")
    if kind == "tls":
        return exceptions.SSLError(text)
    if kind == "proxy":
        return exceptions.ProxyError(text)
    return exceptions.ConnectionError(text)
