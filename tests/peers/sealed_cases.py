"""What the scripts about NTLM, Kerberos and encrypted messages share beyond `cases`."""

import argparse
import os
import urllib.parse


def arguments():
    """The arguments of the scripts that are clients of our service."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="a service over http that takes no clear text")
    parser.add_argument("--tls-url", required=True, help="the same service over TLS, with a self-signed certificate")
    parser.add_argument("--certificate", required=True, help="the certificate of that")
    parser.add_argument("--strict-url", required=True, help="a service over TLS, with another certificate, that requires channel bindings")
    parser.add_argument("--strict-certificate", required=True, help="the certificate of that")
    parser.add_argument("--other-url", help="a service that is set up otherwise: the scripts that need it say how")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", required=True)
    parser.add_argument("--folder", required=True, help="an empty folder for whatever the cases write")
    parser.add_argument("--powershell", action="store_true", help="the service finds a PowerShell")
    parser.add_argument("--ansible", help="the folder with ansible-playbook")
    parser.add_argument("--krb5-config", help="the krb5.conf of a KDC; without it the cases of Kerberos are left out")
    parser.add_argument("--ccache", help="a cache with a ticket of the principal")
    parser.add_argument("--principal")
    parser.add_argument("--principal-password-file")
    args = parser.parse_args()
    args.password = first_line(args.password_file)
    args.kerberos = args.krb5_config is not None
    if args.kerberos:
        args.principal_password = first_line(args.principal_password_file)
        os.environ["KRB5_CONFIG"] = args.krb5_config
        os.environ["KRB5CCNAME"] = args.ccache
    # Nothing here may be sent through a proxy that the environment names.
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
    return args


def by_name(url):
    """The address with the host's name, which is the one in its Kerberos principal."""
    return url.replace("127.0.0.1", "localhost")


def address(url):
    """Host and port."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def first_line(file):
    with open(file, encoding="utf-8") as lines:
        return lines.read().splitlines()[0]
