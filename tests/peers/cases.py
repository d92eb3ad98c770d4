"""Runs the cases of a peer: prints a line for each, and fails at the end if one did.

A case is a function; it passes when it returns and fails when it raises.
"""

import argparse
import os
import signal
import sys
import time
import traceback

# A case that takes longer than this hangs.
SECONDS_PER_CASE = 60


class Cases:
    """The cases of one peer, run in the order in which they are written."""

    def __init__(self, seconds=SECONDS_PER_CASE):
        """`seconds`: how long a case may take."""
        self.seconds = seconds
        self.passed = 0
        self.failed = []

    def case(self, name, run=True):
        """Decorates the function that is the case `name`, and runs it at once, if `run`."""

        def decorate(function):
            if run:
                self._run(name, function)
            return function

        return decorate

    def _run(self, name, function):
        signal.signal(signal.SIGALRM, _took_too_long)
        signal.alarm(self.seconds)
        try:
            function()
        except Exception as error:
            signal.alarm(0)
            self.failed.append(name)
            where = traceback.extract_tb(error.__traceback__)[1:]
            line = next((frame.lineno for frame in where if frame.filename == function.__code__.co_filename), "?")
            print(f"FAIL  {name} (line {line})\n      {type(error).__name__}: {error}", flush=True)
        else:
            signal.alarm(0)
            self.passed += 1
            print(f"ok    {name}", flush=True)

    def finish(self):
        """Prints the number of cases and ends the program."""
        print(f"{self.passed} cases passed, {len(self.failed)} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


def _took_too_long(_signal, _frame):
    raise TimeoutError("not done in time")


def expect(actual, wanted, what="result"):
    """Fails unless both are equal."""
    if actual != wanted:
        raise AssertionError(f"{what}: expected {_short(wanted)}, got {_short(actual)}")


def expect_error(function, kind):
    """Calls the function, fails unless it raises exactly this kind of error, and returns the error."""
    try:
        result = function()
    except Exception as error:
        if type(error) is not kind:
            raise AssertionError(f"expected {kind.__name__}, got {type(error).__name__}: {error}") from error
        return error
    raise AssertionError(f"expected {kind.__name__}, got the result {_short(result)}")


def expect_gone(pid):
    """Fails unless the process with this id ends soon."""
    for _ in range(200):
        if not _runs(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs after 10 s")


def expect_running(pid):
    """Fails unless there is a process with this id."""
    if not _runs(pid):
        raise AssertionError(f"process {pid} does not run")


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            # A zombie has ended: only its parent hasn't asked yet.
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _short(value):
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} … {text[-150:]} ({len(text)} characters)"


def arguments(**more):
    """The arguments that each script of a peer takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="a service that takes clear text")
    parser.add_argument("--tls-url", required=True, help="the same over TLS, with a self-signed certificate")
    parser.add_argument("--refusing-url", required=True, help="a service that takes no clear text")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", required=True)
    parser.add_argument("--folder", required=True, help="an empty folder for whatever the cases write")
    parser.add_argument("--powershell", action="store_true", help="the service finds a PowerShell")
    for name, text in more.items():
        parser.add_argument(f"--{name}", required=True, help=text)
    args = parser.parse_args()
    with open(args.password_file, encoding="utf-8") as file:
        args.password = file.read().rstrip("\n")
    # Nothing here may be sent through a proxy that the environment names.
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
    return args
