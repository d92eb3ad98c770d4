"""Reads a JUnit report as those do who show it. Prints its cases as the other scripts do."""

import sys

from junitparser import Error, Failure, JUnitXml

passed = failed = 0


def case(name, is_right):
    global passed, failed
    print(f"{'ok' if is_right else 'FAILED'}: {name}")
    if is_right:
        passed += 1
    else:
        failed += 1


report = JUnitXml.fromfile(sys.argv[1])
suites = list(report)
case("one suite", len(suites) == 1)
cases = {one.name: one for one in suites[0]}
case("a case for each host", sorted(cases) == ["dead", "web1", "web2"])
case("counts", (suites[0].tests, suites[0].failures, suites[0].errors, suites[0].skipped) == (3, 2, 1, 0))
case("counts of the whole", (report.tests, report.failures, report.errors) == (3, 2, 1))
case("a failed host is a failure", [type(one) for one in cases["web1"].result] == [Failure])
case("its exit code", cases["web1"].result[0].message == "exit code 1")
case("its output, with what XML can't carry replaced", cases["web1"].system_out == "<a&b>\ufffd]]>\n")
case("an unreachable host is an error", [type(one) for one in cases["dead"].result] == [Error])
case("times", all(one.time is not None for one in cases.values()))
print(f"{passed} cases passed, {failed} failed")
sys.exit(failed != 0)
