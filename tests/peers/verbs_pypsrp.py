"""pypsrp's WSMan as a client of our service: its configuration, classes and lists, in sealed messages."""

import argparse
import os
import urllib.parse
import uuid
import warnings
import xml.etree.ElementTree as ET

from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import NAMESPACES, SelectorSet, WSMan

from cases import Cases, expect, expect_error, expect_gone, expect_running

CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"

warnings.simplefilter("ignore")
parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True, help="the listener without TLS, which takes no clear text")
parser.add_argument("--tls-url", required=True)
parser.add_argument("--certificate", required=True, help="the service's certificate")
parser.add_argument("--client", required=True, help="PREFIX of a client's certificate and key")
parser.add_argument("--issuer", required=True, help="its authority's thumbprint")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
parser.add_argument("--free-port", type=int, required=True)
parser.add_argument("--recordings", help="pypsrp's own recordings of Windows hosts")
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)
cases = Cases()


def connect(url=args.url, user=args.user, **options):
    parts = urllib.parse.urlsplit(url)
    ssl = parts.scheme == "https"
    options = {"auth": "ntlm", "encryption": "auto" if ssl else "always", "no_proxy": True, **options}
    if ssl:
        options.setdefault("cert_validation", args.certificate)
    if options["auth"] != "certificate":
        options.update(username=user, password=password)
    return WSMan(parts.hostname, port=parts.port, ssl=ssl, path="wsman", **options)


wsman = connect()


def selectors(**keys):
    chosen = SelectorSet()
    for name, value in keys.items():
        chosen.add_option(name, value)
    return chosen


def element(uri, name, **values):
    made = ET.Element(f"{{{uri}}}{name}")
    for key, value in values.items():
        ET.SubElement(made, f"{{{uri}}}{key}").text = value
    return made


def config(part, client=None):
    body = (client or wsman).get_server_config(f"config/{part}" if part else "config")
    return {child.tag.rpartition("}")[2]: child.text or "" for child in body[0].iter()}


def put(part, client=None, **values):
    uri = f"{CONFIG}/{part}"
    name = part.rpartition("/")[2]
    return (client or wsman).put(uri, element(uri, name[0].upper() + name[1:], **values))[0]


def put_whole(**values):
    changed = wsman.put(CONFIG, element(CONFIG, "Config", **values))[0]
    return changed.find(f"{{{CONFIG}}}{list(values)[0]}").text


def fault(function):
    error = expect_error(function, WSManFaultError)
    return error.code


def enumerate_all(uri, query=None, optimized=True, most=None):
    """All items of a list, and the number of answers that it took."""
    body = ET.Element(f"{{{ENUMERATION}}}Enumerate")
    if optimized:
        ET.SubElement(body, f"{{{WSMAN}}}OptimizeEnumeration")
    if most:
        ET.SubElement(body, f"{{{WSMAN}}}MaxElements").text = str(most)
    if query:
        ET.SubElement(body, f"{{{WSMAN}}}Filter", Dialect=WQL).text = query
    answer = wsman.enumerate(uri, body)[0]
    items, answers = [], 1
    while True:
        for namespace in (WSMAN, ENUMERATION):
            items.extend(answer.findall(f"{{{namespace}}}Items/*"))
        if any(answer.find(f"{{{namespace}}}EndOfSequence") is not None for namespace in (WSMAN, ENUMERATION)):
            return items, answers
        pull = ET.Element(f"{{{ENUMERATION}}}Pull")
        context = answer.find(f"{{{ENUMERATION}}}EnumerationContext").text
        ET.SubElement(pull, f"{{{ENUMERATION}}}EnumerationContext").text = context
        if most:
            ET.SubElement(pull, f"{{{ENUMERATION}}}MaxElements").text = str(most)
        answer = wsman.pull(uri, pull)[0]
        answers += 1


def invoke(method, name, keys=None, **parameters):
    """Calls a method, and gives what it says."""
    body = element(f"{CIMV2}/{name}", f"{method}_INPUT", **parameters)
    answer = wsman.invoke(f"{CIMV2}/{name}/{method}", f"{CIMV2}/{name}", body, None, keys)
    output = answer.find("s:Body", namespaces=NAMESPACES)[0]
    expect(output.tag, f"{{{CIMV2}/{name}}}{method}_OUTPUT")
    return {child.tag.rpartition("}")[2]: child.text for child in output}


