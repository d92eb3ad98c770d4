"""How one host is reached, and who logs on there."""

from __future__ import annotations

import os

from winrm._failure import requests_exceptions
from winrm._winrm import Client
from winrm.exceptions import InvalidCredentialsError, WinRMError, WinRMTransportError

__all__ = ["Transport"]

# What the Rust client calls the transports.
_METHODS = {
    "basic": "basic",
    "plaintext": "basic",
    "ssl": "basic",
    "certificate": "certificate",
    "ntlm": "ntlm",
    "kerberos": "kerberos",
    "credssp": "credssp",
}

_TRUE = ("true", "t", "yes", "y", "on", "1")
_FALSE = ("false", "f", "no", "n", "off", "0")


def strtobool(value: str) -> bool:
    """The truth value that a text stands for."""
    lower = value.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    raise ValueError(f"invalid truth value '{lower}'")


def _boolean(value: bool | str | int) -> bool:
    return value if isinstance(value, bool) else strtobool(str(value))


class UnsupportedAuthArgument(Warning):
    """An argument has no effect with this transport."""


class _Session:
    """What was decided about certificates and proxies, by the arguments and by the environment.

    :ivar verify: whether certificates are verified, or the path of the authorities that they are verified by
    :ivar proxies: the proxy for each scheme
    """

    def __init__(self, verify: bool | str, proxies: dict[str, str], client: Client) -> None:
        self.verify = verify
        self.proxies = proxies
        self.is_checked = False
        self._client = client

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


