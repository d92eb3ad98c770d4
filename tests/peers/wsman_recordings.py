"""Our client against answers of real hosts, `winrm wsman` and what an independent reader makes of the same answers.

The answers are those of Windows Server 2003, 2008 and 2012 in txwinrm's source package, of a Windows host in pypsrp's, and of Dell's
iDRAC in python-dracclient's. Each request of ours is compared with what those clients send, which the hosts have taken.
"""

import argparse
import base64
import glob
import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET

import yaml
from cases import Cases, expect
from replay import Listening

parser = argparse.ArgumentParser()
parser.add_argument("--winrm", required=True, help="the program under test")
parser.add_argument("--sources", required=True, help="the folder with the unpacked source packages")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
cases = Cases()

WINDOWS = next(iter(glob.glob(os.path.join(args.sources, "txwinrm-*/txwinrm"))))
IDRAC = next(iter(glob.glob(os.path.join(args.sources, "python-dracclient-*/dracclient/tests/wsman_mocks"))))
PSRP = next(iter(glob.glob(os.path.join(args.sources, "pypsrp-*/tests/tests_pypsrp/responses"))))

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
ADDRESSING = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}"
ENUMERATION = "{http://schemas.xmlsoap.org/ws/2004/09/enumeration}"
WSMAN = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
DATES = ("Datetime", "Interval", "Date", "Time", "CIM_DateTime")