def invoke_bytes(method, uri, descriptor=()):
    """Calls a method that takes or gives a security descriptor, each byte an element."""
    body = ET.Element(f"{{{uri}}}{method}_INPUT")
    for byte in descriptor:
        ET.SubElement(body, f"{{{uri}}}SD").text = str(byte)
    answer = wsman.invoke(f"{uri}/{method}", uri, body)
    output = answer.find("s:Body", namespaces=NAMESPACES)[0]
    expect(output.find(f"{{{uri}}}ReturnValue").text, "0")
    return bytes(int(one.text) for one in output.findall(f"{{{uri}}}SD"))


def run(client, line):
    with WinRS(client) as shell:
        process = Process(shell, line)
        process.invoke()
        return process.stdout, process.rc


def shape(element, path=""):
    """All names in an element with their namespaces, in order."""
    path = f"{path}/{element.tag}"
    yield path
    for child in element:
        yield from shape(child, path)


def recorded():
    """What a Windows host said of its configuration."""
    with open(os.path.join(args.recordings, "test_wsman_update_envelope_size_500.yml"), encoding="utf-8") as file:
        text = file.read()
    text = text[text.index("<s:Envelope", text.index("response:")) :]
    text = text[: text.index("</s:Envelope>") + len("</s:Envelope>")]
    return ET.fromstring(text).find("s:Body", namespaces=NAMESPACES)[0]


@cases.case("the configuration has the form of Windows' own", run=bool(args.recordings))
def _():
    ours = wsman.get_server_config()[0]
    expect(list(shape(ours)), list(shape(recorded())))


@cases.case("Windows' own configuration can be put, as far as this service can be so", run=bool(args.recordings))
def _():
    theirs = recorded()
    for name, value in [("Kerberos", "false"), ("Certificate", "true")]:
        theirs.find(f"{{{CONFIG}}}Service/{{{CONFIG}}}Auth/{{{CONFIG}}}{name}").text = value
    changed = wsman.put(CONFIG, theirs)[0]
    expect([(one.tag, one.text or "") for one in changed.iter()], [(one.tag, one.text or "") for one in theirs.iter()])


@cases.case("the size of envelopes is read, changed and in effect")
def _():
    wsman.update_max_payload_size()
    expect(wsman.max_envelope_size, 500 * 1024)
    expect(put_whole(MaxEnvelopeSizekb="150"), "150")
    other = connect()
    other.update_max_payload_size()
    expect(other.max_envelope_size, 150 * 1024)
    expect(put_whole(MaxEnvelopeSizekb="500"), "500")


@cases.case("a part of a part")
def _():
    expect(config("service/auth")["CbtHardeningLevel"], "Relaxed")
    expect(config("winrs")["IdleTimeout"], "7200000")


@cases.case("what is out of range, unknown, read-only or no descriptor")
def _():
    expect(fault(lambda: put("winrs", IdleTimeout="1000")), 0x80338041)
    expect(fault(lambda: put("winrs", Colour="red")), 0x80338041)
    expect(fault(lambda: put("winrs", MaxShellRunTime="1")), 0x8033813F)
    expect(fault(lambda: put("service", RootSDDL="D:(nonsense)")), 0x8033815C)
    expect(fault(lambda: wsman.get(f"{CONFIG}/nothing")), 0x8033803B)


@cases.case("a quota is in effect for the next shell")
def _():
    put("winrs", MaxShellsPerUser="1")
    with WinRS(wsman):
        expect(fault(WinRS(connect()).open), 0x803381A5)
    put("winrs", MaxShellsPerUser="0")


@cases.case("a channel binding that is required is asked for on the next connection")
def _():
    unbound = {"negotiate_send_cbt": False}
    expect(run(connect(args.tls_url, **unbound), "echo unbound"), (b"unbound\n", 0))
    put("service/auth", CbtHardeningLevel="Strict")
    expect_error(lambda: config("", connect(args.tls_url, **unbound)), AuthenticationError)
    expect(run(connect(args.tls_url), "echo bound"), (b"bound\n", 0))
    put("service/auth", CbtHardeningLevel="Relaxed")
    expect(run(connect(args.tls_url, **unbound), "echo unbound"), (b"unbound\n", 0))


@cases.case("Basic is switched off and on over https")
def _():
    client = connect(args.tls_url, auth="basic")
    expect(config("winrs", client)["IdleTimeout"], "7200000")
    put("service/auth", Basic="false")
    expect_error(lambda: config("winrs", client), AuthenticationError)
    put("service/auth", Basic="true")
    expect(config("winrs", connect(args.tls_url, auth="basic"))["IdleTimeout"], "7200000")


@cases.case("clear text is allowed, and isn't any more")
def _():
    def clear():
        return connect(auth="basic", encryption="never")

    expect_error(lambda: config("winrs", clear()), AuthenticationError)
    put("service", AllowUnencrypted="true")
    expect(config("winrs", clear())["IdleTimeout"], "7200000")
    put("service", AllowUnencrypted="false")
    expect_error(lambda: config("winrs", clear()), AuthenticationError)


