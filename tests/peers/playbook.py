"""Runs a playbook with nothing of this machine's own settings."""

import json
import os
import re
import subprocess
import sys


def run(playbook, inventory, ansible, folder):
    """The ended process, its output and errors as one text. `folder` takes what Ansible writes."""
    return command("ansible-playbook", [os.path.join(os.path.dirname(os.path.abspath(__file__)), playbook)], inventory, ansible, folder)


def command(program, arguments, inventory, ansible, folder):
    """The same for one of Ansible's programs with these arguments."""
    process = start(program, arguments, inventory, ansible, folder)
    output, _ = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def start(program, arguments, inventory, ansible, folder):
    """The same, not waited for."""
    inventory_file = os.path.join(folder, "inventory.yml")
    with open(inventory_file, "w", encoding="utf-8") as file:
        # YAML takes JSON as it is.
        json.dump(inventory, file)
    no_settings = os.path.join(folder, "ansible.cfg")
    with open(no_settings, "w", encoding="utf-8"):
        pass
    environment = {
        **os.environ,
        "ANSIBLE_HOME": os.path.join(folder, "ansible-home"),
        "ANSIBLE_CONFIG": no_settings,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "2",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.Popen(
        [os.path.join(ansible, program), "-i", inventory_file, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def report(ended):
    """Prints a line for each task whose name begins with `case:`, once for each host, and ends the program; shows all output if one failed."""
    passed = []
    for block in re.split(r"^TASK ", ended.stdout, flags=re.MULTILINE)[1:]:
        name = re.match(r"\[case: (.*)\] \*+", block)
        if name:
            passed += [f"{host}: {name[1]}" for host in re.findall(r"^ok: \[(\w+)\]", block, re.MULTILINE)]
    for case in passed:
        print(f"ok    {case}")
    if ended.returncode != 0:
        print(ended.stdout)
        print(f"FAIL  ansible-playbook: exit status {ended.returncode}")
        sys.exit(1)
    print(f"{len(passed)} cases passed, 0 failed")
    sys.exit(0 if passed else 1)
