"""The part of `winrm` that is written in Rust. What is in here may change with every version."""

import os

__version__: str

class Client:
    """One host and who logs on there. Connections are made when they are needed, and kept."""

    def __new__(
        cls,
        endpoint: str,
        transport: str,
        *,
        username: str | None = None,
        password: str | None = None,
        encryption: str = "auto",
        verify: bool = True,
        authorities: str | os.PathLike[str] | None = None,
        certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
        read_timeout: float = 30.0,
        service: str | None = None,
        host: str | None = None,
        realm: str | None = None,
        keytab: str | None = None,
        delegate: bool = False,
        disable_tlsv1_2: bool = False,
        mechanism: str = "auto",
        minimum_version: int = 2,
        channel_binding: bool = True,
        proxy: str | None = None,
        proxy_from_environment: bool = False,
    ) -> Client: ...
    def exchange(self, message: str | bytes) -> tuple[int, bytes]: ...
    def connections_made(self) -> int: ...
    def close(self) -> None: ...

def shell_id(answer: str | bytes) -> str: ...
def command_id(answer: str | bytes) -> str: ...
def relates_to(answer: str | bytes) -> str | None: ...
def output(answer: str | bytes) -> tuple[bytes, bytes, int, bool]: ...
def fault(answer: str | bytes) -> tuple[str | None, str | None, str | None, int | None, int | None] | None: ...
