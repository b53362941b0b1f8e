"""Nothing that is printed about keys shows a secret: no repr, no error, no log line."""

import base64
import json
import logging
import re
import traceback
from fnmatch import fnmatch

import pytest

from hpe.access.key_files import key_of_environment, load_keys, read_client_key
from hpe.access.keys import Key, parse_secret
from hpe.errors import ConfigError
from tests.conftest import PROJECT_ROOT
from tests.support.secrecy import assert_silent
from tests.unit.access.test_keys import ALL, SECRET, TRADER, row, write


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def everything_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)


def test_the_search_for_secrets_finds_them():
    latin = SECRET.decode("latin-1")
    for text in (f"x{SECRET.hex()}", repr(SECRET), base64.b64encode(SECRET).decode(), latin):
        for shown in (text, text[: len(text) // 2 + 2]):
            with pytest.raises(AssertionError, match="is shown"):
                assert_silent(shown, SECRET)
    assert_silent(repr(bytes(32)), SECRET)


def test_no_repr_shows_a_secret():
    for value in (Key("alice", SECRET), *ALL, {"a": TRADER}, [Key("b", SECRET)]):
        assert_silent(f"{value!r} {value} {value!a}", SECRET)


MISPLACED = (
    {"id": SECRET.hex()}, {"role": SECRET.hex()}, {"scheme": SECRET.hex()},
    {"secret": SECRET.hex()[:-1]}, {"secret": SECRET.hex() + "00"}, {"secret": SECRET.hex() + "g"},
    {"secret": base64.b64encode(SECRET).decode()}, {"secret": [SECRET.hex()]},
    {"secret": {SECRET.hex(): 1}}, {SECRET.hex(): 1}, {"secret": None, SECRET.hex(): ""},
    {"role": "trader", "users": SECRET.hex()}, {"role": "gateway", "users": f"1-{SECRET.hex()}"},
    {"users": SECRET.hex()}, {"public_key": SECRET.hex()}, {"scheme": "ed25519"},
    {"users": None, "role": "trader"},
)  # fmt: skip


@pytest.mark.parametrize("change", MISPLACED, ids=range(len(MISPLACED)))
def test_no_error_of_a_key_file_shows_a_secret(path, change, caplog):
    caplog.set_level(logging.DEBUG)
    write(path, {"version": 1, "keys": [row(**change)]})
    with pytest.raises(ConfigError) as caught:
        load_keys(path)
    assert_silent(everything_of(caught.value) + caplog.text, SECRET)


def test_no_error_about_broken_json_or_modes_shows_a_secret(path):
    whole = json.dumps({"version": 1, "keys": [row()]})
    for text, mode in ((whole[:-3], 0o600), (whole + SECRET.hex(), 0o600), (whole, 0o644)):
        write(path, text, mode)
        with pytest.raises(ConfigError) as caught:
            load_keys(path)
        assert_silent(everything_of(caught.value), SECRET)


def test_no_error_of_a_client_s_key_shows_a_secret(path):
    texts = (SECRET.hex()[:-1], SECRET.hex() + "g", SECRET.hex() + "00", SECRET.hex()[:62])
    for text in texts:
        write(path, {"id": "a", "secret": text})
        environment = {"HPE_KEY_ID": "a", "HPE_KEY_SECRET": text}
        attempts = (
            lambda: read_client_key(path),
            lambda text=text: Key.from_text("a", text),
            lambda text=text: Key.from_text("a", SECRET.hex(), text),
            lambda text=text: Key.from_text(SECRET.hex(), text),
            lambda environment=environment: key_of_environment(environment),
            lambda text=text: parse_secret(text, "here"),
        )
        for attempt in attempts:
            with pytest.raises(ConfigError) as caught:
                attempt()
            assert_silent(everything_of(caught.value), SECRET)
        path.unlink()


def test_the_key_files_that_the_documents_make_are_not_committed():
    ignored = (PROJECT_ROOT / ".gitignore").read_text(encoding="utf-8").split()
    texts = [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").glob("*.md")]
    found = set()
    for text in texts:
        found |= set(re.findall(r"--(?:save|keys) ([\w.-]+\w)", text.read_text(encoding="utf-8")))
    found -= {"FILE"}
    assert {"hpe-keys.json", "ops.key", "desk-7.key"} <= found
    assert [name for name in found if not any(fnmatch(name, rule) for rule in ignored)] == []