class Transport:
    """Sends envelopes to one host. The arguments are those of :class:`winrm.Protocol`; `auth_method` is its `transport`."""

    def __init__(
        self,
        endpoint: str,
        username: str | None = None,
        password: str | None = None,
        realm: str | None = None,
        service: str | None = None,
        keytab: str | None = None,
        ca_trust_path: str | None = "legacy_requests",
        cert_pem: str | None = None,
        cert_key_pem: str | None = None,
        read_timeout_sec: int | None = None,
        server_cert_validation: str | None = "validate",
        kerberos_delegation: bool | str = False,
        kerberos_hostname_override: str | None = None,
        auth_method: str = "auto",
        message_encryption: str = "auto",
        credssp_disable_tlsv1_2: bool | str = False,
        credssp_auth_mechanism: str = "auto",
        credssp_minimum_version: int = 2,
        send_cbt: bool | str = True,
        proxy: str | None = "legacy_requests",
    ) -> None:
        self.endpoint = endpoint
        self.username = username
        self.password = password
        self.realm = realm
        self.service = service
        self.keytab = keytab
        self.ca_trust_path = ca_trust_path
        self.cert_pem = cert_pem
        self.cert_key_pem = cert_key_pem
        self.read_timeout_sec = read_timeout_sec
        self.server_cert_validation = server_cert_validation
        self.kerberos_hostname_override = kerberos_hostname_override
        self.auth_method = auth_method
        self.message_encryption = message_encryption
        self.credssp_auth_mechanism = credssp_auth_mechanism
        self.credssp_minimum_version = credssp_minimum_version
        self.proxy = proxy
        if server_cert_validation not in (None, "validate", "ignore"):
            raise WinRMError(f"invalid server_cert_validation mode: {server_cert_validation}")
        self.kerberos_delegation = _boolean(kerberos_delegation)
        # Ansible hands them over as they stand in an inventory, where "false" is a text.
        self.credssp_disable_tlsv1_2 = _boolean(credssp_disable_tlsv1_2)
        self.send_cbt = _boolean(send_cbt)
        self._check_credentials()
        if message_encryption not in ("auto", "always", "never"):
            raise WinRMError(f"invalid message_encryption arg: {message_encryption}. Should be 'auto', 'always', or 'never'")
        self.session: _Session | None = None

    def _shows_certificate(self) -> bool:
        return self.auth_method == "certificate" or (self.auth_method == "ssl" and bool(self.cert_pem or self.cert_key_pem))

    def _check_credentials(self) -> None:
        if self.auth_method == "kerberos":
            return
        if not self._shows_certificate():
            if not self.username:
                raise InvalidCredentialsError(f"auth method {self.auth_method} requires a username")
            if self.password is None:
                raise InvalidCredentialsError(f"auth method {self.auth_method} requires a password")
            return
        if not self.cert_pem or not self.cert_key_pem:
            raise InvalidCredentialsError("both cert_pem and cert_key_pem must be specified for cert auth")
        for name, path in (("cert_pem", self.cert_pem), ("cert_key_pem", self.cert_key_pem)):
            if not os.path.exists(path):
                raise InvalidCredentialsError(f"{name} file not found ({path})")

    def build_session(self) -> _Session:
        """Decides what is left open, and makes the client. Nothing is sent."""
        if self.session is None:
            self.session = self._make_session()
        return self.session

    def _make_session(self) -> _Session:
        if self.auth_method not in _METHODS:
            raise WinRMError(f"unsupported auth method: {self.auth_method}")
        method = "certificate" if self._shows_certificate() else _METHODS[self.auth_method]
        seals = method not in ("basic", "certificate")
        if self.message_encryption == "always" and not seals:
            raise WinRMError(f"message encryption is set to 'always' but the selected auth method {self.auth_method} does not support it")
        if self.auth_method == "ssl" and method == "basic" and self.endpoint.lower().startswith("http:"):
            raise WinRMError("the transport ssl sends the password over https only; basic and plaintext send it over http, readable on the way")
        verify = self._verify()
        client = Client(
            self.endpoint,
            method,
            username=self.username,
            password=self.password,
            # Where messages can't be encrypted, http is clear text: whoever names `basic` or `plaintext` for it means that.
            encryption=self.message_encryption if seals else "never",
            verify=verify is not False,
            authorities=verify if isinstance(verify, str) else None,
            certificate=(self.cert_pem or "", self.cert_key_pem or "") if method == "certificate" else None,
            read_timeout=float(self.read_timeout_sec or 365 * 24 * 3600),
            service=self.service or None,
            host=self.kerberos_hostname_override or None,
            realm=self.realm or None,
            keytab=self.keytab or None,
            delegate=self.kerberos_delegation,
            disable_tlsv1_2=self.credssp_disable_tlsv1_2,
            mechanism=self.credssp_auth_mechanism,
            minimum_version=self.credssp_minimum_version,
            channel_binding=self.send_cbt,
            proxy=None if self.proxy in (None, "legacy_requests") else self.proxy,
            proxy_from_environment=self.proxy == "legacy_requests",
        )
        return _Session(verify, self._proxies(), client)

    def _verify(self) -> bool | str:
        if self.server_cert_validation == "ignore":
            return False
        path = self.ca_trust_path
        if path == "legacy_requests":
            path = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        return True if path is None else path

    def _proxies(self) -> dict[str, str]:
        if self.proxy is None:
            return {"no_proxy": "*"}
        if self.proxy != "legacy_requests":
            return {"http": self.proxy, "https": self.proxy}
        found = {}
        # In upper case first, so that lower case is what counts.
        for name in sorted(os.environ):
            scheme, _, kind = name.lower().partition("_")
            if kind == "proxy" and os.environ[name]:
                found[scheme if scheme != "no" else "no_proxy"] = os.environ[name]
        return found

    def close_session(self) -> None:
        """Closes the connections. The next message makes another."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def send_message(self, message: str | bytes) -> bytes:
        """Sends an envelope and gives the answer.

        :raises winrm.exceptions.InvalidCredentialsError: when the host refuses the credentials
        :raises winrm.exceptions.WinRMTransportError: for every other HTTP status that isn't success, that of faults included
        :raises requests.exceptions.ConnectionError: when the host can't be reached
        :raises requests.exceptions.Timeout: when it doesn't answer
        """
        session = self.session or self.build_session()
        if not session.is_checked:
            self._check(session)
        status, body = session._client.exchange(message)
        if status >= 400:
            raise WinRMTransportError("http", status, body.decode("utf-8", "replace"))
        return body

    def _check(self, session: _Session) -> None:
        """Raises what requests raises for arguments that it looks at no earlier than when something is sent."""
        scheme, separator, _ = self.endpoint.partition("://")
        if scheme.lower() not in ("http", "https") or not separator:
            if separator:
                raise requests_exceptions().InvalidSchema(f"No connection adapters were found for {self.endpoint!r}")
            raise requests_exceptions().MissingSchema(
                f"Invalid URL {self.endpoint!r}: No scheme supplied. Perhaps you meant https://{self.endpoint}?"
            )
        if isinstance(session.verify, str) and scheme.lower() == "https" and not os.path.exists(session.verify):
            raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {session.verify}")
        session.is_checked = True