LISTENER = f"{CONFIG}/listener"


@cases.case("a listener is created, used, changed and deleted")
def _():
    keys = selectors(Address="IP:127.0.0.3", Transport="HTTP")
    created = wsman.create(LISTENER, element(LISTENER, "Listener", Port=str(args.free_port)), selector_set=keys)
    chosen = created.findall(".//wsman:Selector", namespaces=NAMESPACES)
    expect([(one.get("Name"), one.text) for one in chosen], [("Address", "IP:127.0.0.3"), ("Transport", "HTTP")])
    through = f"http://127.0.0.3:{args.free_port}"
    expect(run(connect(through), "echo through"), (b"through\n", 0))
    changed = wsman.put(LISTENER, element(LISTENER, "Listener", Hostname="three"), selector_set=keys)[0]
    expect(changed.find(f"{{{LISTENER}}}Hostname").text, "three")
    expect(fault(lambda: connect(through).delete(LISTENER, selector_set=keys)), 0x80338032)
    expect(fault(lambda: wsman.create(LISTENER, element(LISTENER, "Listener"), selector_set=keys)), 0x80338033)
    wsman.delete(LISTENER, selector_set=keys)
    expect(fault(lambda: wsman.get(LISTENER, selector_set=keys)), 0x80338000)
    listeners, _ = enumerate_all(LISTENER, most=10)
    expect([one.find(f"{{{LISTENER}}}Transport").text for one in listeners], ["HTTP", "HTTPS"])


MAPPING = f"{CONFIG}/service/certmapping"


@cases.case("a certificate is mapped, let in, restricted to a resource, and no longer let in")
def _():
    def client():
        files = {"certificate_pem": f"{args.client}.pem", "certificate_key_pem": f"{args.client}.key"}
        return connect(args.tls_url, auth="certificate", **files)

    expect_error(lambda: config("winrs", client()), AuthenticationError)
    keys = selectors(URI="*", Subject="alice@*", Issuer=args.issuer.lower())
    wrong = element(MAPPING, "CertMapping", UserName=args.user, Password="wrong")
    expect(fault(lambda: wsman.create(MAPPING, wrong, selector_set=keys)), 0x80338154)
    right = element(MAPPING, "CertMapping", UserName=args.user, Password=password)
    wsman.create(MAPPING, right, selector_set=keys)
    mappings, _ = enumerate_all(MAPPING, most=10)
    expect([one.find(f"{{{MAPPING}}}Password").text for one in mappings], [None] * len(mappings))
    expect(config("winrs", client())["IdleTimeout"], "7200000")
    expect(run(client(), "echo by certificate"), (b"by certificate\n", 0))
    wsman.put(MAPPING, element(MAPPING, "CertMapping", Enabled="false"), selector_set=keys)
    expect_error(lambda: config("winrs", client()), AuthenticationError)
    wsman.delete(MAPPING, selector_set=keys)

    keys = selectors(URI=f"{SHELL}/*", Subject="*@localhost", Issuer=args.issuer)
    wsman.create(MAPPING, right, selector_set=keys)
    expect(run(client(), "echo shells alone"), (b"shells alone\n", 0))
    expect(fault(lambda: config("winrs", client())), 5)
    wsman.delete(MAPPING, selector_set=keys)
    expect_error(lambda: config("winrs", client()), AuthenticationError)


@cases.case("the operating system")
def _():
    system = wsman.get(f"{CIMV2}/Win32_OperatingSystem")[0]
    found = {child.tag.rpartition("}")[2]: child for child in system}
    expect(found["CSName"].text, os.uname().nodename)
    booted = found["LastBootUpTime"][0]
    expect(booted.tag, "{http://schemas.dmtf.org/wbem/wscim/1/common}Datetime")
    with open("/proc/stat", encoding="ascii") as stat:
        seconds = next(int(line.split()[1]) for line in stat if line.startswith("btime "))
    from datetime import datetime, timezone

    expect(datetime.fromisoformat(booted.text.replace("Z", "+00:00")), datetime.fromtimestamp(seconds, timezone.utc))


@cases.case("a process is created, found by a query, and terminated")
def _():
    made = invoke("Create", "Win32_Process", CommandLine="sleep 4321")
    expect(made["ReturnValue"], "0")
    process = int(made["ProcessId"])
    expect_running(process)
    query = f"SELECT CommandLine, Handle FROM Win32_Process WHERE CommandLine LIKE 'sleep 43__' AND ProcessId = {process}"
    found, _ = enumerate_all(f"{CIMV2}/*", query, most=5)
    expect([[(child.tag, child.text) for child in one] for one in found], [[("CommandLine", "sleep 4321"), ("Handle", str(process))]])
    ended = invoke("Terminate", "Win32_Process", selectors(Handle=str(process)), Reason="0")
    expect(ended["ReturnValue"], "0")
    expect_gone(process)


