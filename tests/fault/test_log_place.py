"""Directory, lock and segments are removed, moved and replaced under a loaded service.

Either the service ends with 74 and answers nothing that was sent after the change, or the change
does no harm and the service continues. Two services never write one log, and no answer is lost that
the files still hold.
"""

import shutil
import signal
import threading
import time
from contextlib import closing

import msgpack
import pytest

from hpe.core.codec import encode
from hpe.protocol.frames import frame
from hpe.protocol.listings import AddAsset
from hpe.protocol.money import Deposit
from hpe.protocol.operations import GetConservation
from hpe.wal.mark import MARK_NAME
from tests.support.crash import TraderConnection
from tests.support.service import ServiceProcess

WINDOW = 16
PATIENCE_S = 120


class Load(threading.Thread):
    """Deposits one unit at a time, in windows, until the connection ends."""

    def __init__(self, port):
        super().__init__()
        self._wire = TraderConnection(port, 0)
        self._moved = threading.Condition()
        self._stopping = False
        self.sent_s = {}
        self.answered = set()

    def run(self):
        try:
            self._exchange([AddAsset(1, "USD", 2)])
            while not self._stopping:
                first = len(self.sent_s) + 1
                self._exchange([Deposit(first + n, 1, 1) for n in range(WINDOW)])
        except OSError:
            pass
        finally:
            self._wire.close()

    def _exchange(self, requests):
        for request in requests:
            self.sent_s[request.request_id] = time.monotonic()
        self._wire.send(b"".join(frame(encode(request)) for request in requests))
        while len(self.answered) < len(self.sent_s):
            bodies = self._wire.receive()
            if not bodies:
                raise ConnectionResetError
            for body in bodies:
                request_id = msgpack.unpackb(body)[1]
                with self._moved:
                    self.answered.add(request_id)
                    self._moved.notify_all()

    def wait_more(self, count):
        """Wait for this many further answers."""
        with self._moved:
            enough = len(self.answered) + count
            assert self._moved.wait_for(lambda: len(self.answered) >= enough, PATIENCE_S)

    def stop(self):
        self._stopping = True
        self.join(PATIENCE_S)
        assert not self.is_alive()


def data_of(directory):
    return directory / "data"


def last_segment(data):
    return max(data.glob("*.hpewal"))


def balance(directory):
    """Start a service and ask it what was deposited."""
    with ServiceProcess(directory) as service:
        wire = TraderConnection(service.port, 0)
        wire.send(frame(encode(GetConservation(1, 1))))
        net_deposits = msgpack.unpackb(wire.receive()[0])[6]
        wire.close()
        service.terminate()
        assert service.wait() == 0
    return net_deposits


def expect_refusal(directory, words):
    """Start a service that ends before it is ready."""
    with pytest.raises(RuntimeError, match=words), ServiceProcess(directory):
        pass


def remove_directory(data):
    shutil.rmtree(data)


def move_directory(data):
    data.rename(data.with_name("moved"))


def replace_directory(data):
    data.rename(data.with_name("moved"))
    shutil.copytree(data.with_name("moved"), data)


def remove_segment(data):
    last_segment(data).unlink()


def move_segment(data):
    last_segment(data).rename(data / "moved")


def replace_segment(data):
    path = last_segment(data)
    shutil.copy(path, data / "copy")
    (data / "copy").rename(path)


