"""Keys and their files: notation, roles, modes, atomic changes, and no secret in any message."""

import contextlib
import json
import os
import stat
import sys
import tracemalloc
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpe.access import ed25519, key_files
from hpe.access.key_files import (
    changed_keys,
    key_of_environment,
    load_keys,
    read_client_key,
    write_client_key,
)
from hpe.access.keys import (
    ROLE_NAMES,
    Key,
    KeyEntry,
    Scheme,
    check_key_id,
    new_secret,
    parse_users,
)
from hpe.errors import ConfigError
from hpe.files import small_files
from hpe.files.small_files import FILE_BYTES_MAX
from hpe.protocol.enums import Role
from hpe.protocol.limits import HOUSE_USER, INT_MAX

SECRET = bytes(range(100, 132))
TRADER = KeyEntry("alice", Scheme.HMAC_SHA256, Role.TRADER, (7, 8), SECRET)
GATEWAY = KeyEntry("gw.1", Scheme.HMAC_SHA256, Role.GATEWAY, (1000, 1999), SECRET)
PUBLIC = ed25519.public_key(SECRET)
MARKET_DATA = KeyEntry("feed", Scheme.ED25519, Role.MARKET_DATA, (), PUBLIC)
OPERATOR = KeyEntry("ops", Scheme.HMAC_SHA256, Role.OPERATOR, (), SECRET)
ALL = (TRADER, GATEWAY, MARKET_DATA, OPERATOR)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def save(path, *entries):
    with changed_keys(path) as keys:
        keys.update({entry.id: entry for entry in entries})


def no_space(*_):
    raise OSError(28, "No space left on device")


def fail_after(change):
    change()
    raise ZeroDivisionError


def write(path, text, mode=0o600):
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    path.chmod(mode)


def row(**values):
    fields = {"id": "a", "role": "operator", "scheme": "hmac-sha256", "secret": SECRET.hex()}
    return {name: value for name, value in {**fields, **values}.items() if value is not None}


# --- notation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "user", "granted"),
    [
        (TRADER, 7, (7, 7)),
        (TRADER, 8, (8, 8)),
        (TRADER, 9, None),
        (GATEWAY, 999, None),
        (GATEWAY, 1000, (1000, 1999)),
        (GATEWAY, 1999, (1000, 1999)),
        (GATEWAY, 2000, None),
        (MARKET_DATA, 5, (5, 5)),
        (OPERATOR, 5, (1, INT_MAX)),
    ],
)
def test_a_key_grants_its_own_users(entry, user, granted):
    assert entry.range_of(user) == granted


def test_every_role_but_anonymous_has_a_name():
    assert set(ROLE_NAMES.values()) == set(Role) - {Role.ANONYMOUS}
    assert [entry.role_name for entry in ALL] == ["trader", "gateway", "market-data", "operator"]


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.role_name)
def test_users_read_back_as_they_are_written(entry):
    assert parse_users(entry.role, entry.users_text) == entry.users


def test_accounts_are_sorted_and_may_be_spaced():
    assert parse_users(Role.TRADER, "8, 7") == (7, 8)


@pytest.mark.parametrize(
    ("role", "text", "named"),
    [
        (Role.TRADER, "", "users 1 to"),
        (Role.TRADER, "7-9", "users 1 to"),
        (Role.TRADER, "0", "users 1 to"),
        (Role.TRADER, "-1", "users 1 to"),
        (Role.TRADER, "7,,8", "users 1 to"),
        (Role.TRADER, "\u0667", "users 1 to"),
        (Role.TRADER, str(HOUSE_USER), "users 1 to"),
        (Role.TRADER, "7,8,7", "every account once"),
        (Role.GATEWAY, "", "FIRST-LAST"),
        (Role.GATEWAY, "7", "FIRST-LAST"),
        (Role.GATEWAY, "7,8", "FIRST-LAST"),
        (Role.GATEWAY, "7-", "users 1 to"),
        (Role.GATEWAY, "1-2-3", "users 1 to"),
        (Role.GATEWAY, "8-7", "FIRST not above LAST"),
        (Role.GATEWAY, f"1-{HOUSE_USER}", "users 1 to"),
        (Role.MARKET_DATA, "7", "none for this role"),
        (Role.OPERATOR, "1-2", "none for this role"),
    ],
)
def test_users_that_a_role_cannot_have_are_refused(role, text, named):
    with pytest.raises(ConfigError, match=named) as caught:
        parse_users(role, text, "--users")
    assert str(caught.value).startswith("--users: ")


@pytest.mark.parametrize("key_id", ["", "a b", "a" * 33, "\u00e4", "a\n", "../x/"])
def test_ids_that_hello_cannot_carry_are_refused(key_id):
    with pytest.raises(ConfigError, match="1-32 letters"):
        check_key_id(key_id)
    with pytest.raises(ConfigError, match="1-32 letters"):
        Key(key_id, SECRET)


