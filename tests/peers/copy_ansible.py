"""Ansible's own put_file and fetch_file, called from Python: copies a file to our service and back, and says how long it took.

Usage: copy_ansible.py URL USER PASSWORD_FILE LOCAL REMOTE BACK
"""

import sys
import time
from urllib.parse import urlparse

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, init_plugin_loader

url, user, password_file, local, remote, back = sys.argv[1:]
init_plugin_loader()
with open(password_file, encoding="utf-8") as file:
    password = file.readline().rstrip("\n")
address = urlparse(url)
connection = connection_loader.get("winrm", PlayContext(), "/dev/null")
connection.set_options(
    var_options={
        "ansible_host": address.hostname,
        "ansible_port": address.port,
        "ansible_user": user,
        "ansible_password": password,
        "ansible_winrm_scheme": "http",
        "ansible_winrm_path": address.path,
        "ansible_winrm_transport": ["basic"],
        "ansible_winrm_message_encryption": "never",
    }
)
connection._options["_extras"] = {"ansible_winrm_message_encryption": "never"}
connection._connect()
for name, copy in (("put", lambda: connection.put_file(local, remote)), ("fetch", lambda: connection.fetch_file(remote, back))):
    begin = time.monotonic()
    copy()
    print(f"{name} {time.monotonic() - begin:.3f}", flush=True)
connection.close()
