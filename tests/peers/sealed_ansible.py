"""Ansible's connection plugin `winrm` as a client of our service, with NTLM and Kerberos: runs `sealed_ansible.yml` against it.

Each task whose name begins with `case:` is a case, once for each host; Ansible's output is shown when one fails.
"""

import os

from sealed_cases import address, arguments, by_name
import playbook

args = arguments()


def host(url, **variables):
    name, port = address(by_name(url))
    return {
        "ansible_host": name,
        "ansible_port": port,
        "ansible_winrm_scheme": url.partition(":")[0],
        "ansible_winrm_server_cert_validation": "ignore",
        "ansible_winrm_message_encryption": "auto",
        **variables,
    }


ntlm = {"ansible_winrm_transport": "ntlm", "ansible_user": args.user, "ansible_password": args.password}
working = {
    "ntlm": host(args.url, ansible_winrm_message_encryption="always", **ntlm),
    "ntlm_tls": host(args.strict_url, **ntlm),
}
refused = {
    "ntlm_wrong_password": host(args.url, **{**ntlm, "ansible_password": "wrong"}),
    "ntlm_without_binding": host(args.strict_url, ansible_winrm_send_cbt=False, **ntlm),
}
if args.kerberos:
    manual = {"ansible_winrm_transport": "kerberos", "ansible_user": args.principal, "ansible_winrm_kinit_mode": "manual"}
    managed = {
        "ansible_winrm_transport": "kerberos",
        "ansible_user": args.principal,
        "ansible_password": args.principal_password,
        "ansible_winrm_kinit_mode": "managed",
        "ansible_winrm_kinit_env_vars": ["KRB5_CONFIG"],
    }
    working["kerberos_manual"] = host(args.url, ansible_winrm_message_encryption="always", **manual)
    working["kerberos_managed"] = host(args.url, ansible_winrm_message_encryption="always", **managed)
    working["kerberos_tls"] = host(args.strict_url, **managed)
    refused["kerberos_wrong_password"] = host(args.url, **{**managed, "ansible_password": "wrong"})

inventory = {
    "windows": {
        "children": {"working": {"hosts": working}, "refused": {"hosts": refused}},
        "vars": {"ansible_connection": "winrm", "ansible_shell_type": "powershell", "folder": os.path.realpath(args.folder)},
    }
}
playbook.report(playbook.run("sealed_ansible.yml", inventory, args.ansible, args.folder))
