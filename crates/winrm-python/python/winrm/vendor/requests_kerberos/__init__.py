"""The errors of Kerberos, where callers of pywinrm look for them. Nothing else is here: Kerberos is spoken in Rust."""

from winrm.vendor.requests_kerberos.exceptions import KerberosExchangeError, MutualAuthenticationError

__all__ = ["KerberosExchangeError", "MutualAuthenticationError"]
