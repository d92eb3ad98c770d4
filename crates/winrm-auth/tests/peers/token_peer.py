"""The other side of an authentication, driven by lines on standard input.

usage: token_peer.py ROLE PROTOCOL PROVIDER USER PASSWORD BINDING

ROLE      initiate or accept
PROTOCOL  ntlm or negotiate
PROVIDER  python (pyspnego's own code) or gssapi (MIT's SPNEGO with gss-ntlmssp)
USER      [DOMAIN\\]name
BINDING   application data of the channel binding in hexadecimal, or -

Lines in, and what is answered (bytes are base64, none is -):
  step TOKEN             token TOKEN COMPLETE    COMPLETE is 0 or 1
  wrap DATA              wrapped SIGNATURE SEALED
  unwrap SIGNATURE SEALED  plain DATA
  seal DATA              sealed CONTENT_TYPE BODY     the HTTP body of pypsrp
  open BODY              plain DATA
  peer                   peer NAME
The first line out is "ready", or "missing" where there is no such provider.
Any failure is answered by: error TEXT
"""

import sys

import conversation
import spnego
from spnego.channel_bindings import GssChannelBindings


def pyspnego_context(role, protocol, user, password, binding):
    arguments = {
        "hostname": "server.example",
        "service": "HTTP",
        "protocol": protocol,
        "options": {
            "ntlm": spnego.NegotiateOptions.use_ntlm,
            "negotiate": spnego.NegotiateOptions.use_negotiate,
        }[protocol],
        "channel_bindings": GssChannelBindings(application_data=binding) if binding else None,
    }
    if role == "initiate":
        return spnego.client(user, password, **arguments)
    return spnego.server(**arguments)


class Missing(Exception):
    """There is no gss-ntlmssp on this machine."""


class GssapiContext:
    """A context of the system's GSSAPI with the methods of pyspnego's that are used here."""

    def __init__(self, role, protocol, user, password, binding):
        import gssapi
        import gssapi.raw

        ntlm = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
        mechanism = {"ntlm": ntlm, "negotiate": gssapi.OID.from_int_seq("1.3.6.1.5.5.2")}[protocol]
        if ntlm not in gssapi.raw.indicate_mechs():
            raise Missing
        if role == "initiate":
            name = gssapi.Name(user, gssapi.NameType.user)
            acquired = gssapi.raw.acquire_cred_with_password(name, password.encode(), mechs=[mechanism], usage=role)
        else:
            acquired = gssapi.raw.acquire_cred(None, mechs=[mechanism], usage=role)
        if protocol == "negotiate":
            gssapi.raw.set_neg_mechs(acquired.creds, [ntlm])
        arguments = {
            "creds": gssapi.Credentials(acquired.creds),
            "usage": role,
            "channel_bindings": gssapi.raw.ChannelBindings(application_data=binding) if binding else None,
        }
        if role == "initiate":
            arguments["name"] = gssapi.Name("HTTP@server.example", gssapi.NameType.hostbased_service)
            arguments["mech"] = mechanism
            flags = gssapi.RequirementFlag
            arguments["flags"] = [
                flags.mutual_authentication,
                flags.confidentiality,
                flags.integrity,
                flags.replay_detection,
                flags.out_of_sequence_detection,
            ]
        self.context = gssapi.SecurityContext(**arguments)

    def step(self, token):
        return self.context.step(token)

    @property
    def complete(self):
        return self.context.complete

    @property
    def client_principal(self):
        return str(self.context.initiator_name).strip("\0")

    def wrap_winrm(self, data):
        token = self.context.wrap(data, True).message
        return Wrapped(token[:16], token[16:])

    def unwrap_winrm(self, header, data):
        return self.context.unwrap(header + data).message


class Wrapped:
    def __init__(self, header, data):
        self.header = header
        self.data = data


def context(role, protocol, provider, user, password, binding):
    binding = None if binding == "-" else bytes.fromhex(binding)
    create = {"python": pyspnego_context, "gssapi": GssapiContext}[provider]
    return create(role, protocol, user, password, binding)


SPNEGO = "application/HTTP-SPNEGO-session-encrypted"


def main():
    role, protocol, provider, user, password, binding = sys.argv[1:]
    users = conversation.credential_file(user, password) if role == "accept" else None
    try:
        peer = context(role, protocol, provider, user, password, binding)
    except Missing:
        print("missing", flush=True)
        return
    except Exception as error:  # whatever a peer raises is for the test to judge
        print("error", type(error).__name__, " ".join(str(error).split()), flush=True)
        return
    conversation.converse(lambda *line: conversation.answer(peer, SPNEGO, *line))
    del users


main()
