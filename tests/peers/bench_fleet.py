"""Runs a command on many hosts at once with pypsrp or pywinrm, a thread for each host, as scripts with them do.

Prints one line of JSON: how many answers were right, seconds of wall time and of CPU time. Imports are not counted.
"""

import json
import logging
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

peer, hosts_file, password_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.read().strip()
with open(hosts_file, encoding="utf-8") as file:
    hosts = [line.split() for line in file]

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

if peer == "pypsrp":
    from pypsrp.shell import Process, SignalCode, WinRS
    from pypsrp.wsman import WSMan

    def run(address, port, user):
        wsman = WSMan(address, port=int(port), ssl=False, username=user, password=password, auth="ntlm", encryption="always", no_proxy=True)
        with wsman, WinRS(wsman) as shell:
            process = Process(shell, "whoami")
            process.invoke()
            process.signal(SignalCode.CTRL_C)
            return process.stdout

else:
    import winrm

    def run(address, port, user):
        client = winrm.Protocol(
            endpoint=f"http://{address}:{port}/wsman", transport="ntlm", username=user, password=password, message_encryption="always"
        )
        shell = client.open_shell(codepage=65001)
        command = client.run_command(shell, "whoami")
        stdout = client.get_command_output(shell, command)[0]
        client.cleanup_command(shell, command)
        client.close_shell(shell)
        return stdout


def is_right(host):
    try:
        return run(*host) == host[2].encode() + b"\r\n"
    except Exception as error:
        print(f"{host}: {error!r}", file=sys.stderr)
        return False


wall, cpu = time.monotonic(), time.process_time()
with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
    right = sum(pool.map(is_right, hosts))
print(json.dumps({"right": right, "wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}))
