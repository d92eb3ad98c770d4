"""Commands over pypsrp's WinRS, and the cases of encrypted messages that every mechanism has."""

import hashlib
import os

from pypsrp.exceptions import WSManFaultError
from pypsrp.shell import Process, SignalCode, WinRS

from cases import expect, expect_error

NOT_AN_ID = "11111111-2222-3333-4444-555555555555"
NO_SUCH_SHELL_OR_COMMAND = 2150858843


def invoke(shell, line, stdin=None):
    process = Process(shell, line)
    process.begin_invoke()
    for number, piece in enumerate(stdin or [], 1):
        process.send(piece, end=number == len(stdin))
    process.end_invoke()
    process.signal(SignalCode.CTRL_C)
    return process.stdout, process.stderr, process.rc


def run(wsman, line, stdin=None):
    """Runs one command in its own shell."""
    with WinRS(wsman) as shell:
        return invoke(shell, line, stdin)


def encrypted(cases, way, client, args, lines, piece):
    """The cases for the connections that `client(url, **options)` makes: so many lines of output, pieces of so many bytes of input."""

    @cases.case(f"{way}: output, standard error, exit code")
    def _():
        expect(run(client(), "echo out; echo err >&2; exit 7"), (b"out\n", b"err\n", 7))

    @cases.case(f"{way}: bodies of many lengths")
    def _():
        with WinRS(client()) as shell:
            for length in range(1, 35):
                expect(invoke(shell, f"printf %0{length}d 7"), (b"7".rjust(length, b"0"), b"", 0))

    @cases.case(f"{way}: {lines} lines of output")
    def _():
        wanted = b"".join(b"%d\n" % number for number in range(1, lines + 1))
        expect(run(client(), f"seq 1 {lines}"), (wanted, b"", 0))

    @cases.case(f"{way}: three pieces of standard input, {piece} bytes each")
    def _():
        pieces = [os.urandom(piece) for _ in range(3)]
        wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
        expect(run(client(), "sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))

    @cases.case(f"{way}: a fault is encrypted too, and the connection goes on")
    def _():
        with WinRS(client()) as shell:
            process = Process(shell, "cat")
            process.begin_invoke()
            known, process.id = process.id, NOT_AN_ID
            expect(expect_error(process.poll_invoke, WSManFaultError).code, NO_SUCH_SHELL_OR_COMMAND)
            process.id = known
            process.signal(SignalCode.CTRL_C)
            expect(invoke(shell, "echo after"), (b"after\n", b"", 0))

    @cases.case(f"{way}: https, encrypted inside as well")
    def _():
        wsman = client(args.tls_url, cert_validation=args.certificate, encryption="always")
        expect(run(wsman, "echo twice; exit 9"), (b"twice\n", b"", 9))
