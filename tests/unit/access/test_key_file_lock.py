"""The key file's lock: what delays a change of it, and what does not."""

from multiprocessing import get_context

import pytest

from hpe.access.key_files import changed_keys, load_keys
from hpe.access.keys import KeyEntry, Scheme
from hpe.errors import ConfigError
from hpe.protocol.enums import Role
from hpe.wal.files import DirectoryFiles

TRADER = KeyEntry("alice", Scheme.HMAC_SHA256, Role.TRADER, (7, 8), bytes(range(32)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def save(path, entry):
    with changed_keys(path) as keys:
        keys[entry.id] = entry


def test_a_service_that_has_its_log_beside_the_file_holds_nothing_up(path):
    files = DirectoryFiles(path.parent)
    files.lock()
    process = get_context("spawn").Process(target=save, args=(path, TRADER))
    process.start()
    process.join(60)
    process.kill()
    process.join()
    files.close()
    assert process.exitcode == 0
    assert list(load_keys(path)) == ["alice"]


def test_a_command_that_was_killed_holds_nothing_up(path):
    lock = path.with_name(f".{path.name}.lock")
    lock.touch()
    save(path, TRADER)
    assert not lock.exists()


def test_no_other_file_is_locked_through_a_link(path):
    lock = path.with_name(f".{path.name}.lock")
    lock.symlink_to(path.with_name("other"))
    with pytest.raises(ConfigError, match=r"keys\.json: cannot be locked: Too many levels"):
        save(path, TRADER)
    assert not path.with_name("other").exists()
