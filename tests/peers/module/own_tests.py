"""pywinrm's own tests, unchanged, on our module.

Their integration tests run against the service; what is left out stands in `LEFT_OUT` with its reason.
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cases import arguments

LEFT_OUT = {
    "test_encryption.py": "tests a class that encrypts the requests of the package `requests`, for its sessions",
    "test_transport.py::TestTransport::test_close_session": "replaces `requests.Session`, and looks whether that was closed",
    "test_integration_protocol.py::test_unicode_roundtrip": "needs Windows: Write-Host ends lines with CR LF elsewhere (pywinrm fails here as well)",
    "test_integration_protocol.py::test_run_command_with_env": "needs Windows: %NAME% (pywinrm fails here as well)",
    "test_integration_protocol.py::test_get_command_output": "needs Windows: ipconfig (pywinrm fails here as well)",
}

args = arguments(sources="the folder with pywinrm's unpacked source package")
package = next(name for name in sorted(os.listdir(args.sources)) if name.startswith("pywinrm-"))
# Beside their own package `winrm`, they would test that.
folder = os.path.realpath(args.folder)
tests = os.path.join(folder, "tests")
shutil.copytree(os.path.join(args.sources, package, "winrm", "tests"), tests)
os.environ.update(WINRM_ENDPOINT=args.url, WINRM_TRANSPORT="basic", WINRM_USERNAME=args.user, WINRM_PASSWORD=args.password)

import pytest


class Count:
    def __init__(self):
        self.outcomes = {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.partition("/")[2] or report.nodeid
        before = self.outcomes.get(name, "passed")
        # An expected failure is "skipped" with a reason.
        self.outcomes[name] = report.outcome if before == "passed" else before


count = Count()
files = sorted(name for name in os.listdir(tests) if name.startswith("test_") and name not in LEFT_OUT)
deselected = [f"--deselect=tests/{name}" for name in LEFT_OUT if "::" in name]
os.chdir(folder)
pytest.main(["-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir", folder, *deselected, *[os.path.join("tests", name) for name in files]], plugins=[count])
for name, outcome in count.outcomes.items():
    print(f"{'ok   ' if outcome == 'passed' else outcome} {name}")
for name, reason in LEFT_OUT.items():
    print(f"left out: {name}: {reason}")
passed = sum(outcome == "passed" for outcome in count.outcomes.values())
failed = sum(outcome == "failed" for outcome in count.outcomes.values())
print(f"{passed} cases passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
