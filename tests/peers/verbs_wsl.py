"""Debian's wsl, scripts of bash around curl, as a client of our service."""

import argparse
import os
import subprocess
import xml.etree.ElementTree as ET

from cases import Cases, expect, expect_gone, expect_running

CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"

parser = argparse.ArgumentParser()
parser.add_argument("--address", required=True, help="HOST:PORT of a listener that takes clear text")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
parser.add_argument("--folder", required=True, help="an empty folder, where it writes all that it sends and gets")
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
cases = Cases()


def wsl(*words):
    """Runs one of its programs; gives the answers that it got."""
    for name in os.listdir(args.folder):
        if name.endswith(".xml"):
            os.remove(os.path.join(args.folder, name))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": args.folder,
        "WSENDPOINT": args.address,
        "WSUSER": args.user,
        "WSPASS": password,
        "WSNOSSL": "true",
        "WSDONTASK": "y",
        "IPINTERACTIVE": "0",
        "no_proxy": "*",
    }
    ended = subprocess.run(
        words, cwd=args.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50
    )
    answers = sorted(name for name in os.listdir(args.folder) if name.startswith("response-"))
    if not answers:
        raise AssertionError(f"no answer: {ended.stdout.decode()}")
    answers.sort(key=lambda name: int(name.removeprefix("response-").removesuffix(".xml")))
    return [ET.parse(os.path.join(args.folder, name)).getroot() for name in answers]


def texts(answers, name):
    return [element.text for answer in answers for element in answer.iter() if element.tag.rpartition("}")[2] == name]


@cases.case("wslid")
def _():
    (answer,) = wsl("wslid", "check")
    expect(texts([answer], "ProtocolVersion"), ["http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"])


@cases.case("wslget of a part of the configuration, and of the operating system")
def _():
    expect(texts(wsl("wslget", f"{CONFIG}/winrs"), "IdleTimeout"), ["7200000"])
    expect(texts(wsl("wslget", f"{CIMV2}/Win32_OperatingSystem"), "CSName"), [os.uname().nodename])
    expect(texts(wsl("wslget", f"{CIMV2}/Win32_Process", f"Handle={os.getpid()}"), "ProcessId"), [str(os.getpid())])


@cases.case("wslenum one by one, optimized, with references, and by a query")
def _():
    answers = wsl("wslenum", f"{CONFIG}/listener")
    expect((len(answers), texts(answers, "Transport")), (2, ["HTTP"]))
    answers = wsl("wslenum", f"{CONFIG}/listener", "-opti", "10")
    expect((len(answers), texts(answers, "Transport")), (1, ["HTTP"]))
    answers = wsl("wslenum", f"{CONFIG}/listener", "-mode", "objepr", "-opti", "10")
    expect(texts(answers, "ResourceURI"), [f"{CONFIG}/listener"])
    query = f"SELECT Name FROM Win32_Process WHERE ProcessId={os.getpid()}"
    answers = wsl("wslenum", f"{CIMV2}/*", "-dialect", WQL, "-filter", query, "-opti", "10")
    expect(len(texts(answers, "Name")), 1)


@cases.case("wslinvoke on an instance that was listed")
def _():
    sleeper = subprocess.Popen(["sleep", "5432"])
    try:
        query = f"SELECT * FROM Win32_Process WHERE ProcessId={sleeper.pid}"
        wsl("wslenum", f"{CIMV2}/*", "-dialect", WQL, "-filter", query, "-mode", "epr", "-opti", "10")
        # It copies selectors as text, and declares another prefix for them than Windows and this service write.
        with open(os.path.join(args.folder, "response.xml"), encoding="utf-8") as file:
            text = file.read().replace("<w:", "<wsman:").replace("</w:", "</wsman:")
        instance = os.path.join(args.folder, "instance.epr")
        with open(instance, "w", encoding="utf-8") as file:
            file.write(text)
        expect_running(sleeper.pid)
        answers = wsl("wslinvoke", f"{CIMV2}/Win32_Process", "Terminate", "Reason=0", "-inst", instance)
        expect(texts(answers, "ReturnValue"), ["0"])
        expect_gone(sleeper.pid)
    finally:
        sleeper.kill()
        sleeper.wait()


@cases.case("a fault is shown")
def _():
    (answer,) = wsl("wslget", f"{CIMV2}/Win32_Nothing")
    expect(texts([answer], "error_Code"), [str(0x80041010)])


cases.finish()
