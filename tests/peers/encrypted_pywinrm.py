"""Commands over pywinrm, and the cases of encrypted messages that every mechanism has."""

import hashlib
import os

from winrm.exceptions import WSManFaultError

from cases import expect, expect_error

NOT_AN_ID = "11111111-2222-3333-4444-555555555555"


def run(client, line, stdin=None):
    """Runs one command in its own shell."""
    shell = client.open_shell(codepage=65001)
    try:
        command = client.run_command(shell, line, console_mode_stdin=stdin is None)
        for number, piece in enumerate(stdin or [], 1):
            client.send_command_input(shell, command, piece, end=number == len(stdin))
        result = client.get_command_output(shell, command)
        client.cleanup_command(shell, command)
        return result
    finally:
        client.close_shell(shell)


def encrypted(cases, way, client, args, lines, piece):
    """The cases for the clients that `client(url, **options)` makes: so many lines of output, pieces of so many bytes of input."""

    @cases.case(f"{way}: output, standard error, exit code")
    def _():
        expect(run(client(), "echo out; echo err >&2; exit 7"), (b"out\n", b"err\n", 7))

    @cases.case(f"{way}: bodies of many lengths")
    def _():
        # The length of what is sealed goes through every remainder of a cipher's block.
        connected = client()
        shell = connected.open_shell()
        for length in range(1, 35):
            command = connected.run_command(shell, f"printf %0{length}d 7")
            expect(connected.get_command_output(shell, command), (b"7".rjust(length, b"0"), b"", 0))
        connected.close_shell(shell)

    @cases.case(f"{way}: {lines} lines of output")
    def _():
        wanted = b"".join(b"%d\n" % number for number in range(1, lines + 1))
        expect(run(client(), f"seq 1 {lines}"), (wanted, b"", 0))

    @cases.case(f"{way}: three pieces of standard input, {piece} bytes each")
    def _():
        pieces = [os.urandom(piece) for _ in range(3)]
        wanted = hashlib.sha256(b"".join(pieces)).hexdigest()
        expect(run(client(), "sha256sum", stdin=pieces), (f"{wanted}  -\n".encode(), b"", 0))

    @cases.case(f"{way}: several commands in a shell")
    def _():
        connected = client()
        shell = connected.open_shell(env_vars={"WINRM_A": "kept"})
        for number in range(10):
            command = connected.run_command(shell, f'echo "$WINRM_A {number}"; exit {number}')
            expect(connected.get_command_output(shell, command), (b"kept %d\n" % number, b"", number))
            connected.cleanup_command(shell, command)
        connected.close_shell(shell)

    @cases.case(f"{way}: a fault is encrypted too")
    def _():
        error = expect_error(lambda: client().run_command(NOT_AN_ID, "echo no"), WSManFaultError)
        expect((error.code, error.wsman_fault_code), (500, 2150858843))

    @cases.case(f"{way}: https")
    def _():
        connected = client(args.tls_url, ca_trust_path=args.certificate)
        expect(run(connected, "echo over TLS; exit 9"), (b"over TLS\n", b"", 9))

    @cases.case(f"{way}: https, encrypted inside as well")
    def _():
        connected = client(args.tls_url, ca_trust_path=args.certificate, message_encryption="always")
        expect(run(connected, "echo twice; exit 9"), (b"twice\n", b"", 9))
