"""Ansible's own connection plugin `winrm` as a client of our service: runs `ansible.yml` against it.

Each task whose name begins with `case:` is a case; Ansible's output is shown when one fails.
"""

import os
import re
import sys
import urllib.parse

from cases import arguments
import playbook

args = arguments(ansible="the folder with ansible-playbook", certificate="the certificate of the service with TLS")


def host(url, **variables):
    address = urllib.parse.urlsplit(url)
    return {
        "ansible_host": address.hostname,
        "ansible_port": address.port,
        "ansible_winrm_scheme": address.scheme,
        "ansible_winrm_server_cert_validation": "ignore",
        "ansible_user": args.user,
        "ansible_password": args.password,
        **variables,
    }


inventory = {
    "windows": {
        "hosts": {
            "clear": host(args.url),
            "tls": host(args.tls_url, ansible_winrm_server_cert_validation="validate", ansible_winrm_ca_trust_path=args.certificate),
            "wrong_password": host(args.url, ansible_password="wrong"),
            "refusing": host(args.refusing_url),
        },
        "vars": {
            "ansible_connection": "winrm",
            "ansible_shell_type": "powershell",
            "ansible_winrm_transport": "basic",
            "ansible_winrm_message_encryption": "never",
            "folder": os.path.realpath(args.folder),
        },
    }
}
ended = playbook.run("ansible.yml", inventory, args.ansible, args.folder)
names = re.findall(r"^TASK \[case: (.*)\] \*+$", ended.stdout, re.MULTILINE)
if ended.returncode != 0:
    print(ended.stdout)
    print(f"FAIL  {names[-1] if names else 'ansible-playbook'}: exit status {ended.returncode}")
    sys.exit(1)
for name in names:
    print(f"ok    {name}")
print(f"{len(names)} cases passed, 0 failed")
sys.exit(0 if names else 1)
