"""The places of the fields of commands are those of the tables that decode them."""

import re

from hpe.core.compiled.tables import flat_tables
from hpe.core.routing import commands_of
from hpe.core.trading.exchange import Exchange
from hpe.protocol.base import type_number
from hpe.protocol.internal import KeysValid, SessionAttached, SessionClosed, SessionDetached
from hpe.protocol.market_data import Subscribe
from tests.conftest import PROJECT_ROOT

TEXT = (PROJECT_ROOT / "hpe" / "core" / "compiled" / "requests.pxd").read_text(encoding="utf-8")

OTHERS = (SessionAttached, SessionDetached, SessionClosed, KeysValid, Subscribe)


def words_of(name):
    """Return a CamelCase name in the form of a constant's."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def test_each_field_of_each_command_has_its_place():
    messages = [*commands_of(Exchange()), *OTHERS]
    commands = {type_number(message): message for message in messages}
    tables = flat_tables(commands)
    wanted = {
        message.__name__: [
            (f"{words_of(message.__name__)}_{name.replace('.', '_').upper()}", place)
            for place, name in enumerate(tables.slots[number])
        ]
        for number, message in commands.items()
    }
    found = {
        name: [(field, int(place)) for field, place in re.findall(r"    (\w+) = (\d+)\n", fields)]
        for name, fields in re.findall(r"cdef enum (\w+):\n((?:    .+\n)+)", TEXT)
    }
    assert found == wanted
