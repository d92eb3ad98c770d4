"""The errors of Kerberos."""

from __future__ import annotations

from winrm._failure import requests_exceptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from winrm._requests_exceptions import RequestException
else:
    RequestException = requests_exceptions().RequestException


class MutualAuthenticationError(RequestException):
    """The host didn't prove who it is."""


class KerberosExchangeError(RequestException):
    """No ticket could be had, or the exchange of tokens failed."""