def test_a_client_s_key_reads_what_the_command_printed():
    key = Key.from_text("alice", f" {SECRET.hex()}\n")
    assert (key.id, key.secret, key.scheme) == ("alice", SECRET, Scheme.HMAC_SHA256)
    assert Key.from_text("a", SECRET.hex(), "ed25519").scheme is Scheme.ED25519
    with pytest.raises(ConfigError, match="allowed: hmac-sha256, ed25519"):
        Key.from_text("a", SECRET.hex(), "md5")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_secrets_have_one_length(length):
    with pytest.raises(ConfigError, match=f"found {length} bytes; allowed: 32"):
        Key("a", bytes(length))


def test_secrets_are_drawn_anew():
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(new_secret()) == 32


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, None),
        ({"HPE_KEY_ID": "a", "HPE_KEY_SECRET": SECRET.hex()}, Key("a", SECRET)),
        (
            {"HPE_KEY_ID": "a", "HPE_KEY_SECRET": SECRET.hex(), "HPE_KEY_SCHEME": "ed25519"},
            Key("a", SECRET, Scheme.ED25519),
        ),
    ],
)
def test_the_environment_may_hold_a_client_s_key(environment, key):
    assert key_of_environment(environment) == key


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"HPE_KEY_ID": "a"}, "HPE_KEY_SECRET: not set"),
        ({"HPE_KEY_SECRET": SECRET.hex()}, "HPE_KEY_ID: not set"),
        ({"HPE_KEY_ID": "a", "HPE_KEY_SECRET": "x" * 64}, "text that is not hexadecimal"),
    ],
)
def test_half_a_key_in_the_environment_is_refused(environment, named):
    with pytest.raises(ConfigError, match=named):
        key_of_environment(environment)


def test_without_the_package_the_scheme_is_refused_by_name(monkeypatch, path):
    save(path, MARKET_DATA)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ConfigError, match=r"ed25519 needs the package .*hpe-exchange\[ed25519\]"):
        load_keys(path)


# --- files --------------------------------------------------------------------------------------


def test_the_key_file_reads_back(path):
    save(path, *ALL)
    keys = load_keys(path)
    assert tuple(keys.values()) == ALL
    assert list(keys) == [entry.id for entry in ALL]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_the_key_file_says_which_half_of_a_key_it_has(path):
    save(path, TRADER, MARKET_DATA)
    rows = json.loads(path.read_bytes())["keys"]
    assert (rows[0]["secret"], rows[1]["public_key"]) == (SECRET.hex(), PUBLIC.hex())
    assert "public_key" not in rows[0]
    assert "secret" not in rows[1]


def test_a_block_that_fails_changes_nothing(path):
    save(path, TRADER)
    before = path.read_bytes()
    for target in (path, path.with_name("other")):
        with pytest.raises(ZeroDivisionError), changed_keys(target) as keys:
            fail_after(keys.clear)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_link_stays_a_link(path):
    save(path, TRADER)
    link = path.with_name("link.json")
    link.symlink_to(path)
    save(link, OPERATOR)
    assert link.is_symlink()
    assert list(load_keys(path)) == ["alice", "ops"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700, 0o644, 0o666, 0o610])
def test_a_file_that_others_could_use_is_refused(path, mode):
    save(path, TRADER)
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load_keys(path)
    assert f"found mode {mode:04o}; allowed: 0600" in str(caught.value)
    assert f"chmod 600 {path}" in str(caught.value)
    with pytest.raises(ConfigError, match="found mode"), changed_keys(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_that_only_its_owner_reads_is_enough(path):
    save(path, TRADER)
    path.chmod(0o400)
    assert list(load_keys(path)) == ["alice"]


def test_a_file_of_another_user_is_refused(path, monkeypatch):
    save(path, TRADER)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert list(load_keys(path)) == ["alice"]  # the administrator's file is good for everyone
        os.chown(path, 12_345, -1)
        owner = 12_345
    with pytest.raises(ConfigError, match=f"found owner {owner}; allowed: "):
        load_keys(path)


@pytest.mark.parametrize("kind", ["directory", "pipe", "missing"])
def test_what_is_no_file_is_refused_without_waiting(path, kind):
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match=f"^{path}: (is not a file|cannot be read)"):
        load_keys(path)


