"""The errors of Kerberos."""

from winrm._failure import requests_exceptions

_RequestException = requests_exceptions().RequestException


class MutualAuthenticationError(_RequestException):
    """The host didn't prove who it is."""


class KerberosExchangeError(_RequestException):
    """No ticket could be had, or the exchange of tokens failed."""
