"""The fault-injecting files do what they promise, or the fault tests prove nothing."""

from random import Random

import pytest

from hpe.errors import WalReadError, WalWriteError
from hpe.wal.files import DirectoryFiles, write_file
from tests.support.faulty_files import FaultyFiles, Killed, written_in_part


def faulty(tmp_path, fail_at=0, kind="eio"):
    return FaultyFiles(DirectoryFiles(tmp_path / "data"), fail_at, kind)


def use(files):
    files.lock()
    file = write_file(files, "a", [b"0123456789"])
    file.write(10, [b"abcde", b"fghij"])
    file.datasync()
    file.close()
    files.rename("a", "b")
    files.sync_directory()
    files.remove("b")
    files.names()


OPERATIONS = [
    "lock", "create", "write", "sync", "rename", "sync_directory", "write", "datasync",
    "rename", "sync_directory", "remove", "names",
]  # fmt: skip


def test_without_a_fault_it_is_the_real_thing(tmp_path):
    files = faulty(tmp_path)
    use(files)
    assert files.operations == OPERATIONS
    assert files.names() == ["lock"]
    assert not files.failed
    files.close()


@pytest.mark.parametrize("kind", ["eio", "enospc", "short", "killed"])
@pytest.mark.parametrize("fail_at", range(1, len(OPERATIONS) + 1))
def test_the_chosen_operation_fails(tmp_path, fail_at, kind):
    files = faulty(tmp_path, fail_at, kind)
    words = {"eio": "Input/output error", "killed": "^$"}.get(kind, "No space left")
    with pytest.raises((WalWriteError, WalReadError, Killed), match=words) as caught:
        use(files)
    assert files.operations == OPERATIONS[:fail_at]
    assert files.failed
    assert (caught.type is Killed) == (kind == "killed")
    if kind == "killed":
        with pytest.raises(Killed):
            files.names()
    files.close()


@pytest.mark.parametrize(
    ("kind", "left"), [("eio", b""), ("short", b"01234"), ("killed", b"01234")]
)
def test_what_a_failing_write_leaves(tmp_path, kind, left):
    files = faulty(tmp_path, 3, kind)
    with pytest.raises((WalWriteError, Killed)):
        use(files)
    assert (tmp_path / "data" / "a.new").read_bytes() == left
    files.close()


def test_a_power_cut_takes_what_was_not_synced(tmp_path):
    files = faulty(tmp_path)
    files.lock()
    file = write_file(files, "a", [b"durable"])
    file.write(7, [b"\1" * 2000])
    files.create("unnamed").close()
    seen = set()
    for seed in range(60):
        files.power_cut(tmp_path / str(seed), Random(seed))
        data = (tmp_path / str(seed) / "a").read_bytes()
        assert data.startswith(b"durable")
        kind = "none" if len(data) == 7 else "all" if len(data) == 2007 else "part"
        seen.add((kind, 0 in data, (tmp_path / str(seed) / "unnamed").exists()))
    assert {kind for kind, _, _ in seen} == {"none", "part", "all"}
    assert {zeros for _, zeros, _ in seen} == {True, False}
    assert {named for _, _, named in seen} == {True, False}
    file.datasync()
    files.sync_directory()
    for seed in range(60, 70):
        files.power_cut(tmp_path / str(seed), Random(seed))
        assert (tmp_path / str(seed) / "a").read_bytes() == b"durable" + b"\1" * 2000
        assert (tmp_path / str(seed) / "unnamed").exists()
    file.close()
    files.close()


def test_a_power_cut_takes_sectors_of_what_was_written_into_zeros(tmp_path):
    """And any of two writes to one sector; a size that was cut may come back."""
    files = faulty(tmp_path)
    files.lock()
    file = write_file(files, "a", [b"durable", bytes(4089)])
    file.write(7, [b"\1" * 1017, b"\2" * 300])
    file.write(1324, [b"\3" * 1000])
    file.truncate(2324)
    seen, sizes = set(), set()
    for seed in range(400):
        files.power_cut(tmp_path / str(seed), Random(seed))
        data = (tmp_path / str(seed) / "a").read_bytes()
        assert data.startswith(b"durable")
        assert not data[2324:].strip(b"\0")
        sizes.add(len(data))
        # Three whole sectors of the first write, one that both wrote to, one of the second.
        kept = (data[7], data[600], data[1100], data[1400], data[1600])
        seen.add(kept)
        for start in (512, 1536):
            sector = data[start : start + 512]
            assert sector == sector[:1] * len(sector)
    assert sizes >= {2324, 4096}
    assert {kept[:2] for kept in seen} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {kept[2:] for kept in seen} == {
        (a, b, c) for a, b in ((0, 0), (2, 0), (2, 3)) for c in (0, 3)
    }
    file.sync()
    files.power_cut(tmp_path / "synced", Random(0))
    assert (tmp_path / "synced" / "a").stat().st_size == 2324
    file.close()
    files.close()


@pytest.mark.parametrize(("count", "left"), [(100, 0), (511, 0), (512, 512), (1500, 1024)])
def test_within_a_file_a_write_stops_between_two_sectors(count, left):
    data = b"x" * 3000
    assert len(written_in_part(4096, 1024, data, count)) == left
    # Behind the end the size tells how far it came.
    assert len(written_in_part(1024, 1024, data, count)) == count


def test_a_write_of_zeros_alone_counts_apart(tmp_path):
    files = faulty(tmp_path)
    files.lock()
    write_file(files, "a", [bytes(100), b"x" + bytes(100)]).close()
    files.open_in_place("a").write(0, [b"x"])
    assert files.operations[2:4] == ["fill", "write"]
    assert files.operations[-2:] == ["open_in_place", "overwrite"]
    files.close()


def test_a_power_cut_may_undo_a_rename_and_a_removal(tmp_path):
    files = faulty(tmp_path)
    files.lock()
    write_file(files, "a", [b"x"]).close()
    files.rename("a", "b")
    files.remove("b")
    states = set()
    for seed in range(40):
        files.power_cut(tmp_path / str(seed), Random(seed))
        states.add(tuple(path.name for path in (tmp_path / str(seed)).iterdir()))
    assert states == {("a",), ("b",), ()}
    files.close()