@pytest.mark.parametrize("sync", ["batch", "interval_ms=1000"])
@pytest.mark.parametrize(
    "change",
    [
        remove_directory,
        move_directory,
        replace_directory,
        remove_segment,
        move_segment,
        replace_segment,
    ],
)
def test_a_log_that_is_elsewhere_ends_the_service(tmp_path, sync, change):
    data = data_of(tmp_path)
    with ServiceProcess(tmp_path, ["--sync", sync]) as service:
        load = Load(service.port)
        load.start()
        load.wait_more(100)
        change(data)
        changed_s = time.monotonic()
        assert service.wait() == 74, service.errors()
        load.join(PATIENCE_S)
        errors = service.errors()
    assert f"{data}/" in errors
    assert "while it was in use" in errors
    late = [number for number in load.answered if load.sent_s[number] > changed_s]
    # Under a relaxed policy, too: the place is looked at before every publishing.
    assert late == []
    if change is move_directory:
        data.with_name("moved").rename(data)
        assert balance(tmp_path) >= len(load.answered) - 1
    elif change is move_segment:
        (data / "moved").rename(data / f"{1:020d}.hpewal")
        assert balance(tmp_path) >= len(load.answered) - 1


@pytest.mark.parametrize("change", [move_directory, remove_segment, replace_segment])
def test_a_query_is_not_answered_from_a_log_that_is_elsewhere(tmp_path, change):
    """It logs nothing, so its answer alone has to make the service look."""
    with ServiceProcess(tmp_path) as service, closing(TraderConnection(service.port, 0)) as wire:
        wire.send(frame(encode(AddAsset(1, "USD", 2))))
        assert wire.receive()
        change(data_of(tmp_path))
        wire.send(frame(encode(GetConservation(2, 1))))
        assert wire.receive() == []
        assert service.wait() == 74
        assert "while it was in use" in service.errors()


def remove_mark(data):
    (data / MARK_NAME).unlink()


@pytest.mark.parametrize(
    "change", [remove_directory, move_directory, replace_directory, remove_segment, remove_mark]
)
def test_a_stop_does_not_claim_success(tmp_path, change):
    """Nothing was sent since the change, so the stop is the first to find it."""
    with ServiceProcess(tmp_path) as service:
        change(data_of(tmp_path))
        service.terminate()
        assert service.wait() == 74
        errors = service.errors()
    assert "while it was in use" in errors
    assert "stopped at sequence" not in errors


def remove_lock(lock):
    lock.unlink()


def replace_lock(lock):
    lock.rename(lock.with_name("moved"))
    lock.write_text("1\n")


def link_lock(lock):
    lock.unlink()
    lock.symlink_to(lock.with_name("elsewhere"))


@pytest.mark.parametrize("change", [remove_lock, replace_lock, link_lock])
def test_without_its_lock_file_a_directory_still_has_one_service(tmp_path, change):
    data = data_of(tmp_path)
    with ServiceProcess(tmp_path) as service:
        load = Load(service.port)
        load.start()
        load.wait_more(100)
        change(data / "lock")
        expect_refusal(tmp_path, r"(?s)exit 73 .* is in use by process")
        load.wait_more(100)
        load.stop()
        service.terminate()
        assert service.wait() == 0
    if change is link_lock:
        expect_refusal(tmp_path, r"(?s)exit 74 .*cannot open .*lock: ")
        (data / "lock").unlink()
    assert balance(tmp_path) == len(load.answered) - 1


def test_two_services_where_one_directory_took_the_place_of_another(tmp_path):
    """The first has the old directory, a second one serves the new; only the second answers."""
    data = data_of(tmp_path)
    with ServiceProcess(tmp_path) as first:
        load = Load(first.port)
        load.start()
        load.wait_more(100)
        first.signal(signal.SIGSTOP)
        data.rename(data.with_name("moved"))
        changed_s = time.monotonic()
        with ServiceProcess(tmp_path) as second:
            first.signal(signal.SIGCONT)
            assert first.wait() == 74
            load.join(PATIENCE_S)
            other = Load(second.port)
            other.start()
            other.wait_more(100)
            other.stop()
            second.terminate()
            assert second.wait() == 0
    assert [n for n in load.answered if load.sent_s[n] > changed_s] == []
    assert balance(tmp_path) == len(other.answered) - 1
    shutil.rmtree(data)
    data.with_name("moved").rename(data)
    assert balance(tmp_path) >= len(load.answered) - 1
