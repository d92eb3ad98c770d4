"""Ansible's connection plugin `winrm` with certificates as a client of our service: runs `cert_ansible.yml` against it."""

import argparse
import os
import re
import sys
import urllib.parse

import playbook

parser = argparse.ArgumentParser()
parser.add_argument("--tls-url", required=True)
parser.add_argument("--certificate", required=True)
parser.add_argument("--folder", required=True)
parser.add_argument("--ansible", required=True, help="the folder with ansible-playbook")
parser.add_argument("--new", required=True, help="PREFIX of a pair made by `winrm cert new`")
parser.add_argument("--refused", required=True, help="a file with a certificate that is not let in, and its key")
args = parser.parse_args()
address = urllib.parse.urlsplit(args.tls_url)


def host(pem, key):
    return {
        "ansible_host": address.hostname,
        "ansible_port": address.port,
        "ansible_winrm_transport": "certificate",
        "ansible_winrm_cert_pem": pem,
        "ansible_winrm_cert_key_pem": key,
        "ansible_winrm_ca_trust_path": args.certificate,
    }


inventory = {
    "windows": {
        "hosts": {"mapped": host(f"{args.new}.pem", f"{args.new}.key"), "refused": host(args.refused, args.refused)},
        "vars": {"ansible_connection": "winrm", "ansible_shell_type": "powershell", "folder": os.path.realpath(args.folder)},
    }
}
ended = playbook.run("cert_ansible.yml", inventory, args.ansible, args.folder)
names = re.findall(r"^TASK \[case: (.*)\] \*+$", ended.stdout, re.MULTILINE)
if ended.returncode != 0:
    print(ended.stdout)
    print(f"FAIL  {names[-1] if names else 'ansible-playbook'}: exit status {ended.returncode}")
    sys.exit(1)
for name in names:
    print(f"ok    {name}")
print(f"{len(names)} cases passed, 0 failed")
sys.exit(0 if names else 1)
