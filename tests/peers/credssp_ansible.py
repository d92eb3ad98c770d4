"""Ansible's connection plugin `winrm` as a client of our service, with CredSSP: runs `sealed_ansible.yml` against it."""

import os

from sealed_cases import address, arguments, by_name
import playbook

args = arguments()


def host(url, user=args.user, password=args.password, **variables):
    name, port = address(by_name(url))
    return {
        "ansible_host": name,
        "ansible_port": port,
        "ansible_user": user,
        "ansible_password": password,
        "ansible_winrm_scheme": url.partition(":")[0],
        **variables,
    }


working = {
    "credssp": host(args.url, ansible_winrm_message_encryption="always"),
    "credssp_tls": host(args.tls_url),
}
refused = {"credssp_wrong_password": host(args.url, password="wrong", refusal="STATUS_LOGON_FAILURE")}
if args.kerberos:
    working["credssp_kerberos"] = host(args.url, args.principal, args.principal_password, ansible_winrm_message_encryption="always")

inventory = {
    "windows": {
        "children": {"working": {"hosts": working}, "refused": {"hosts": refused}},
        "vars": {
            "ansible_connection": "winrm",
            "ansible_shell_type": "powershell",
            "ansible_winrm_transport": "credssp",
            "ansible_winrm_server_cert_validation": "ignore",
            "ansible_winrm_message_encryption": "auto",
            "folder": os.path.realpath(args.folder),
        },
    }
}
playbook.report(playbook.run("sealed_ansible.yml", inventory, args.ansible, args.folder))
