"""Samba reads and writes security descriptors: the other side of winrm-proto's module sddl.

    sddl_samba.py read            SDDL on standard input, a line for each; a JSON object for each on standard output
    sddl_samba.py generate N SEED N descriptors that Samba made, in the same form

An object has what Samba takes the text for: `sddl` as it writes it, `binary` (hexadecimal, self-relative), owner, group, control
bits and entries; or `error`.
"""
import json
import random
import sys

from samba.dcerpc import misc, security
from samba.ndr import ndr_pack

DOMAIN = security.dom_sid("S-1-5-21-1-2-3")


def entries(acl):
    if acl is None:
        return None
    found = []
    for ace in acl.aces:
        entry = {"type": int(ace.type), "flags": int(ace.flags), "mask": int(ace.access_mask), "sid": str(ace.trustee)}
        # SYSTEM_ALARM_OBJECT and the three before it carry the kinds of objects.
        if 5 <= int(ace.type) <= 8:
            flags = int(ace.object.flags)
            entry["object"] = str(ace.object.type) if flags & 1 else None
            entry["inherited"] = str(ace.object.inherited_type) if flags & 2 else None
        found.append(entry)
    return found


def told(descriptor):
    return {
        "sddl": descriptor.as_sddl(DOMAIN),
        "binary": ndr_pack(descriptor).hex(),
        "owner": descriptor.owner_sid and str(descriptor.owner_sid),
        "group": descriptor.group_sid and str(descriptor.group_sid),
        "control": int(descriptor.type),
        "dacl": entries(descriptor.dacl),
        "sacl": entries(descriptor.sacl),
    }


def read():
    for line in sys.stdin:
        text = line.rstrip("\n")
        try:
            answer = told(security.descriptor.from_sddl(text, DOMAIN))
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer))


def some_sid(chance):
    if chance.random() < 0.5:
        return security.dom_sid("S-1-5-32-%d" % chance.choice([544, 545, 546, 547, 551, 580, 581, 9999]))
    numbers = "-".join(str(chance.getrandbits(32)) for _ in range(chance.randint(1, 14)))
    return security.dom_sid("S-1-%d-%s" % (chance.choice([1, 5, 15, 18, 4000000000]), numbers))


def some_acl(chance, types, least):
    acl = security.acl()
    acl.revision = 4
    aces = []
    for _ in range(chance.randint(least, 6)):
        ace = security.ace()
        ace.type = chance.choice(types)
        ace.flags = sum(flag for flag in (1, 2, 4, 8, 16, 64, 128) if chance.random() < 0.3)
        ace.access_mask = chance.choice([chance.getrandbits(32), 0x10000000, 0xA0000000, 0x20019, 0xF003F, 0x120089, 0])
        ace.trustee = some_sid(chance)
        if 5 <= ace.type <= 8:
            guid = "%08x-%04x-%04x-%04x-%012x" % tuple(chance.getrandbits(bits) for bits in (32, 16, 16, 16, 48))
            wanted = chance.randint(1, 3)
            described = ace.object
            described.flags = wanted
            if wanted & 1:
                described.type = misc.GUID(guid)
            if wanted & 2:
                described.inherited_type = misc.GUID(guid)
        aces.append(ace)
    acl.aces = aces
    acl.num_aces = len(aces)
    return acl




def generate(count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        descriptor = security.descriptor()
        kind = 0x8000
        if chance.random() < 0.8:
            descriptor.owner_sid = some_sid(chance)
        if chance.random() < 0.8:
            descriptor.group_sid = some_sid(chance)
        # Samba can't read back a DACL with flags and without entries in front of a SACL.
        if chance.random() < 0.9:
            kind |= security.SEC_DESC_DACL_PRESENT | chance.choice([0, 0x1000, 0x0400, 0x0500, 0x1500])
            descriptor.dacl = some_acl(chance, [0, 1, 5, 6], 1)
        if chance.random() < 0.5:
            kind |= security.SEC_DESC_SACL_PRESENT | chance.choice([0, 0x2000, 0x0800, 0x2A00])
            descriptor.sacl = some_acl(chance, [2, 3, 7, 8], 0)
        descriptor.type = kind
        print(json.dumps(told(descriptor)))


if sys.argv[1] == "read":
    read()
else:
    generate(int(sys.argv[2]), sys.argv[3])
