"""pypsrp reads RootSDDL of a service and prints it; with SDDL it writes that first.

    access_pypsrp.py URL USER PASSWORD-FILE [SDDL]
"""
import sys
import urllib.parse

from pypsrp.wsman import WSMan

SERVICE = "http://schemas.microsoft.com/wbem/wsman/1/config/service"

url, user, password_file, *sddl = sys.argv[1:]
parts = urllib.parse.urlsplit(url)
with open(password_file) as file:
    password = file.read().rstrip("\n")
with WSMan(
    parts.hostname,
    port=parts.port,
    ssl=False,
    path=parts.path.strip("/"),
    auth="basic",
    encryption="never",
    username=user,
    password=password,
) as wsman:
    service = wsman.get(SERVICE).find("{%s}Service" % SERVICE)
    if sddl:
        service.find("{*}RootSDDL").text = sddl[0]
        wsman.put(SERVICE, service)
        service = wsman.get(SERVICE).find("{%s}Service" % SERVICE)
    print(service.find("{*}RootSDDL").text)
