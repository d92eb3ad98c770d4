"""One cell of the comparison: pywinrm (or what takes its place), pypsrp or Ansible's connection plugin at one job.

Usage: bench_client.py PEER JOB TRANSPORT URL USER PASSWORD_FILE COUNT [LOCAL REMOTE]

Jobs: `full` runs a command in a shell of its own, COUNT times; `kept` COUNT commands in one shell; `first` one command without anything
before it; `up` and `down` copy a file. Before `full` and `kept` one command is run that doesn't count, and imports count nowhere.
Prints one line of JSON: seconds of processor time (user and system) and of wall time, and the peak of the resident size in kilobytes.
"""

import json
import logging
import resource
import sys
import time
import warnings
from urllib.parse import urlparse

peer, job, transport, url, user, password_file, count, *files = sys.argv[1:]
count = int(count)
with open(password_file, encoding="utf-8") as file:
    password = file.readline().rstrip("\n")
address = urlparse(url)
encryption = "never" if transport == "basic" else "always"
if transport == "kerberos":
    # By the ticket that is there.
    password = None
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def check(output):
    if output.replace(b"\r\n", b"\n") != b"hello\n":
        sys.exit(f"the answer is {output!r}")


class PyWinRM:
    def __init__(self):
        import winrm

        self.protocol = winrm.Protocol(endpoint=url, transport=transport, username=user, password=password, message_encryption=encryption)

    def open(self):
        self.shell = self.protocol.open_shell(codepage=65001)

    def command(self):
        command = self.protocol.run_command(self.shell, "echo", ["hello"])
        output, _, _ = self.protocol.get_command_output(self.shell, command)
        self.protocol.cleanup_command(self.shell, command)
        check(output)

    def close(self):
        self.protocol.close_shell(self.shell)


class PyPSRP:
    def __init__(self):
        from pypsrp.client import Client

        self.client = Client(
            address.hostname,
            port=address.port,
            ssl=False,
            username=user,
            password=password,
            auth=transport,
            encryption=encryption,
            no_proxy=True,
        )

    def open(self):
        from pypsrp.shell import WinRS

        self.shell = WinRS(self.client.wsman)
        self.shell.open()

    def command(self):
        from pypsrp.shell import Process, SignalCode

        process = Process(self.shell, "echo", ["hello"])
        process.invoke()
        process.signal(SignalCode.CTRL_C)
        check(process.stdout)

    def close(self):
        self.shell.close()


class Ansible:
    def __init__(self):
        from ansible.playbook.play_context import PlayContext
        from ansible.plugins.loader import connection_loader, init_plugin_loader

        init_plugin_loader()
        self.connection = connection_loader.get("winrm", PlayContext(), "/dev/null")
        self.connection.set_options(
            var_options={
                "ansible_host": address.hostname,
                "ansible_port": address.port,
                "ansible_user": user,
                "ansible_password": password,
                "ansible_winrm_scheme": "http",
                "ansible_winrm_path": address.path,
                "ansible_winrm_transport": [transport],
                "ansible_winrm_kinit_mode": "manual",
                "ansible_winrm_message_encryption": encryption,
            }
        )
        self.connection._options["_extras"] = {"ansible_winrm_message_encryption": encryption}

    def open(self):
        self.connection._connect()

    def command(self):
        _, output, _ = self.connection.exec_command("echo hello", sudoable=False)
        check(output)

    def close(self):
        self.connection.close()

    def up(self, local, remote):
        self.connection._connect()
        self.connection.put_file(local, remote)
        self.connection.close()

    def down(self, local, remote):
        self.connection._connect()
        self.connection.fetch_file(remote, local)
        self.connection.close()


client = {"pywinrm": PyWinRM, "pypsrp": PyPSRP, "ansible": Ansible}[peer]()


def full():
    client.open()
    client.command()
    client.close()


if job == "full":
    full()
if job == "kept":
    client.open()
    client.command()
wall, cpu = time.monotonic(), time.process_time()
if job in ("full", "first"):
    for _ in range(count):
        full()
elif job == "kept":
    for _ in range(count):
        client.command()
else:
    getattr(client, job)(*files)
figures = {
    "cpu": time.process_time() - cpu,
    "wall": time.monotonic() - wall,
    "kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
}
if job == "kept":
    client.close()
print(json.dumps(figures))
