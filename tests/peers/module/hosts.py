"""Inventories for Ansible, of hosts that are one of our services each."""

import urllib.parse


def host(args, url, transport, **variables):
    """The variables of a host."""
    address = urllib.parse.urlsplit(url)
    return {
        "ansible_host": address.hostname,
        "ansible_port": address.port,
        "ansible_winrm_scheme": address.scheme,
        "ansible_winrm_transport": transport,
        "ansible_winrm_server_cert_validation": "ignore",
        "ansible_user": args.user,
        "ansible_password": args.password,
        **variables,
    }


def inventory(args, hosts):
    """The group `windows` with these hosts."""
    settings = {"ansible_connection": "winrm", "ansible_shell_type": "powershell", "folder": args.folder}
    return {"windows": {"hosts": hosts, "vars": settings}}