@pytest.mark.parametrize("size", [FILE_BYTES_MAX + 1, 3 * 1024**3])
def test_a_file_that_is_too_large_takes_no_memory(path, size):
    save(path, TRADER)
    os.truncate(path, size)  # sparse: it takes no disk either
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=f"found {size} bytes; allowed: 1048576"):
            load_keys(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * FILE_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_a_file_that_grows_while_it_is_read_is_not_read_on(path, monkeypatch):
    """Files of /proc say that they are empty: what counts is what comes."""
    save(path, TRADER)
    monkeypatch.setattr(small_files.os, "read", lambda _descriptor, size: bytes(min(size, 99_999)))
    with pytest.raises(ConfigError, match="found 1048577 bytes; allowed: 1048576"):
        load_keys(path)


def test_what_takes_the_place_of_an_opened_file_is_not_looked_at(path, monkeypatch):
    save(path, TRADER)
    other = path.with_name("other.json")
    save(other, OPERATOR)
    other.chmod(0o666)
    honest = os.fstat

    def swap(descriptor):
        if path.exists() and not path.is_symlink():
            path.unlink()
            path.symlink_to(other)
        return honest(descriptor)

    monkeypatch.setattr(small_files.os, "fstat", swap)
    assert list(load_keys(path)) == ["alice"]
    assert path.is_symlink()


def test_keys_that_would_not_be_read_back_are_not_written(path):
    save(path, TRADER)
    many = [KeyEntry(f"k{n}", Scheme.HMAC_SHA256, Role.OPERATOR, (), SECRET) for n in range(9_999)]
    with pytest.raises(ConfigError, match=r"10000 keys take \d+ bytes; allowed: 1048576"):
        save(path, *many)
    assert list(load_keys(path)) == ["alice"]
    save(path, *many[:4_000])
    assert len(load_keys(path)) == 4_001


@pytest.mark.parametrize(
    "content", ["", "{", '{"version": ' + "[" * 100_000, "[]", "null", '{"version": 1}', "\udcff"]
)
def test_what_is_no_key_file_is_refused(path, content):
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=f"^{path}: "):
        load_keys(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": ""}, "key id"),
        ({"id": None}, r"at \$.keys\[0\]: Object missing required field `id`"),
        ({"role": "anonymous"}, r"keys\[0\] \(a\): role: allowed: trader, gateway"),
        ({"role": "trader"}, r"keys\[0\] \(a\): users: found ''"),
        ({"users": "7"}, r"keys\[0\] \(a\): users: found '7'; allowed: none"),
        ({"scheme": "md5"}, r"keys\[0\] \(a\): scheme: allowed: hmac-sha256, ed25519"),
        ({"secret": ""}, r"keys\[0\] \(a\): secret: found 0 bytes"),
        ({"secret": 5}, r"at \$.keys\[0\].secret: not as allowed"),
        ({"public_key": "00"}, "has a public_key; allowed: only a secret with hmac-sha256"),
        ({"scheme": "ed25519"}, "has a secret; allowed: only a public_key with ed25519"),
        ({"extra": 1}, r"at \$.keys\[0\]: not as allowed"),
    ],
)
def test_faults_of_a_row_are_named(path, change, named):
    write(path, {"version": 1, "keys": [row(**change)]})
    with pytest.raises(ConfigError, match=named) as caught:
        load_keys(path)
    if "id" not in change:
        assert str(path) in str(caught.value)


def test_other_versions_and_repeated_ids_are_refused(path):
    write(path, {"version": 2, "keys": []})
    with pytest.raises(ConfigError, match="found version 2; allowed: 1"):
        load_keys(path)
    write(path, {"version": 1, "keys": [row(), row()]})
    with pytest.raises(ConfigError, match="key a is listed twice"):
        load_keys(path)


def add_many(path, first, count):
    for number in range(first, first + count):
        save(path, KeyEntry(f"k{number}", Scheme.HMAC_SHA256, Role.OPERATOR, (), SECRET))


def test_two_processes_at_once_lose_nothing(path):
    context = get_context("spawn")
    processes = [context.Process(target=add_many, args=(path, n * 10, 10)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(load_keys(path)) == 30


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_change_that_fails_leaves_the_old_file(path, monkeypatch, step):
    save(path, TRADER)
    with monkeypatch.context() as patch:
        patch.setattr(key_files.os, step, no_space)
        with pytest.raises(ConfigError, match="cannot be written: No space"):
            save(path, OPERATOR)
    assert list(load_keys(path)) == ["alice"]
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"keys\.json: cannot be locked: No such file"):
        save(tmp_path / "no" / "where" / "keys.json", TRADER)


def test_a_client_s_file_reads_back_and_is_never_overwritten(path):
    key = Key("alice", SECRET, Scheme.ED25519)
    write_client_key(path, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_client_key(path) == key
    with pytest.raises(ConfigError, match="already exists"):
        write_client_key(path, Key("bob", SECRET))
    assert read_client_key(path) == key
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="found mode 0644"):
        read_client_key(path)


def test_a_client_s_file_that_could_not_be_written_is_not_left(path, monkeypatch):
    monkeypatch.setattr(key_files.os, "fsync", no_space)
    with pytest.raises(ConfigError, match="cannot be written: No space"):
        write_client_key(path, Key("alice", SECRET))
    assert not path.exists()


def test_a_client_s_file_needs_no_scheme(path):
    write(path, {"id": "alice", "secret": SECRET.hex()})
    assert read_client_key(path) == Key("alice", SECRET)


@given(
    field=st.sampled_from(["id", "role", "scheme", "users", "secret", "public_key"]),
    value=st.one_of(
        st.none(), st.integers(), st.text(max_size=70), st.lists(st.text(), max_size=2)
    ),
)
def test_no_row_makes_anything_but_a_key_or_a_config_error(field, value, tmp_path_factory):
    path = Path(tmp_path_factory.getbasetemp()) / "any.json"
    write(path, json.dumps({"version": 1, "keys": [{**row(), field: value}]}))
    with contextlib.suppress(ConfigError):
        assert all(isinstance(entry, KeyEntry) for entry in load_keys(path).values())
