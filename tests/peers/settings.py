"""What Ansible's connection plugin winrm makes of variables.

Standard input: a list of maps of variables, in JSON. Standard output: a list, for each map what the plugin would connect with, or {"error": text}.
"""
import json
import sys

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, init_plugin_loader
from ansible import constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from winrm.protocol import Protocol

init_plugin_loader([])


def plugin(variables):
    connection = connection_loader.get("winrm", PlayContext())
    # As Ansible's task executor hands variables over.
    names = C.config.get_plugin_vars("connection", connection._load_name)
    options = {name: variables[name] for name in names if name in variables}
    prefix = "ansible_%s_" % connection.extras_prefix
    options["_extras"] = {name: value for name, value in variables.items() if name.startswith(prefix) and name not in options}
    connection.set_options(var_options=options)
    connection._build_winrm_kwargs()
    return connection


def become(variables):
    """What the method runas hands to its wrapper on the host."""
    if not boolean(variables.get("ansible_become", False), strict=False):
        return None
    method = variables.get("ansible_become_method", "runas")
    if method not in ("runas", "ansible.builtin.runas"):
        raise ValueError("there is no %s on Windows" % method)
    runas = become_loader.get(method)
    names = C.config.get_plugin_vars("become", runas._load_name)
    runas.set_options(var_options={name: variables[name] for name in names if name in variables})
    _, said, secret = runas._build_powershell_wrapper_action()
    if not said["BecomeUser"]:
        raise ValueError("nobody")
    flags = [flag for flag in said.get("LogonFlags", "WithProfile").split(", ") if flag]
    return {
        "account": said["BecomeUser"],
        "password": secret.get("BecomePassword"),
        "logon": said.get("LogonType", "Interactive"),
        "profile": "WithProfile" in flags,
        "network_only": "NetCredentialsOnly" in flags,
    }


def look(variables):
    connection = plugin(variables)
    kwargs = dict(connection._winrm_kwargs)
    if connection._winrm_connection_timeout:
        kwargs["operation_timeout_sec"] = connection._winrm_connection_timeout
        kwargs["read_timeout_sec"] = connection._winrm_connection_timeout + 10
    # What pywinrm refuses is refused when Ansible connects.
    if connection._winrm_user and connection._winrm_pass is not None:
        Protocol("http://host:5985/wsman", transport="ntlm", **kwargs)
    return {
        "host": connection._winrm_host,
        "user": connection._winrm_user,
        "password": connection._winrm_pass,
        "port": connection._winrm_port,
        "scheme": connection._winrm_scheme,
        "path": connection._winrm_path,
        "transport": list(connection._winrm_transport),
        "managed": connection._kerb_managed,
        "kinit_cmd": connection._kinit_cmd,
        "kinit_args": connection.get_option("kinit_args"),
        "kinit_env_vars": connection.get_option("kinit_env_vars"),
        "become": become(variables),
        "kwargs": {name: value for name, value in kwargs.items() if name not in ("username", "password")},
    }


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # what Ansible prints is no answer
    results = []
    for variables in json.load(sys.stdin):
        try:
            results.append(look(variables))
        except Exception as error:  # whatever it is, Ansible would stop here
            results.append({"error": type(error).__name__ + ": " + str(error)})
    json.dump(results, answers)


main()
