"""`hpe keys`: what it prints where, what it refuses, and that a secret is shown once."""

import json
import os
import sys

import pytest

from hpe.access import ed25519
from hpe.access.key_files import load_keys, read_client_key
from hpe.access.keys import Key, KeyEntry, Scheme
from hpe.cli import main
from hpe.protocol.enums import Role

SIGNING = ("add", "x", "--role", "operator", "--scheme", "ed25519")


@pytest.fixture
def keys(tmp_path, monkeypatch, capsys):
    """Run `hpe keys` on a file of this test; return exit code, stdout and stderr."""
    monkeypatch.setenv("HPE_KEYS_FILE", str(tmp_path / "keys.json"))

    def run(*arguments):
        try:
            code = main(["keys", *arguments])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    run.file = tmp_path / "keys.json"
    return run


def test_the_secret_is_all_that_add_prints(keys):
    code, secret, said = keys("add", "alice", "--role", "trader", "--users", "8,7")
    assert code == 0
    assert load_keys(keys.file) == {
        "alice": KeyEntry("alice", Scheme.HMAC_SHA256, Role.TRADER, (7, 8), bytes.fromhex(secret))
    }
    assert Key.from_text("alice", secret)
    assert "alice: trader for 7,8, hmac-sha256" in said
    assert "SIGHUP" in said
    assert secret.strip() not in said


@pytest.mark.parametrize(
    ("arguments", "role", "users"),
    [
        (["--role", "gateway", "--users", "1000-1999"], Role.GATEWAY, (1000, 1999)),
        (["--role", "market-data"], Role.MARKET_DATA, ()),
        (["--role", "operator"], Role.OPERATOR, ()),
    ],
)
def test_every_role_can_have_a_key(keys, arguments, role, users):
    assert keys("add", "a", *arguments)[0] == 0
    entry = load_keys(keys.file)["a"]
    assert (entry.role, entry.users) == (role, users)


def test_a_signing_key_is_made_here_or_by_the_client(keys):
    signing = ("--role", "operator", "--scheme", "ed25519")
    private, public = (ed25519.new_private_key(), None)
    public = ed25519.public_key(private)
    assert keys("add", "theirs", *signing, "--public-key", public.hex())[:2] == (0, "")
    code, printed, _ = keys("add", "ours", *signing, "--generate")
    assert code == 0
    entries = load_keys(keys.file)
    assert entries["theirs"].secret == public
    assert entries["ours"].secret == ed25519.public_key(bytes.fromhex(printed))
    assert printed.strip() not in keys.file.read_text()


@pytest.mark.parametrize("options", [(), ("--scheme", "ed25519", "--generate")])
def test_a_saved_secret_is_not_printed(keys, tmp_path, options):
    target = tmp_path / "alice.json"
    add = ("add", "alice", "--role", "operator", *options, "--save", str(target))
    code, printed, said = keys(*add)
    assert (code, printed) == (0, "")
    assert read_client_key(target).secret.hex() not in said
    assert read_client_key(target).id == "alice"
    assert keys("revoke", "alice")[0] == 0
    code, printed, said = keys(*add)
    assert (code, printed) == (78, "")
    assert "already exists" in said
    assert load_keys(keys.file) == {}


def test_list_never_shows_a_secret(keys):
    secrets = [
        keys("add", "alice", "--role", "trader", "--users", "7")[1].strip(),
        keys("add", "gw", "--role", "gateway", "--users", "10-20")[1].strip(),
        keys("add", "s", "--role", "operator", "--scheme", "ed25519", "--generate")[1].strip(),
    ]
    code, text, _ = keys("list")
    assert code == 0
    assert text.splitlines() == [
        "alice: trader for 7, hmac-sha256",
        "gw: gateway for 10-20, hmac-sha256",
        "s: operator, ed25519",
    ]
    code, rows, _ = keys("list", "--json")
    assert code == 0
    assert json.loads(rows) == [
        {"id": "alice", "role": "trader", "users": "7", "scheme": "hmac-sha256"},
        {"id": "gw", "role": "gateway", "users": "10-20", "scheme": "hmac-sha256"},
        {"id": "s", "role": "operator", "users": "", "scheme": "ed25519"},
    ]
    for secret in secrets:
        assert secret not in text + rows


def test_revoke_takes_one_key_away(keys):
    keys("add", "a", "--role", "operator")
    keys("add", "b", "--role", "operator")
    code, printed, said = keys("revoke", "a")
    assert (code, printed) == (0, "")
    assert "SIGHUP" in said
    assert list(load_keys(keys.file)) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["add", "a b", "--role", "operator"], "key id: found 'a b'"),
        (["add", "known", "--role", "operator"], "key known already exists"),
        (["add", "x", "--role", "trader"], "--users: found ''"),
        (["add", "x", "--role", "trader", "--users", "1-5"], "--users: found '1-5'"),
        (["add", "x", "--role", "gateway", "--users", "9-5"], "FIRST not above LAST"),
        (["add", "x", "--role", "operator", "--users", "1"], "none for this role"),
        (["add", "x", "--role", "operator", "--generate"], "with --scheme ed25519"),
        (["add", "x", "--role", "operator", "--public-key", "00"], "with --scheme ed25519"),
        ([*SIGNING], "--public-key HEX or"),
        ([*SIGNING, "--public-key", "00"], "--public-key: found 1 bytes; allowed: 32"),
        (
            [*SIGNING, "--public-key", "00" * 32, "--save", "k.json"],
            "--save: found with --public-key",
        ),
        (["revoke", "x"], "has no key x"),
        (["list", "--file", "missing.json"], "missing.json: cannot be read"),
        (["revoke", "known", "--file", "missing.json"], "missing.json: cannot be read"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(keys, arguments, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys("add", "known", "--role", "operator")
    before = keys.file.read_bytes()
    code, printed, said = keys(*arguments)
    assert (code, printed) == (78, "")
    assert said.startswith("hpe: ConfigError: ")
    assert named in said
    assert len(said.splitlines()) == 1
    assert keys.file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["add", "x"],
        ["add", "x", "--role", "anonymous"],
        ["add", "x", "--role", "operator", "--scheme", "md5"],
        ["add", "x", "--role", "operator", "--public-key", "00", "--generate"],
        ["revoke"],
    ],
)
def test_wrong_usage_is_refused_before_anything_is_read(keys, arguments):
    assert keys(*arguments)[0] == 2
    assert not keys.file.exists()


def test_the_file_is_named_by_option_environment_or_default(keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.json"
    keys("add", "a", "--role", "operator", "--file", str(other))
    assert list(load_keys(other)) == ["a"]
    assert not keys.file.exists()
    monkeypatch.delenv("HPE_KEYS_FILE")
    keys("add", "b", "--role", "operator")
    assert list(load_keys(tmp_path / "hpe-keys.json")) == ["b"]


def test_a_reader_that_has_gone_is_no_fault_of_ours(keys, monkeypatch):
    keys("add", "ops", "--role", "operator")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        code, _, said = keys("list")
    assert (code, said) == (141, "")
