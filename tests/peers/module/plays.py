"""The same by Ansible with pywinrm and with our module: the plays of `plays.yml`, files both ways, services that go and come.

What comes out has to be the same.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import hosts
import playbook
from cases import Cases, arguments, expect

args = arguments(ansible="the folder with Ansible on pywinrm", own="the folder with Ansible on our module", winrm="the program `winrm`")
cases = Cases(seconds=280)
args.folder = os.path.realpath(args.folder)
PEER, OWN = args.ansible, args.own


def folder(name):
    path = os.path.join(args.folder, name)
    os.makedirs(path)
    return path


@cases.case("the plays of plays.yml")
def _():
    both = {"ntlm": hosts.host(args, args.refusing_url, "ntlm"), "basic": hosts.host(args, args.tls_url, "basic")}
    told = []
    for programs, name in ((PEER, "pywinrm"), (OWN, "ours")):
        ended = playbook.run("module/plays.yml", hosts.inventory(args, both), programs, folder(f"plays-{name}"))
        results = {}
        for block in re.split(r"^TASK ", ended.stdout, flags=re.MULTILINE)[1:]:
            title = re.match(r"\[(.*)\] \*+", block)[1]
            results.setdefault(title, []).append(sorted(re.findall(r"^(\w+): \[(\w+)\]", block, re.MULTILINE)))
        if ended.returncode != 0:
            raise AssertionError(f"{name}: exit status {ended.returncode}\n{ended.stdout}")
        told.append(results)
    theirs, ours = told
    expect(sum(title.startswith("case: ") for title in ours) >= 8, True, "at least 8 cases")
    expect(ours, theirs, "the outcome of each task on each host")


@cases.case("put_file and fetch_file")
def _():
    local = os.path.join(args.folder, "local")
    with open(local, "wb") as file:
        file.write(os.urandom(3_000_001))
    wanted = hashlib.sha256(open(local, "rb").read()).hexdigest()
    for programs, name in ((PEER, "pywinrm"), (OWN, "ours")):
        remote, back = os.path.join(args.folder, f"remote-{name}"), os.path.join(args.folder, f"back-{name}")
        script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "copy_ansible.py")
        ended = subprocess.run(
            [os.path.join(programs, "python"), script, args.url, args.user, args.password_file, local, remote, back],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )
        expect(ended.returncode, 0, f"{name}'s exit status, with {ended.stdout}")
        for copy in (remote, back):
            expect(hashlib.sha256(open(copy, "rb").read()).hexdigest(), wanted, copy)


def serve(place, port):
    """Starts a service in the folder, and gives the process and its URL."""
    service = subprocess.Popen(
        [args.winrm, "serve", "--listen", f"127.0.0.1:{port}", "--user", args.user, "--password-file", os.path.abspath(args.password_file)],
        cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
    )
    return service, service.stdout.readline().split()[1]


def end(service):
    service.kill()
    service.wait()


@cases.case("a host that goes away in the middle")
def _():
    told = {}
    for programs, name in ((PEER, "pywinrm"), (OWN, "ours")):
        place = folder(f"killed-{name}")
        service, url = serve(place, 0)
        try:
            marker = os.path.join(place, "marker")
            script = f"Set-Content '{marker}' x; Start-Sleep 20"
            arguments = ["windows", "-m", "ansible.builtin.raw", "-a", script]
            ansible = playbook.start("ansible", arguments, hosts.inventory(args, {"one": hosts.host(args, url, "ntlm")}), programs, place)
            while not os.path.exists(marker):
                expect(ansible.poll(), None, "Ansible runs")
                time.sleep(0.05)
        finally:
            end(service)
        output, _ = ansible.communicate()
        told[name] = (ansible.returncode, re.findall(r"^one \| ([A-Z]+)", output, re.MULTILINE), "Traceback" in output)
    expect(told["ours"], told["pywinrm"], "the exit status, and what Ansible calls it")


@cases.case("a host that comes later")
def _():
    for programs, name in ((PEER, "pywinrm"), (OWN, "ours")):
        place = folder(f"later-{name}")
        # The port is free once the first service has gone.
        service, url = serve(place, 0)
        end(service)
        arguments = ["windows", "-m", "ansible.builtin.wait_for_connection", "-a", "timeout=60 sleep=1 connect_timeout=2"]
        ansible = playbook.start("ansible", arguments, hosts.inventory(args, {"one": hosts.host(args, url, "ntlm")}), programs, place)
        time.sleep(4)
        expect(ansible.poll(), None, f"{name} waits")
        service, _ = serve(place, urllib.parse.urlsplit(url).port)
        try:
            output, _ = ansible.communicate()
        finally:
            end(service)
        expect((ansible.returncode, "one | SUCCESS" in output), (0, True), f"{name}, with {output}")


cases.finish()
