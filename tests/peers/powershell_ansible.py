"""Ansible's actions and modules for Windows on our service, over http with NTLM and over https with Basic: runs `powershell_ansible.yml`."""

import os
import re
import sys
import urllib.parse

from cases import arguments
import playbook

args = arguments(ansible="the folder with ansible-playbook", certificate="the certificate of the service with TLS")


def host(url, transport):
    address = urllib.parse.urlsplit(url)
    return {
        "ansible_host": address.hostname,
        "ansible_port": address.port,
        "ansible_winrm_scheme": address.scheme,
        "ansible_winrm_transport": transport,
        "ansible_winrm_server_cert_validation": "ignore",
        "ansible_user": args.user,
        "ansible_password": args.password,
    }


inventory = {
    "windows": {
        "hosts": {"ntlm": host(args.url, "ntlm"), "basic": host(args.tls_url, "basic")},
        "vars": {"ansible_connection": "winrm", "ansible_shell_type": "powershell", "folder": os.path.realpath(args.folder)},
    }
}
ended = playbook.run("powershell_ansible.yml", inventory, args.ansible, args.folder)
names = re.findall(r"^TASK \[case: (.*)\] \*+$", ended.stdout, re.MULTILINE)
if ended.returncode != 0 or not names:
    print(ended.stdout)
    print(f"FAIL  {names[-1] if names else 'ansible-playbook'}: exit status {ended.returncode}")
    sys.exit(1)
# Every case runs on both hosts.
passed = len(re.findall(r"^ok: \[(ntlm|basic)\] => \{$\n    \"changed\": false,\n    \"msg\": \"All assertions passed\"", ended.stdout, re.MULTILINE))
for name in names:
    print(f"ok    {name}")
print(f"{passed} cases passed, {2 * len(names) - passed} failed")
sys.exit(0 if passed == 2 * len(names) else 1)
