"""protocol.json: what the registry gives, and enough to speak the wire without this project.

The reader below knows MessagePack and the notes of the document, nothing else; what it finds is
compared with the classes that the server decodes with.
"""

import json
import re

import msgpack
import msgspec
import pytest

from hpe.protocol import registry
from hpe.protocol.export import protocol, text_of
from tests.conftest import PROJECT_ROOT
from tests.support import protocol_document as document
from tests.support.protocol_document import snake

TEXT = (PROJECT_ROOT / "protocol.json").read_text(encoding="utf-8")
WIRE = json.loads(TEXT)
MESSAGES = WIRE["messages"]
BY_NAME = {message["name"]: message for message in MESSAGES}
REQUESTS = [message for message in MESSAGES if message["to"] == "server"]
CLASSES = {
    snake(kind.__name__): kind
    for kind in (
        *registry.CONTROL,
        *registry.QUERIES,
        *registry.COMMANDS,
        *registry.REPLIES,
        *registry.EMBEDDED,
    )
}
BOUNDED = [
    (message, position, field)
    for message in REQUESTS
    for position, field in enumerate(message["fields"], 1)
    if field["type"] in ("int", "str", "bytes")
]


def restored(field, value):
    """Return a value of a field as MessagePack has it."""
    if value is None:
        assert field.get("nil")
        return None
    match field["type"]:
        case "int":
            return int(value)
        case "bytes":
            return bytes.fromhex(value)
        case "array" if isinstance(field.get("items"), list):
            return [restored_message(field["items"], each) for each in value]
        case "array" if "items" in field:
            return [restored_row(WIRE["arrays"][field["items"]], each) for each in value]
        case "array" if "messages" in field:
            return restored_message(field["messages"], value)
        case "array":
            return restored_row(WIRE["arrays"][field["array"]], value)
    return value


def restored_message(names, value):
    (message,) = [BY_NAME[name] for name in names if BY_NAME[name]["type"] == value[0]]
    return [value[0], *restored_row(message["fields"], value[1:])]


def restored_row(fields, values):
    assert len(values) <= len(fields)
    return [restored(field, value) for field, value in zip(fields, values, strict=False)]


def body_of(message, vector):
    """Return the body of a vector's frame after looking at its length."""
    frame = bytes.fromhex(vector["frame"])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert vector["value"][0] == message["type"]
    return frame[4:]


def vector_of(message, name):
    (found,) = [vector for vector in message["vectors"] if vector["name"] == name]
    return found


def taken_by(message, position):
    """Return a test of values for one field of a request: does the server's decoder take it?"""
    array = msgpack.unpackb(body_of(message, vector_of(message, "least")))

    def is_taken(value):
        body = msgpack.packb([*array[:position], value, *array[position + 1 :]])
        try:
            msgspec.msgpack.decode(body, type=CLASSES[message["name"]])
        except msgspec.ValidationError:
            return False
        return True

    return is_taken


def test_the_file_is_what_the_registry_gives():
    made = text_of(protocol())
    assert made == TEXT, "run: python -m hpe.protocol.export > protocol.json"
    assert json.loads(made) == json.loads(json.dumps(protocol())), "the layout changes no value"


def test_it_has_the_messages_of_the_document():
    text = (PROJECT_ROOT / "protocol.md").read_text(encoding="utf-8")
    documented = [(each.name, each.type_number) for each in document.messages(text)]
    assert sorted((each["name"], each["type"]) for each in MESSAGES) == sorted(documented)
    for message, found in BY_NAME.items():
        assert [field["name"] for field in found["fields"]] == [*CLASSES[message].__struct_fields__]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: each["name"])
def test_vectors_are_what_another_codec_makes_and_the_server_reads(message):
    names = [vector["name"] for vector in message["vectors"]]
    has_default = any("default" in field for field in message["fields"])
    shortest = ["shortest"] if message["to"] == "server" and has_default else []
    assert names == ["least", "distinct", "most", *shortest]
    for vector in message["vectors"]:
        body = body_of(message, vector)
        value = [vector["value"][0], *restored_row(message["fields"], vector["value"][1:])]
        assert msgpack.packb(value) == body
        decoded = msgspec.msgpack.decode(body, type=CLASSES[message["name"]])
        if vector["name"] == "shortest":
            value += [
                restored(each, each["default"]) for each in message["fields"][len(value) - 1 :]
            ]
        assert msgpack.unpackb(msgspec.msgpack.encode(decoded)) == value


def test_numbers_of_a_distinct_vector_differ():
    """Two fields in each other's place would give other bytes."""
    for message in MESSAGES:
        numbers = [
            value
            for field, value in zip(
                message["fields"], vector_of(message, "distinct")["value"][1:], strict=True
            )
            if field["type"] == "int" and int(field.get("max", 0)) > 100
        ]
        assert len(set(numbers)) == len(numbers), message["name"]


@pytest.mark.parametrize(
    ("message", "position", "field"),
    BOUNDED,
    ids=[f"{message['name']}.{field['name']}" for message, _, field in BOUNDED],
)
def test_ranges_are_those_that_the_server_holds(message, position, field):
    """The ends of a range are taken, and what lies beyond them is refused."""
    is_taken = taken_by(message, position)
    assert is_taken(None) == field.get("nil", False)
    if "enum" in field:
        values = set(WIRE["enums"][field["enum"]].values())
        assert {value for value in range(-1, 200) if is_taken(value)} == values
    elif field["type"] == "int":
        low, high = int(field["min"]), int(field["max"])
        step = field.get("multiple_of", 1)
        assert (is_taken(low), is_taken(high)) == (True, True)
        assert not any(map(is_taken, (low - 1, high + 1, low - step, high + step)))
        assert step == 1 or not is_taken(low + 1)
    else:
        one = "A" if field["type"] == "str" else b"A"
        low, high = field.get("min_length", 0), field["max_length"]
        assert (is_taken(one * low), is_taken(one * high)) == (True, True)
        assert not is_taken(one * (high + 1))
        assert low == 0 or not is_taken(one * (low - 1))


def test_patterns_are_those_that_the_server_holds():
    held = 0
    for message, position, field in BOUNDED:
        if "pattern" in field:
            assert "\\Z" not in field["pattern"], "no other language knows it"
            taken = taken_by(message, position)
            for character in map(chr, range(0x100)):
                # The end of a text is not before a line feed in ECMAScript: a full match.
                matches = bool(re.fullmatch(field["pattern"], character))
                assert taken(character) == matches, repr(character)
            held += 1
    assert held > 3
