"""Our module's own ways with Kerberos: key tables, realms, names, threads and forks."""

import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cases import Cases, arguments, expect, expect_error

import winrm
from winrm.vendor.requests_kerberos.exceptions import KerberosExchangeError

args = arguments(config="krb5.conf", ccache="a cache with a ticket of the principal", principal="whose", keytab="with a key of this principal", owner="whose that is")
cases = Cases()
os.environ["KRB5_CONFIG"] = args.config
os.environ["KRB5CCNAME"] = NOBODY = "FILE:" + os.path.join(os.path.abspath(args.folder), "no-such-cache")


def session(user=args.principal, host="localhost", **options):
    url = args.refusing_url.replace("127.0.0.1", host)
    return winrm.Session(url, auth=(user, None), transport="kerberos", **options)


def echo(used):
    expect(used.run_cmd("echo hello").std_out, b"hello\n")


@cases.case("a key table in place of a ticket")
def _():
    echo(session(args.owner, keytab=args.keytab))


@cases.case("the first key of a key table, where nobody is named")
def _():
    echo(session("", keytab=args.keytab))


@cases.case("a realm beside a plain name")
def _():
    name, realm = args.owner.split("@")
    echo(session(name, keytab=args.keytab, realm=realm))


@cases.case("a principal whose key isn't there")
def _():
    error = expect_error(lambda: echo(session("nobody@WINRM.TEST", keytab=args.keytab)), KerberosExchangeError)
    expect(bool(error.hint), True, f"a hint beside {error}")


@cases.case("the cache that the environment names at the time")
def _():
    used = session()
    expect_error(lambda: echo(used), KerberosExchangeError)
    os.environ["KRB5CCNAME"] = args.ccache
    echo(used)


@cases.case("another name of the host, and another service")
def _():
    expect_error(lambda: echo(session(kerberos_hostname_override="elsewhere.example")), KerberosExchangeError)
    echo(session(host="127.0.0.1", kerberos_hostname_override="localhost"))
    echo(session(service="WSMAN"))
    expect_error(lambda: echo(session(service="nothing")), KerberosExchangeError)


@cases.case("16 threads share a session, and two forked processes")
def _():
    used, failures = session(), []

    def work():
        try:
            for _ in range(3):
                echo(used)
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(failures, [])
    for _ in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                echo(used)
                status = 0
            finally:
                os._exit(status)
        expect(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "the child's exit status")
    echo(used)


cases.finish()
