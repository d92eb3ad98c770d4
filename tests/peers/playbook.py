"""Runs a playbook with nothing of this machine's own settings."""

import json
import os
import subprocess


def run(playbook, inventory, ansible, folder):
    """The ended process, its output and errors as one text. `folder` takes what Ansible writes."""
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
    return subprocess.run(
        [os.path.join(ansible, "ansible-playbook"), "-i", inventory_file, os.path.join(os.path.dirname(os.path.abspath(__file__)), playbook)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
