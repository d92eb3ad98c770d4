"""What Ansible makes of the inventories in tests/inventories, as one document of JSON on standard output.

usage: inventories.py CORPUS [CASE ...]

Ansible is imported once, and each case runs in a process forked from there: `ansible-inventory` itself loads the inventory and
prints the list, and its own methods give graph, hosts and patterns of the same load. Cases with an ansible.cfg or an environment of
their own get a fresh process, since Ansible reads these when it is imported.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback


def ask(corpus, name):
    folder = os.path.join(corpus, name)
    with open(os.path.join(folder, "case.json")) as file:
        case = json.load(file)
    os.chdir(folder)

    from ansible import context
    from ansible.cli.inventory import InventoryCLI
    from ansible.errors import AnsibleError
    from ansible.module_utils.common.collections import ImmutableDict

    arguments = ["ansible-inventory", *case.get("args", []), "--list"]
    for source in case["sources"]:
        arguments += ["-i", source]
    cli = InventoryCLI(arguments)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            cli.run()
        except SystemExit as end:
            if end.code:
                raise
    answer = {"list": json.loads(out.getvalue()), "text": out.getvalue()}

    def with_options(**options):
        context.CLIARGS = ImmutableDict({**context.CLIARGS, **options})

    # --host and --graph ignore --limit.
    cli.inventory.subset(None)
    with_options(list=False, pattern="all")
    answer["graph"] = cli.inventory_graph()
    with_options(show_vars=True)
    try:
        answer["graph_vars"] = cli.inventory_graph()
    except AnsibleError:
        # A vaulted value without its password.
        answer["graph_vars"] = None
    answer["hosts"] = {
        host.name: json.loads(cli.dump(cli._get_host_variables(host))) for host in cli.inventory.get_hosts("all")
    }
    answer["patterns"] = []
    for pattern, *limit in case.get("patterns", []):
        cli.inventory.subset(limit or None)
        # Each pattern is asked of a new Ansible: the implicit localhost keeps the name it was first asked by.
        data = cli.inventory._inventory
        if data.localhost is not None and data.localhost.implicit:
            data.localhost = None
        cli.inventory.clear_caches()
        try:
            answer["patterns"].append([host.name for host in cli.inventory.get_hosts(pattern)])
        except AnsibleError as error:
            answer["patterns"].append(str(error))
    return answer


def forked(corpus, name):
    """The answer of a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            answer = ask(corpus, name)
            with os.fdopen(writer, "w") as pipe:
                json.dump(answer, pipe)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{name}: Ansible failed")
    return json.loads(text)


def main():
    corpus, names = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if names:
        json.dump({name: ask(corpus, name) for name in names}, sys.stdout)
        return
    fresh, plain = [], []
    for name in sorted(os.listdir(corpus)):
        with open(os.path.join(corpus, name, "case.json")) as file:
            case = json.load(file)
        (fresh if case.get("fresh") else plain).append((name, case))
    answers = {}
    # Beside the others, which take as long.
    started = [
        (
            name,
            subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), corpus, name],
                cwd=os.path.join(corpus, name),
                env={**os.environ, **case.get("env", {})},
                stdout=subprocess.PIPE,
            ),
        )
        for name, case in fresh
    ]
    nothing = os.path.join(tempfile.mkdtemp(), "ansible.cfg")
    open(nothing, "w").close()
    os.environ["ANSIBLE_CONFIG"] = nothing
    import ansible.cli.inventory  # noqa: F401
    import ansible.plugins.loader  # noqa: F401

    for name, _ in plain:
        answers[name] = forked(corpus, name)
    for name, process in started:
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{name}: Ansible failed")
        answers.update(json.loads(output))
    json.dump(answers, sys.stdout)


main()
