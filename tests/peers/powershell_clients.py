"""pywinrm and pypsrp run PowerShell on our service, over http with NTLM and over https with Basic authentication."""

import base64
import urllib.parse
import warnings

import winrm
from pypsrp.client import Client
from pypsrp.shell import Process, WinRS

from cases import Cases, arguments, expect

warnings.simplefilter("ignore")
args = arguments(certificate="the certificate of the service with TLS")
cases = Cases()

# Longer than cmd takes with what stands around it in base64 would be another 1,000 characters.
LONG = "$sum = 0\n" + "".join(f"$sum += {number}\n" for number in range(190)) + "$sum"


def encoded(script):
    return base64.b64encode(script.encode("utf-16-le")).decode()


for way, url, transport in [("http, NTLM", args.url, "ntlm"), ("https, Basic", args.tls_url, "basic")]:
    session = winrm.Session(url, auth=(args.user, args.password), transport=transport, server_cert_validation="ignore")
    address = urllib.parse.urlsplit(url)
    client = Client(
        address.hostname,
        port=address.port,
        ssl=address.scheme == "https",
        username=args.user,
        password=args.password,
        auth="ntlm" if transport == "ntlm" else "basic",
        cert_validation=False,
        no_proxy=True,
    )

    @cases.case(f"pywinrm, {way}: run_ps, any character and an exit code")
    def _():
        result = session.run_ps("Write-Output \"grün 'こんにちは' 🦀 $(1 + 1)\"; exit 3")
        expect((result.std_out.decode(), result.status_code), ("grün 'こんにちは' 🦀 2\r\n", 3))

    @cases.case(f"pywinrm, {way}: run_ps, errors as text")
    def _():
        result = session.run_ps("Write-Error 'an error'; throw 'the end'")
        said = result.std_err.decode()
        expect(("an error" in said, "the end" in said, "CLIXML" in said, result.status_code), (True, True, False, 1))

    @cases.case(f"pywinrm, {way}: run_ps, a script of {len(LONG)} characters")
    def _():
        result = session.run_ps(LONG)
        expect((result.std_out.decode(), result.status_code), (f"{sum(range(190))}\r\n", 0))

    @cases.case(f"pywinrm, {way}: run_cmd calls PowerShell as people do")
    def _():
        result = session.run_cmd("powershell.exe", ["-NoProfile", "-Command", '"$x = 5; \'a b\' + $x"'])
        expect((result.std_out.decode(), result.status_code), ("a b5\r\n", 0))

    @cases.case(f"pypsrp, {way}: execute_cmd calls PowerShell")
    def _():
        out, err, code = client.execute_cmd(f"PowerShell -NoProfile -EncodedCommand {encoded('Write-Output ok; exit 9')}")
        expect((out, code), ("ok\r\n", 9))

    @cases.case(f"pypsrp, {way}: standard input reaches a script")
    def _():
        with WinRS(client.wsman) as shell:
            script = "$count = 0; $input | ForEach-Object { $count += $_.Length }; $count"
            process = Process(shell, f"powershell -EncodedCommand {encoded(script)}")
            process.begin_invoke()
            process.send(b"x" * 100_000 + b"\n", end=False)
            process.send(b"y" * 100_000 + b"\n", end=True)
            process.end_invoke()
            expect((process.stdout, process.rc), (b"200000\r\n", 0))

    @cases.case(f"pypsrp, {way}: chcp")
    def _():
        out, _, code = client.execute_cmd("chcp.com 65001")
        expect((out, code), ("Active code page: 65001\r\n", 0))


cases.finish()
