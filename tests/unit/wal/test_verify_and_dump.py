"""hpe verify, hpe wal dump, hpe wal truncate: what people see, and that nothing changes."""

import argparse

import pytest

from hpe.cli.wal import add_parsers
from hpe.core import new_core
from hpe.wal.files import DirectoryFiles
from hpe.wal.mark import MARK_NAME, empty_mark
from hpe.wal.recovery import recover
from hpe.wal.verify import verify
from tests.support.log_builder import (
    BATCH,
    EVERY_THREE,
    INTERVAL,
    bodies,
    build_log,
    contents,
    outputs,
    put_mark,
    shorten,
)


@pytest.fixture
def log(tmp_path):
    build_log(tmp_path, outputs(4), BATCH, segment_bytes_max=1400)
    return tmp_path


@pytest.fixture
def hpe(capsys):
    """Run a command line; give its exit code and what it printed."""
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers(required=True))

    def command(*words):
        arguments = parser.parse_args([str(word) for word in words])
        code = arguments.run(arguments)
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return command


def damage(log):
    path = min(log.glob("*.hpewal"))
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)


def test_verify_a_clean_log(log, hpe):
    before = contents(log)
    code, lines, errors = hpe("verify", log)
    reference = new_core()
    for output in outputs(4):
        reference.replay(output.body)
    first, second = sorted(path.name for path in log.glob("*.hpewal"))
    sizes = [len(before[name]) for name in (first, second)]
    assert (code, errors) == (0, "")
    assert lines == [
        f"{first}: segment 1, sequences 1..43, 3 records, {sizes[0]} bytes, sync batch",
        f"{second}: segment 2, sequences 44..173, 1 records, {sizes[1]} bytes, sync batch",
        "last sequence: 173 in 4 records",
        f"state hash: {reference.state_hash().hex()}",
        "trades and responses: as logged; balances: conserved; invariants: hold",
    ]
    assert contents(log) == before


def test_verify_agrees_with_recovery_and_works_beside_it(log, hpe):
    result = recover(log, new_core(), BATCH)
    code, lines, _ = hpe("verify", log)
    result.log.close()
    assert code == 0
    assert f"state hash: {result.report.state_hash.hex()}" in lines


def test_verify_tells_a_torn_tail_and_leaves_it(log, hpe):
    build_log(log, outputs(5)[4:])
    path = max(log.glob("*.hpewal"))
    shorten(path, 5)
    before = contents(log)
    code, lines, _ = hpe("verify", log)
    assert code == 0
    assert "a start would cut a torn tail: 144 bytes of" in lines[2]
    assert "last sequence: 173 in 4 records" in lines
    assert contents(log) == before


@pytest.mark.parametrize("policy", [EVERY_THREE, INTERVAL])
def test_a_tail_that_may_have_been_answered_is_an_error(tmp_path, hpe, policy):
    build_log(tmp_path, outputs(5), policy)
    path = max(tmp_path.glob("*.hpewal"))
    shorten(path, 5)
    before = contents(tmp_path)
    code, lines, errors = hpe("verify", tmp_path)
    assert code == 65
    assert "a start would cut a torn tail: " in "".join(lines)
    assert "some may have been answered" in "".join(lines)
    assert errors.startswith("WalDamagedError: a start would cut commands that may have been")
    assert contents(tmp_path) == before


def test_an_empty_log_is_a_log(tmp_path, hpe):
    put_mark(tmp_path, empty_mark(b"L" * 16))
    code, lines, _ = hpe("verify", tmp_path)
    assert (code, lines[0]) == (0, "last sequence: 0 in 0 records")


@pytest.mark.parametrize(
    "command", [("verify",), ("wal", "dump"), ("wal", "truncate", "--at", 0)], ids=str
)
def test_a_directory_without_a_log_is_an_error(tmp_path, hpe, command):
    (tmp_path / "notes.txt").write_text("x")
    before = contents(tmp_path)
    code, lines, errors = hpe(*command, tmp_path)
    assert (code, lines) == (74, [])
    assert f"there is no log in {tmp_path}" in errors
    assert contents(tmp_path) == before


def test_verify_looks_again_while_the_log_changes(log):
    """A start beside it writes the last segment anew between two of its reads."""

    class Restarted(DirectoryFiles):
        restarts = 2

        def read(self, name, bytes_max=None):
            data = super().read(name, bytes_max)
            if name == MARK_NAME and self.restarts:
                self.restarts -= 1
                recover(log, new_core(), BATCH).log.close()
            return data

    assert verify(Restarted(log), new_core(), print).last_sequence == 173


