"""The real files: modes, locking, and errors of the operating system as errors of the log."""

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys

import pytest

from hpe.errors import DataDirectoryBusy, WalReadError, WalWriteError
from hpe.wal.files import DirectoryFile, DirectoryFiles, NoSpace, write_file


@pytest.fixture
def files(tmp_path):
    files = DirectoryFiles(tmp_path / "data")
    files.lock()
    yield files
    files.close()


def test_directory_and_files_are_private(tmp_path):
    old_mask = os.umask(0)
    try:
        files = DirectoryFiles(tmp_path / "new" / "data")
        files.lock()
        write_file(files, "a", [b"x"]).close()
        files.close()
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "data" / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new" / "data" / "lock").stat().st_mode) == 0o600


def test_write_read_rename_remove(files):
    file = write_file(files, "a", [b"one", b"two"])
    file.write(6, [b"th", b"", b"reexx"])
    file.write(0, [b"O"])
    file.datasync()
    file.truncate(11)
    file.sync()
    file.close()
    assert files.read("a") == b"Onetwothree"
    assert files.read("a", 4) == b"Onet"
    files.rename("a", "b")
    assert files.names() == ["b", "lock"]
    files.remove("b")
    assert files.names() == ["lock"]


def test_write_file_replaces_whole_or_not_at_all(files):
    write_file(files, "a", [b"old"]).close()

    def failing():
        yield b"new"
        raise WalWriteError("no more")

    with pytest.raises(WalWriteError, match="no more"):
        write_file(files, "a", failing())
    assert files.read("a") == b"old"
    write_file(files, "a", [b"new"]).close()
    assert files.read("a") == b"new"
    assert files.names() == ["a", "lock"]


def test_a_pipe_in_the_directory_is_refused_not_waited_for(files, tmp_path):
    os.mkfifo(tmp_path / "data" / "pipe")
    with pytest.raises(WalReadError, match="pipe"):
        files.read("pipe")


def test_the_error_names_the_process_that_holds_the_lock(files, tmp_path):
    with pytest.raises(DataDirectoryBusy, match=f"in use by process {os.getpid()}"):
        DirectoryFiles(tmp_path / "data").lock()
    files.close()
    other = DirectoryFiles(tmp_path / "data")
    other.lock()
    other.close()


def test_without_the_lock_file_the_directory_is_still_taken(files, tmp_path):
    (tmp_path / "data" / "lock").unlink()
    with pytest.raises(DataDirectoryBusy, match="in use by process unknown"):
        DirectoryFiles(tmp_path / "data").lock()
    assert not (tmp_path / "data" / "lock").exists()
    (tmp_path / "data" / "lock").write_text("77\n")
    with pytest.raises(DataDirectoryBusy, match="in use by process 77"):
        DirectoryFiles(tmp_path / "data").lock()


def test_a_lock_file_that_another_holds_is_enough(tmp_path):
    """A version that locks the file alone may run beside this one."""
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(DataDirectoryBusy):
        DirectoryFiles(tmp_path).lock()
    os.close(descriptor)
    files = DirectoryFiles(tmp_path)
    files.lock()
    files.close()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO])