class Host(Listening):
    """Gives the answers in their order; keeps the requests."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.authorization = "Basic " + base64.b64encode(f"{args.user}:{password}".encode()).decode()

    def serve(self, _path, headers, body):
        if headers.get("Authorization") != self.authorization:
            return 401, b""
        self.requests.append(ET.fromstring(body))
        if not self.answers:
            # A list that was left: the answer to Release is empty.
            return 200, b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body/></s:Envelope>'
        answer = self.answers.pop(0)
        return (500 if b":Fault>" in answer else 200), answer

    def actions(self):
        return [request.findtext(f"{SOAP}Header/{ADDRESSING}Action").rpartition("/")[2] for request in self.requests]


def winrm(answers, *words):
    """What `winrm wsman WORDS` prints, its exit status, and the host that answered."""
    with Host(answers) as host:
        words = [host.url if word == "URL" else word for word in words]
        line = [args.winrm, "wsman", *words, "--user", args.user, "--connection-password-file", args.password_file]
        line += ["--transport", "basic", "--encryption", "never"]
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        ended = subprocess.run(line, capture_output=True, env=environment, timeout=50)
    return ended, host


def read(path):
    with open(path, "rb") as file:
        return file.read()


def local(element):
    return element.tag.rpartition("}")[2]


def value_of(element):
    """What the element says, by a reader of its own."""
    if element.get(NIL) == "true":
        return None
    children = list(element)
    if not children:
        return element.text or ""
    if len(children) == 1 and local(children[0]) in DATES:
        return children[0].text or ""
    return object_of(element)


def object_of(element):
    found = {}
    for child in element:
        found.setdefault(local(child), []).append(value_of(child))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def items_of(answer):
    body = ET.fromstring(answer).find(f"{SOAP}Body")[0]
    for part in body:
        if local(part) == "Items":
            return list(part)
    return []


def is_last(answer):
    body = ET.fromstring(answer).find(f"{SOAP}Body")[0]
    return any(local(part) == "EndOfSequence" for part in body)


def lists(*systems):
    """The recorded lists of Windows: a name, and the answers."""
    for system in systems or ("server_2003", "server_2008", "server_2012"):
        folder = os.path.join(WINDOWS, "test", "data", system)
        names = {re.sub(r"_\d+\.xml$", "", name) for name in os.listdir(folder) if name.endswith(".xml")}
        for name in sorted(names):
            yield f"{system} {name}", [read(path) for path in sorted(glob.glob(os.path.join(folder, f"{name}_*.xml")))]


def printed(ended):
    return [json.loads(line) for line in ended.stdout.decode().splitlines()]


def same_list(answers, *words):
    ended, host = winrm(answers, *words, "--format", "json")
    expect((ended.returncode, ended.stderr), (0, b""), "exit status and standard error")
    wanted = [object_of(item) for answer in answers for item in items_of(answer)]
    expect(printed(ended), wanted)
    expect(host.actions(), ["Enumerate"] + ["Pull"] * (len(answers) - 1))
    return host, wanted


def same_lists(system, least):
    counted, instances = 0, 0
    for name, answers in lists(system):
        if not is_last(answers[-1]) or any(is_last(answer) for answer in answers[:-1]):
            continue
        _, wanted = same_list(answers, "enumerate", "wmicimv2/" + name.split()[1].rpartition("_")[0], "URL")
        counted, instances = counted + 1, instances + len(wanted)
    print(f"      {counted} lists with {instances} instances")
    expect(counted >= least, True, f"{counted} lists")


@cases.case("every recorded list of Windows Server 2003 that has its end")
def _():
    same_lists("server_2003", 20)


@cases.case("every recorded list of Windows Server 2008 that has its end")
def _():
    same_lists("server_2008", 20)


@cases.case("every recorded list of Windows Server 2012 that has its end")
def _():
    same_lists("server_2012", 20)


def parts_of(request, part):
    return [local(element) for element in request.find(f"{SOAP}{part}")]


@cases.case("the requests of a list are those that Windows takes from txwinrm")
def _():
    name, answers = next((name, answers) for name, answers in lists() if len(answers) > 1 and is_last(answers[-1]))
    query = "select Name from Win32_Service where StartMode='Auto' and Name<>'a&b'"
    host, _ = same_list(answers, "enumerate", "wmicimv2/Win32_Service", "--filter", query, "URL")
    with open(os.path.join(WINDOWS, "request", "enumerate.xml"), encoding="utf-8") as file:
        theirs = ET.fromstring(file.read().format(resource_uri=f"{CIMV2}/*", wql=query.replace("&", "&amp;").replace("<", "&lt;")))
    ours = host.requests[0]
    expect(set(parts_of(theirs, "Header")) - set(parts_of(ours, "Header")), set(), "headers that are missing")
    mine, wanted = ours.find(f"{SOAP}Body")[0], theirs.find(f"{SOAP}Body")[0]
    said = lambda body: [(element.tag, element.attrib, (element.text or "").strip()) for element in body.iter()]
    expect(said(mine), said(wanted), "the body of Enumerate")
    expect(ours.findtext(f"{SOAP}Header/{WSMAN}ResourceURI"), f"{CIMV2}/*")
    context = ET.fromstring(answers[0]).find(f".//{ENUMERATION}EnumerationContext").text
    with open(os.path.join(WINDOWS, "request", "pull.xml"), encoding="utf-8") as file:
        theirs = ET.fromstring(file.read().format(resource_uri=f"{CIMV2}/*", enumeration_context=context))
    expect(said(host.requests[1].find(f"{SOAP}Body")[0]), said(theirs.find(f"{SOAP}Body")[0]), "the body of Pull")


@cases.case("a list that is left is released")
def _():
    _, answers = next((name, answers) for name, answers in lists() if len(answers) > 2)
    ended, host = winrm(answers[:1], "enumerate", "wmicimv2/Win32_Process", "URL", "--limit", "1", "--format", "json")
    expect((ended.returncode, len(printed(ended))), (0, 1))
    expect(host.actions(), ["Enumerate", "Release"])
    context = ET.fromstring(answers[0]).find(f".//{ENUMERATION}EnumerationContext").text
    expect(host.requests[1].find(f".//{ENUMERATION}EnumerationContext").text, context)


@cases.case("XML and text hold what JSON does")
def _():
    answers = next(answers for name, answers in lists() if name == "server_2012 Win32_OperatingSystem_star")
    wanted = object_of(items_of(answers[0])[0])
    ended, _ = winrm(answers, "enumerate", "wmicimv2/Win32_OperatingSystem", "URL", "--format", "xml")
    expect(object_of(ET.fromstring(ended.stdout)), wanted)
    ended, _ = winrm(answers, "enumerate", "wmicimv2/Win32_OperatingSystem", "URL")
    lines = ended.stdout.decode().splitlines()
    expect(lines[0], "Win32_OperatingSystem")
    for name, value in wanted.items():
        if value is None or isinstance(value, str) and value.strip():
            expect(f"    {name} = {'null' if value is None else value}" in lines, True, f"{name} = {value}")
    ended, _ = winrm(answers, "enumerate", "wmicimv2/Win32_OperatingSystem", "URL", "--format", "table")
    expect(ended.stdout.decode().split()[:4], ["CSName", "Caption", "Version", "LastBootUpTime"])


@cases.case("a quota's fault is a sentence with what to do")
def _():
    fault = read(os.path.join(WINDOWS, "test", "data_error", "max_concurrent.xml"))
    ended, _ = winrm([fault], "enumerate", "wmicimv2/Win32_Process", "URL")
    expect((ended.returncode, ended.stdout), (2, b""))
    said = ended.stderr.decode()
    expect("error: the host did not list wmicimv2/Win32_Process: " in said, True, said)
    expect("maximum number of 15 concurrent operations" in said and "0x803381A6" in said, True, said)
    expect("hint: " in said and "MaxConcurrentOperationsPerUser" in said, True, said)


FAULT = "{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault"


def faults():
    """The faults in all recordings of Windows, one of each number."""
    found = {}
    for path in sorted(glob.glob(os.path.join(PSRP, "test_*.yml"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if "WSManFault" not in text:
            continue
        for message in yaml.load(text, Loader=yaml.CSafeLoader)["messages"]:
            if "WSManFault" in (message["response"] or ""):
                detail = ET.fromstring(message["response"]).find(f".//{FAULT}")
                found[int(detail.get("Code"))] = message["response"].encode()
    return found


@cases.case("every fault that a Windows host has sent to pypsrp")
def _():
    found = faults()
    for number, answer in found.items():
        ended, _ = winrm([answer] * 8, "get", "winrm/config", "URL")
        said = ended.stderr.decode()
        # Access denied is not being let in.
        expect(ended.returncode, 4 if number == 5 else 2, f"{number:#x}: {said}")
        shown = f"0x{number:08X}" if number > 0xFFFF else str(number)
        expect("error: the host did not give winrm/config: " in said and f"(fault {shown})" in said, True, said)
        reason = "".join(ET.fromstring(answer).find(f".//{FAULT}").itertext()).strip()
        expect(said.split("winrm/config: ", 1)[1][:20] in reason, True, f"{said!r} has the host's words {reason!r}")
        explained = subprocess.run([args.winrm, "wsman", "helpmsg", str(number)], capture_output=True, timeout=50)
        expect(explained.returncode, 0, f"{number:#x} is known")
    print(f"      {', '.join(f'{number:#x}' for number in found)}")
    expect(len(found) >= 4, True, f"{len(found)} numbers")


def configurations():
    for name in ("150", "500", "4096"):
        with open(os.path.join(PSRP, f"test_wsman_update_envelope_size_{name}.yml"), encoding="utf-8") as file:
            yield name, yaml.safe_load(file)["messages"][0]


@cases.case("the configuration of a Windows host, with envelopes of three sizes")
def _():
    for size, message in configurations():
        answer = message["response"].encode()
        ended, host = winrm([answer], "get", "winrm/config", "URL", "--format", "json")
        expect((ended.returncode, ended.stderr), (0, b""))
        wanted = object_of(ET.fromstring(answer).find(f"{SOAP}Body")[0])
        expect(printed(ended), [wanted])
        expect(wanted["MaxEnvelopeSizekb"], size, "the recording")
        theirs, ours = ET.fromstring(message["request"]), host.requests[0]
        for name in (f"{ADDRESSING}Action", f"{WSMAN}ResourceURI"):
            expect(ours.findtext(f"{SOAP}Header/{name}"), theirs.findtext(f"{SOAP}Header/{name}"))
        expect(set(parts_of(theirs, "Header")) - set(parts_of(ours, "Header")), set(), "headers that are missing")
        expect(len(ours.find(f"{SOAP}Body")), 0, "elements in the body of Get")


@cases.case("a setting is changed in what the host gave, and all else is sent back as it was")
def _():
    _, message = next(configurations())
    answer = message["response"].encode()
    ended, host = winrm([answer, answer], "set", "winrm/config", "maxtimeoutms=90000", "URL")
    expect(ended.returncode, 0, ended.stderr)
    expect(host.actions(), ["Get", "Put"])
    given = ET.fromstring(answer).find(f"{SOAP}Body")[0]
    sent = host.requests[1].find(f"{SOAP}Body")[0]
    wanted = object_of(given)
    wanted["MaxTimeoutms"] = "90000"
    expect(object_of(sent), wanted)
    expect([element.tag for element in sent.iter()], [element.tag for element in given.iter()], "names and namespaces")
    ended, host = winrm([answer], "set", "winrm/config", "MaxTimeout=1", "URL")
    expect((ended.returncode, host.actions()), (1, ["Get"]))
    expect(b"winrm/config has no property MaxTimeout" in ended.stderr and b"MaxTimeoutms" in ended.stderr, True, ended.stderr)


@cases.case("every recorded list of an iDRAC")
def _():
    counted = 0
    for path in sorted(glob.glob(os.path.join(IDRAC, "*-enum-*.xml"))):
        answer = read(path)
        if not is_last(answer):
            continue
        class_name = re.search(rb'"(http://schemas.(?:dell.com|dmtf.org)/wbem/wscim/1/cim-schema/2/[A-Za-z_]+)"', answer)
        uri = class_name[1].decode() if class_name else "cimv2/DCIM_Unknown"
        same_list([answer], "enumerate", uri, "URL")
        counted += 1
    print(f"      {counted} lists")
    expect(counted >= 30, True, f"{counted} lists")


@cases.case("a list in four answers, the first two of which stand in two namespaces")
def _():
    answers = [read(os.path.join(IDRAC, f"wsman-enum_context-{number}.xml")) for number in (1, 2, 3, 4)]
    host, wanted = same_list(answers, "enumerate", "http://FooResource", "URL", "--max-elements", "2")
    expect([item["InstanceID"] for item in wanted], ["1", "2", "3", "4", "5"], "the recording")
    expect(host.requests[3].find(f".//{ENUMERATION}MaxElements").text, "2")


@cases.case("methods of an iDRAC: what they give, and a failure by the return value")
def _():
    counted = 0
    for path in sorted(glob.glob(os.path.join(IDRAC, "*.xml"))):
        answer = read(path)
        body = ET.fromstring(answer).find(f"{SOAP}Body")
        if len(body) != 1 or not local(body[0]).endswith("_OUTPUT"):
            continue
        output = object_of(body[0])
        method = local(body[0])[: -len("_OUTPUT")]
        uri = body[0].tag[1:].partition("}")[0]
        words = ["invoke", method, uri, "Target=RAID.Integrated.1-1", "AttributeName=a", "AttributeName=b", "URL"]
        ended, host = winrm([answer], *words, "--format", "json")
        failed = output.get("ReturnValue") not in ("0", "4096")
        expect(ended.returncode, 2 if failed else 0, f"{os.path.basename(path)}: {ended.stderr!r}")
        expect(len(printed(ended)), 1)
        flat = lambda found: {name: value for name, value in found.items() if not isinstance(value, (dict, list))}
        expect(flat(printed(ended)[0]), flat(output), os.path.basename(path))
        if failed:
            expect(f"{method} of ".encode() in ended.stderr and f"returned {output['ReturnValue']}".encode() in ended.stderr, True, ended.stderr)
        sent = host.requests[0]
        expect(sent.findtext(f"{SOAP}Header/{ADDRESSING}Action"), f"{uri}/{method}")
        input_of = sent.find(f"{SOAP}Body")[0]
        expect(input_of.tag, f"{{{uri}}}{method}_INPUT")
        expect(
            [(element.tag, element.text) for element in input_of],
            [(f"{{{uri}}}Target", "RAID.Integrated.1-1"), (f"{{{uri}}}AttributeName", "a"), (f"{{{uri}}}AttributeName", "b")],
        )
        counted += 1
    print(f"      {counted} calls")
    expect(counted >= 15, True, f"{counted} calls")


cases.finish()