def test_verify_names_damage(log, hpe):
    damage(log)
    before = contents(log)
    code, _, errors = hpe("verify", log)
    assert code == 65
    assert errors.startswith(f"WalDamagedError: {min(before)} at offset 249: ")
    assert contents(log) == before


def test_verify_names_what_diverged(tmp_path, hpe):
    made = list(outputs(3))
    made[1] = made[1]._replace(body=made[1].body[:-1] + b"\0")
    build_log(tmp_path, made)
    code, _, errors = hpe("verify", tmp_path)
    assert code == 65
    assert "offset 249: replay diverged at sequence" in errors


def test_verify_of_no_directory(tmp_path, hpe):
    code, _, errors = hpe("verify", tmp_path / "none")
    assert code == 74
    assert "WalReadError: cannot list" in errors
    assert not (tmp_path / "none").exists()


def test_dump_shows_commands_with_field_names(log, hpe):
    before = contents(log)
    code, lines, errors = hpe("wal", "dump", log)
    assert (code, errors) == (0, "")
    assert contents(log) == before
    assert lines[0] == "head.mark: segment 1, durable up to sequence 0 at offset 104, open"
    text = "\n".join(lines)
    assert sum(line.startswith("segment ") for line in lines) == 2
    assert sum(line.startswith("  frame ") for line in lines) == 4
    assert sum(line.startswith("    body ") for line in lines) == 4
    assert "    body first_sequence=1 time=1970-01-01T00:00:00.000001000Z trades=0 " in text
    assert "      1 session=0 user=0 SessionAttached request_id=1 session_id=0 user=5 " in text
    assert "      5 session=1 user=5 Deposit request_id=4 asset=1 amount=1000000000000" in text
    assert (
        "      7 session=1 user=5 SubmitOrder request_id=6 instrument=1 client_order_id=6 "
        "side=sell order_type=limit time_in_force=gtc price=100 quantity=3 flags=0"
    ) in text
    assert (
        "      trade trade_id=1 instrument_id=1 price=100 quantity=3 maker_order_id=1 "
        "taker_order_id=2"
    ) in text
    numbers = [int(line.split()[0]) for line in lines if " session=" in line]
    assert numbers == list(range(1, 174))


def test_dump_of_a_part(log, hpe):
    _, lines, _ = hpe("wal", "dump", log, "--segment", 2)
    assert [line.split()[1] for line in lines if line.startswith("segment")] == ["2"]
    _, lines, _ = hpe("wal", "dump", log, "--segment", 1, "--limit", 1)
    assert len([line for line in lines if line.startswith("  frame")]) == 1
    assert lines[-1] == "  (2 more frames)"


def test_dump_reads_up_to_damage_and_says_so(log, hpe):
    damage(log)
    left = min(log.glob("*.hpewal")).stat().st_size - 249
    _, lines, _ = hpe("wal", "dump", log, "--segment", 1)
    assert lines[-1] == (
        f"  bad at offset 249: a frame's payload does not match its checksum; {left} bytes left"
    )
    assert len([line for line in lines if line.startswith("  frame")]) == 1


def test_dump_shows_what_it_cannot_decode_as_bytes(tmp_path, hpe):
    first = outputs(1)[0]
    unreadable = first._replace(body=first.body.replace(b"\x9bp\x01\x00\x05", b"\x9bp\x01\x00\xc3"))
    assert unreadable.body != first.body
    build_log(tmp_path, [unreadable, first._replace(body=b"\xc1", last_sequence=2)])
    code, lines, _ = hpe("wal", "dump", tmp_path)
    assert code == 0
    assert any("1 session=0 user=0 unreadable (" in line and "9b7001" in line for line in lines)
    assert any(line.startswith("    body unreadable (") and ": c1" in line for line in lines)


def test_truncate_tells_what_it_kept(log, hpe):
    code, lines, _ = hpe("wal", "truncate", log, "--at", 41)
    assert code == 0
    assert lines[-1] == "the log ends at sequence 41"
    kept = [line.removeprefix("kept what was cut: ") for line in lines[:-1]]
    assert sorted(kept) == sorted(path.name for path in log.glob("*.cut"))
    assert bodies(DirectoryFiles(log)) == [output.body for output in outputs(2)]


def test_truncate_refusals(log, hpe):
    assert hpe("wal", "truncate", log, "--at", 30)[0] == 65
    result = recover(log, new_core(), BATCH)
    code, _, errors = hpe("wal", "truncate", log, "--at", 41)
    result.log.close()
    assert code == 73
    assert "DataDirectoryBusy" in errors
    with pytest.raises(SystemExit):
        hpe("wal", "truncate", log, "--at", -1)
    with pytest.raises(SystemExit):
        hpe("wal", "truncate", log)