@pytest.mark.parametrize("call", [1, 2])
def test_a_lock_that_the_system_cannot_give_is_an_error_of_the_log(
    tmp_path, monkeypatch, number, call
):
    real, calls = fcntl.flock, []

    def flock(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(number, os.strerror(number))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path if call == 1 else tmp_path / "lock"
    with pytest.raises(WalWriteError, match=f"cannot lock {path}: {os.strerror(number)}"):
        DirectoryFiles(tmp_path).lock()
    again = DirectoryFiles(tmp_path)
    again.lock()  # the failed one holds nothing
    again.close()


def test_a_lock_file_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(WalWriteError, match=r"cannot open .*lock: Too many levels"):
        DirectoryFiles(tmp_path).lock()
    assert not (tmp_path / "victim").exists()


def test_every_entry_that_a_start_can_have_made_is_synced(tmp_path, monkeypatch):
    """Also the entry of a directory that an earlier start made and did not live to sync."""
    path = tmp_path / "made" / "by" / "data"
    path.mkdir(parents=True)
    real, synced = os.fsync, []

    def fsync(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files = DirectoryFiles(path)
    files.lock()
    files.close()
    expected = [parent.stat().st_ino for parent in list(path.parents)[:3]]
    assert synced[:3] == expected


def change_nothing(data):
    pass


def remove(data):
    (data / "a").unlink()


def replace(data):
    (data / "b").write_bytes((data / "a").read_bytes())
    (data / "b").rename(data / "a")


def link_twice(data):
    os.link(data / "a", data / "b")


def move_the_directory(data):
    data.rename(data.with_name("moved"))


def put_a_file_for_the_directory(data):
    move_the_directory(data)
    data.write_bytes(b"")


def move_and_link_the_directory(data):
    move_the_directory(data)
    data.symlink_to(data.with_name("moved"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_nothing, None),
        (link_twice, None),
        (move_and_link_the_directory, None),  # the configured path still leads to the file
        (remove, "removed or moved"),
        (replace, "replaced"),
        (move_the_directory, "removed or moved"),
        (put_a_file_for_the_directory, "removed or moved"),
    ],
)
def test_the_place_of_a_file(files, tmp_path, change, words):
    file = write_file(files, "a", [b"x"])
    change(tmp_path / "data")
    if words is None:
        file.check_place()
    else:
        with pytest.raises(WalWriteError, match=f"data/a was {words} while it was in use"):
            file.check_place()
    file.close()


def test_a_locked_directory_is_used_wherever_it_is(files, tmp_path):
    """What takes its place belongs to somebody else."""
    write_file(files, "a", [b"x"]).close()
    move_the_directory(tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"of another")
    write_file(files, "b", [b"y"]).close()
    files.rename("b", "c")
    files.remove("a")
    files.sync_directory()
    assert files.names() == ["c", "lock"]
    assert files.read("c") == b"y"
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["c", "lock"]
    assert (tmp_path / "data" / "a").read_bytes() == b"of another"


def test_a_killed_holder_leaves_no_lock(tmp_path):
    code = (
        "import sys; from hpe.wal.files import DirectoryFiles\n"
        "files = DirectoryFiles(sys.argv[1]); files.lock(); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataDirectoryBusy, match=f"process {holder.pid}"):
            DirectoryFiles(tmp_path).lock()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    files = DirectoryFiles(tmp_path)
    files.lock()
    files.close()


def test_more_parts_than_the_system_takes_are_one_write_all_the_same(files):
    file = files.create("a")
    parts = [b"%d," % number for number in range(os.sysconf("SC_IOV_MAX") + 1)]
    file.write(0, parts)
    file.close()
    assert files.read("a") == b"".join(parts)


def test_a_file_that_got_its_name_later_is_looked_for_there(files):
    file = files.create("a.new")
    files.rename("a.new", "b")
    with pytest.raises(WalWriteError, match="data/a was removed or moved"):
        file.check_place()
    file.named("b")
    file.check_place()
    file.close()


def test_a_full_disk_fails_the_write_and_every_later_call(files, tmp_path):
    os.symlink("/dev/full", tmp_path / "data" / "full")
    file = files.create("full")
    with pytest.raises(NoSpace, match="No space left on device"):
        file.write(0, [b"x"])
    assert_poisoned(file)
    file.close()


def test_a_short_write_is_a_failure(tmp_path):
    """A process that may not write so long a file gets less than asked, as on a full disk."""
    path = tmp_path / "file"
    file = DirectoryFile(os.open(path, os.O_WRONLY | os.O_CREAT), path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(NoSpace, match="wrote 1000 of 3000 bytes to"):
            file.write(0, [bytes(500), bytes(2500)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_poisoned(file)
    file.close()


@pytest.mark.parametrize("call", ["datasync", "sync"])
def test_a_failed_sync_is_never_tried_again(tmp_path, call):
    """A pipe cannot be synced: the kernel answers EINVAL."""
    reader, writer = os.pipe()
    file = DirectoryFile(writer, tmp_path / "pipe")
    with pytest.raises(WalWriteError, match=r"cannot sync .*pipe: Invalid argument"):
        getattr(file, call)()
    assert_poisoned(file)
    file.close()
    file.close()
    os.close(reader)


def test_errors_of_the_system_are_errors_of_the_log(files, tmp_path):
    with pytest.raises(WalReadError, match=r"cannot read .*/none: No such file"):
        files.read("none")
    with pytest.raises(WalWriteError, match="cannot rename"):
        files.rename("none", "a")
    with pytest.raises(WalWriteError, match="cannot remove"):
        files.remove("none")
    with pytest.raises(WalWriteError, match="cannot create"):
        files.create("no/such")
    missing = DirectoryFiles(tmp_path / "missing")
    with pytest.raises(WalReadError, match="cannot list"):
        missing.names()
    with pytest.raises(WalWriteError, match="cannot sync"):
        missing.sync_directory()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WalWriteError, match="cannot create"):
        DirectoryFiles(tmp_path / "file" / "data").lock()


def assert_poisoned(file):
    for call in (lambda: file.write(0, [b"y"]), file.datasync, file.sync):
        with pytest.raises(WalWriteError, match="failed before and is not used again"):
            call()
