"""Tells Ansible's connection plugin `winrm` that Kerberos can be had.

The plugin imports `kerberos` (pykerberos) before it offers Kerberos, and calls nothing of it. The package `winrm` that this file came with speaks
Kerberos itself, through the system's GSSAPI library. Where pykerberos is installed, Python finds that one first; programs other than Ansible
are told that there is none, as if this file weren't here.
"""

import sys

if "ansible" not in sys.modules:
    raise ModuleNotFoundError("No module named 'kerberos'", name="kerberos")


def __getattr__(name):
    raise AttributeError(f"module 'kerberos' has no attribute {name!r}: it only stands in for pykerberos, which isn't installed")