@cases.case("a list comes one by one, by pages, and at once")
def _():
    query = "SELECT * FROM Win32_Process"
    one_by_one, answers = enumerate_all(f"{CIMV2}/Win32_Process", optimized=False)
    expect(answers > len(one_by_one) > 1, True)
    by_pages, answers = enumerate_all(f"{CIMV2}/*", query, most=3)
    expect(answers >= len(by_pages) // 3, True)
    at_once, answers = enumerate_all(f"{CIMV2}/*", query, most=32000)
    expect(any(one.find(f"{{{CIMV2}/Win32_Process}}ProcessId").text == str(os.getpid()) for one in at_once), True)


@cases.case("a query that is wrong, and a class that isn't there")
def _():
    error = expect_error(lambda: enumerate_all(f"{CIMV2}/*", "SELECT * FROM Win32_Process WHERE"), WSManFaultError)
    expect((error.code, "the name of a property is missing" in str(error)), (0x8033801A, True))
    expect(fault(lambda: wsman.get(f"{CIMV2}/Win32_Nothing")), 0x80041010)
    pull = ET.Element(f"{{{ENUMERATION}}}Pull")
    ET.SubElement(pull, f"{{{ENUMERATION}}}EnumerationContext").text = f"uuid:{uuid.uuid4()}"
    expect(fault(lambda: wsman.pull(f"{CIMV2}/Win32_Process", pull)), 0x8033801B)


@cases.case("open shells are listed, and deleted by their ids")
def _():
    shell = WinRS(wsman)
    shell.open()
    listed, _ = enumerate_all(SHELL, most=10)
    ids = {one.find(f"{{{SHELL}}}ShellId").text: one for one in listed}
    found = ids[str(shell.id).upper()]
    expect(found.find(f"{{{SHELL}}}Owner").text, args.user)
    expect(found.find(f"{{{SHELL}}}State").text, "Connected")
    wsman.delete(SHELL, selector_set=selectors(ShellId=str(shell.id)))
    listed, _ = enumerate_all(SHELL, most=10)
    expect(str(shell.id).upper() in {one.find(f"{{{SHELL}}}ShellId").text for one in listed}, False)


@cases.case("an operator may do what RootSDDL says, from the next request on")
def _():
    operator = connect(user="operator")
    expect(fault(lambda: run(operator, "echo no")), 5)
    default = config("service")["RootSDDL"]
    put("service", RootSDDL="O:NSG:BAD:P(A;;GA;;;BA)(A;;GXGR;;;RM)")
    expect(run(operator, "echo yes"), (b"yes\n", 0))
    expect(fault(lambda: config("service", operator)), 5)
    put("service", RootSDDL=default)
    expect(fault(lambda: run(operator, "echo no")), 5)


@cases.case("WMI has a gate of its own: the namespace's descriptor")
def _():
    default = config("service")["RootSDDL"]
    put("service", RootSDDL="O:NSG:BAD:P(A;;GA;;;BA)(A;;GXGR;;;RM)")
    operator = connect(user="operator")
    system = f"{CIMV2}/Win32_OperatingSystem"
    expect(fault(lambda: operator.get(system)), 0x80041003)
    security = f"{CIMV2}/__SystemSecurity"
    descriptor = invoke_bytes("GetSD", security)
    # S-1-5-11 as bytes; in front of it stands the mask of its entry.
    place = descriptor.rindex(bytes([1, 1, 0, 0, 0, 0, 0, 5, 11, 0, 0, 0]))
    # What Authenticated Users may: to enable the account (1), to execute methods (2), over the network (0x20).
    opened = descriptor[: place - 4] + bytes([0x23, 0, 0, 0]) + descriptor[place:]
    invoke_bytes("SetSD", security, opened)
    expect(operator.get(system)[0].tag, f"{{{system}}}Win32_OperatingSystem")
    invoke_bytes("SetSD", security, descriptor)
    expect(fault(lambda: operator.get(system)), 0x80041003)
    put("service", RootSDDL=default)


@cases.case("Negotiate and NTLM go with their switch")
def _():
    put("service/auth", Negotiate="false")
    expect_error(lambda: config("", connect()), AuthenticationError)
    basic = connect(args.tls_url, auth="basic")
    put("service/auth", basic, Negotiate="true")
    expect(config("winrs", connect())["IdleTimeout"], "7200000")


cases.finish()
