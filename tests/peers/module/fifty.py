"""`raw` on fifty hosts at once, by Ansible with pywinrm and with our module: the same comes out, and it is printed what each took.

Most of that is Ansible's own and PowerShell's.
"""

import os
import re
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import playbook
from cases import Cases, arguments, expect
from hosts import host, inventory

args = arguments(ansible="the folder with Ansible on pywinrm", own="the folder with Ansible on our module")
args.folder = os.path.realpath(args.folder)
cases = Cases(seconds=500)


@cases.case("fifty hosts at once")
def _():
    hosts = {f"host{number:02}": host(args, args.refusing_url, "ntlm") for number in range(50)}
    spent, told = {}, {}
    for programs, name in ((args.ansible, "pywinrm"), (args.own, "ours")):
        place = os.path.join(args.folder, name)
        os.makedirs(place)
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        arguments = ["windows", "-m", "ansible.builtin.raw", "-a", "Write-Output (1+1)", "-f", "50"]
        ended = playbook.command("ansible", arguments, inventory(args, hosts), programs, place)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begin
        spent[name] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall
        expect(ended.returncode, 0, f"{name}'s exit status, with {ended.stdout}")
        told[name] = sorted(re.findall(r"^(host\d\d) \| CHANGED \| rc=0 >>\n2$", ended.stdout, re.MULTILINE))
    expect(len(told["ours"]), 50, "hosts")
    expect(told["ours"], told["pywinrm"], "hosts")
    (cpu, wall), (own_cpu, own_wall) = spent["pywinrm"], spent["ours"]
    print(f"      pywinrm {cpu:.1f} s of CPU in {wall:.1f} s, ours {own_cpu:.1f} s in {own_wall:.1f} s: {own_cpu / cpu:.2f} and {own_wall / wall:.2f} of it")


cases.finish()
