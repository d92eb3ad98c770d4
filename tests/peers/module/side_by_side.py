"""Runs script.py with pywinrm and with our module, against the same hosts, and compares what every case gives.

A case of `DIFFERENT` has to differ, and ours has to give what stands there.
"""

import argparse
import json
import os
import subprocess
import sys

import host

HERE = os.path.dirname(os.path.abspath(__file__))
ERROR = "winrm.exceptions.WinRMError"

# What ours does otherwise, on purpose: what it gives, and why.
DIFFERENT = {
    "fault 170": ({"wsman_fault_code": 170}, "the code stands in quotes in the text, which Ansible looks for; and a busy host is asked again before"),
    "busy once": ({"result": repr((b"done", b"", 0))}, "a busy host is asked again"),
    "no SOAP": ({"raises": ERROR}, "an error of the module's own in place of the XML reader's"),
    "nothing": ({"raises": ERROR}, "an error of the module's own in place of the XML reader's"),
    "another answer than was waited for": ({"raises": ERROR}, "an error of the module's own in place of StopIteration"),
    "no exit code": ({"result": repr((b"", b"", -1, True))}, "-1 in place of StopIteration"),
    "closed in the middle": ({"raises": "requests.exceptions.ConnectionError"}, "the class for lost connections in place of ChunkedEncodingError"),
}

parser = argparse.ArgumentParser()
parser.add_argument("--own", required=True, help="a Python with our module")
parser.add_argument("--show", action="store_true", help="show what differs by design, too")
args, rest = parser.parse_known_args()
host_url = host.start()


def run(python):
    command = [python, os.path.join(HERE, "script.py"), "--host-url", host_url, *rest]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    if ended.returncode != 0:
        sys.exit(f"{python}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


theirs, ours = run(sys.executable), run(args.own)
passed, failed = 0, 0
if theirs.keys() != ours.keys():
    sys.exit(f"FAIL  not the same cases: {sorted(theirs.keys() ^ ours.keys())}")
unused = set(DIFFERENT) - {name.removeprefix("host: ") for name in ours}
if unused:
    sys.exit(f"FAIL  no such cases: {sorted(unused)}")
for name, outcome in ours.items():
    wanted, _ = DIFFERENT.get(name.removeprefix("host: "), (None, None))
    if wanted is None:
        good = outcome == theirs[name]
    else:
        good = outcome != theirs[name] and all(outcome.get(key) == value for key, value in wanted.items())
    print(f"ok    {name}" if good else f"FAIL  {name}\n      pywinrm {theirs[name]}\n      ours    {outcome}")
    if good and wanted is not None and args.show:
        print(f"      pywinrm {theirs[name]}\n      ours    {outcome}")
    passed, failed = passed + good, failed + (not good)
print(f"{passed} cases passed, {failed} failed")
sys.exit(1 if failed else 0)
