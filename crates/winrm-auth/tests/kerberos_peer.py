"""pyspnego as the other side of a Kerberos authentication, one command a line.

Fields are separated by spaces, bytes are base64, "-" is nothing and "=" no bytes at all. Every command is answered
by "ok FIELD…" or "error TEXT".

    client PROTOCOL HOST BINDING DELEGATE      server PROTOCOL BINDING
    step TOKEN                -> TOKEN complete|continue
    seal DATA                 -> HEADER DATA    (the layout of WinRM)
    open HEADER DATA          -> DATA
    wrap DATA                 -> TOKEN          (one gss_wrap token)
    unwrap TOKEN              -> DATA
    bound, peer               -> what the context says about itself
"""

import base64
import sys

import gssapi
import spnego
from spnego.channel_bindings import GssChannelBindings

# A refusal has to be an error at once, not at the next call.
gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False

context = None


def read(field):
    return None if field == "-" else b"" if field == "=" else base64.b64decode(field)


def write(value):
    return "-" if value is None else base64.b64encode(value).decode() or "="


def bindings(field):
    return None if field == "-" else GssChannelBindings(application_data=read(field))


def command(name, *fields):
    global context
    req = spnego.ContextReq.default
    if name == "client":
        if fields[3] == "delegate":
            req |= spnego.ContextReq.delegate
        context = spnego.client(
            None, None, hostname=fields[1], service="HTTP", protocol=fields[0],
            channel_bindings=bindings(fields[2]), context_req=req,
        )
        return []
    if name == "server":
        context = spnego.server(
            hostname="localhost", service="HTTP", protocol=fields[0], channel_bindings=bindings(fields[1]), context_req=req,
        )
        return []
    if name == "step":
        token = context.step(read(fields[0]))
        return [write(token or None), "complete" if context.complete else "continue"]
    if name == "seal":
        sealed = context.wrap_winrm(read(fields[0]))
        return [write(sealed.header), write(sealed.data)]
    if name == "open":
        return [write(context.unwrap_winrm(read(fields[0]), read(fields[1])))]
    if name == "wrap":
        return [write(context.wrap(read(fields[0])).data)]
    if name == "unwrap":
        return [write(context.unwrap(read(fields[0])).data)]
    if name == "peer":
        return [str(context.client_principal), context.negotiated_protocol]
    raise ValueError(name)


for line in sys.stdin:
    try:
        answer = " ".join(["ok", *command(*line.split())])
    except Exception as error:
        answer = f"error {type(error).__name__}: {error}".replace("\n", " ")
    print(answer, flush=True)
