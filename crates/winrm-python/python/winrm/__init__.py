"""Windows Remote Management: commands and PowerShell on Windows hosts.

A drop-in for pywinrm, on a client written in Rust::

    import winrm

    session = winrm.Session("https://host.example:5986", auth=("alice", "secret"), transport="ntlm")
    result = session.run_cmd("ipconfig", ["/all"])
    print(result.status_code, result.std_out.decode())

A :class:`Session` keeps its connection, and any number of threads may use it at once.
"""

from __future__ import annotations

from winrm._winrm import __version__
from winrm.protocol import Protocol
from winrm.session import Response, Session

__all__ = [
    "FEATURE_OPERATION_TIMEOUT",
    "FEATURE_PROXY_SUPPORT",
    "FEATURE_READ_TIMEOUT",
    "FEATURE_SUPPORTED_AUTHTYPES",
    "Protocol",
    "Response",
    "Session",
    "__version__",
]

# By these, programs find out what the installed version can do.
FEATURE_SUPPORTED_AUTHTYPES = ["basic", "certificate", "ntlm", "kerberos", "plaintext", "ssl", "credssp"]
FEATURE_READ_TIMEOUT = True
FEATURE_OPERATION_TIMEOUT = True
FEATURE_PROXY_SUPPORT = True
