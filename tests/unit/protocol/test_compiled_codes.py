"""The compiled core's codes are those of the protocol."""

import re

import pytest

from hpe.protocol import codes, enums, flags, registry
from hpe.protocol.base import type_number
from tests.conftest import PROJECT_ROOT

PREFIXES = {
    "CancelReason": "REASON_", "Channel": "CHANNEL_", "DetachCause": "DETACH_",
    "ErrorCode": "ERROR_", "ExecType": "EXEC_", "HoldChange": "HOLD_", "Role": "ROLE_",
}  # fmt: skip
"""What stands before the members of these enumerations."""

MESSAGES = (*registry.QUERIES, *registry.COMMANDS, *registry.INTERNAL)
MORE_MESSAGES = (*registry.REPLIES, *registry.EMBEDDED)

TEXT = (PROJECT_ROOT / "hpe" / "core" / "compiled" / "codes.pxd").read_text(encoding="utf-8")
ENUMERATIONS = {
    name: {member: int(value) for member, value in re.findall(r"    (\w+) = (\d+)\n", members)}
    for name, members in re.findall(r"cdef enum (\w+):\n((?:    .+\n)+)", TEXT)
}


def expected(name):
    """Return what the protocol has under the name of an enumeration."""
    if name == "Flags":
        return {bit: value for bit, value in vars(flags).items() if isinstance(value, int)}
    if name == "MessageType":
        return {
            "TYPE" + re.sub("([A-Z])", r"_\1", each.__name__).upper(): type_number(each)
            for each in (*MORE_MESSAGES, *MESSAGES)
        }
    enumeration = vars(codes).get(name) or vars(enums)[name]
    return {PREFIXES.get(name, "") + member.name: member.value for member in enumeration}


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_codes_are_those_of_the_protocol(name):
    found = ENUMERATIONS[name]
    if name == "SelfTrade":
        found = {"NONE": found.pop("ALLOWED")} | found  # NONE is a reject reason there
    assert found
    assert found.items() <= expected(name).items()
    if name not in ("ErrorCode", "Flags", "MessageType"):  # their rest concerns the front end
        assert found == expected(name)


def test_no_name_means_two_things():
    names = [member for found in ENUMERATIONS.values() for member in found]
    assert len(names) == len(set(names)) > 100
