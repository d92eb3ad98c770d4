"""pywinrm's Protocol with envelopes made by hand: what our service says to messages that no library of ours has written."""

import argparse
import uuid
import warnings
import xml.etree.ElementTree as ET

import winrm
from winrm.exceptions import WSManFaultError

from cases import Cases, expect, expect_error

warnings.simplefilter("ignore")
parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True, help="a listener that takes no clear text")
parser.add_argument("--user", required=True)
parser.add_argument("--password-file", required=True)
args = parser.parse_args()
with open(args.password_file, encoding="utf-8") as file:
    password = file.read().rstrip("\n")
cases = Cases()
protocol = winrm.Protocol(args.url, username=args.user, password=password, transport="ntlm", message_encryption="always")

TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"


def send(action, resource, body="", header=""):
    """Sends a message, and gives the first element of the answer's body."""
    # Single quotes, other prefixes, a comment, and an order that no client of ours has.
    text = f"""<?xml version='1.0' encoding='utf-8'?>
<!-- by hand -->
<soap:Envelope xmlns:soap='http://www.w3.org/2003/05/soap-envelope' xmlns:addr='{ADDRESSING}'
  xmlns:m='http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd' xmlns:e='{ENUMERATION}' xmlns:c='{CONFIG}'>
 <soap:Header>
  <addr:MessageID soap:mustUnderstand='1'>urn:uuid:{uuid.uuid4()}</addr:MessageID>
  {header}
  <m:ResourceURI soap:mustUnderstand='1'>
    {resource}
  </m:ResourceURI>
  <addr:ReplyTo><addr:Address>{ADDRESSING}/role/anonymous</addr:Address></addr:ReplyTo>
  <addr:To>{args.url}</addr:To>
  <addr:Action>{action}</addr:Action>
 </soap:Header>
 <soap:Body>{body}</soap:Body>
</soap:Envelope>"""
    answer = ET.fromstring(protocol.send_message(text))
    body = answer.find("{http://www.w3.org/2003/05/soap-envelope}Body")
    return body[0] if len(body) else None


def fault(function):
    return expect_error(function, WSManFaultError).wsman_fault_code


@cases.case("a part of the configuration")
def _():
    winrs = send(f"{TRANSFER}/Get", f"{CONFIG}/winrs")
    expect(winrs.tag, f"{{{CONFIG}/winrs}}Winrs")
    expect(winrs.find(f"{{{CONFIG}/winrs}}MaxShellsPerUser").text, "2147483647")


@cases.case("a setting in CDATA, under the configuration's own namespace")
def _():
    body = f"<Client xmlns='{CONFIG}'><TrustedHosts><![CDATA[a,b&c]]></TrustedHosts></Client>"
    changed = send(f"{TRANSFER}/Put", f"{CONFIG}/client", body)
    expect(changed.find(f"{{{CONFIG}/client}}TrustedHosts").text, "a,b&c")


@cases.case("a fragment")
def _():
    header = "<m:FragmentTransfer soap:mustUnderstand='true'>c:Auth/c:Basic/text()</m:FragmentTransfer>"
    fragment = send(f"{TRANSFER}/Get", f"{CONFIG}/service", header=header)
    expect((fragment.tag, fragment[0].text), ("{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}XmlFragment", "true"))


@cases.case("a list that is begun, read and released")
def _():
    context = send(f"{ENUMERATION}/Enumerate", f"{CIMV2}/Win32_Process", "<e:Enumerate/>")
    context = context.find(f"{{{ENUMERATION}}}EnumerationContext").text
    pull = f"<e:Pull><e:EnumerationContext>{context}</e:EnumerationContext><e:MaxElements>2</e:MaxElements></e:Pull>"
    page = send(f"{ENUMERATION}/Pull", f"{CIMV2}/Win32_Process", pull)
    expect(len(page.findall(f"{{{ENUMERATION}}}Items/*")), 2)
    release = f"<e:Release><e:EnumerationContext>{context}</e:EnumerationContext></e:Release>"
    expect(send(f"{ENUMERATION}/Release", f"{CIMV2}/Win32_Process", release), None)
    expect(fault(lambda: send(f"{ENUMERATION}/Pull", f"{CIMV2}/Win32_Process", pull)), 0x8033801B)
    expect(fault(lambda: send(f"{ENUMERATION}/Release", f"{CIMV2}/Win32_Process", release)), 0x8033801B)


@cases.case("a filter by selectors, and references")
def _():
    body = """<e:Enumerate><m:OptimizeEnumeration/><m:MaxElements>9</m:MaxElements><m:EnumerationMode>EnumerateEPR</m:EnumerationMode>
      <m:Filter Dialect='http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter'><m:SelectorSet>
      <m:Selector Name='Transport'>HTTP</m:Selector></m:SelectorSet></m:Filter></e:Enumerate>"""
    listed = send(f"{ENUMERATION}/Enumerate", f"{CONFIG}/listener", body)
    references = listed.findall(f".//{{{ADDRESSING}}}EndpointReference")
    expect(len(references), 1)


@cases.case("messages that are wrong")
def _():
    expect(fault(lambda: send(f"{TRANSFER}/Put", f"{CONFIG}/winrs")), 0x80338041)
    expect(fault(lambda: send(f"{ENUMERATION}/Enumerate", f"{CONFIG}/listener")), 0x80338041)
    expect(fault(lambda: send(f"{TRANSFER}/Delete", f"{CONFIG}/winrs")), 0x80338013)
    expect(fault(lambda: send(f"{TRANSFER}/Get", f"{CONFIG}/listener")), 0x8033805A)
    header = "<m:Unheard soap:mustUnderstand='true'/>"
    expect(fault(lambda: send(f"{TRANSFER}/Get", CONFIG, header=header)), 0x80338010)


cases.finish()
