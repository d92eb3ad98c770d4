"""Stands in for `requests.exceptions` where requests isn't installed: the classes that are raised here, in the same order of inheritance."""

from __future__ import annotations


class RequestException(IOError):
    """A request failed."""


class ConnectionError(RequestException):
    """There is no connection, or there is none any more."""


class ProxyError(ConnectionError):
    """The proxy can't be used."""


class SSLError(ConnectionError):
    """TLS failed."""


class Timeout(RequestException):
    """The time was up."""


class ConnectTimeout(ConnectionError, Timeout):
    """The time for connecting was up."""


class ReadTimeout(Timeout):
    """The host was silent for too long."""


class InvalidURL(RequestException, ValueError):
    """An address can't be used."""


class MissingSchema(RequestException, ValueError):
    """An address has neither http nor https in front."""


class InvalidSchema(RequestException, ValueError):
    """An address has something else than http or https in front."""
