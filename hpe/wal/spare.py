"""The next segment's file, filled with zeros before it is needed.

Owns the files that are being filled and those that are ready. The log thread calls `want` and
`take`; `serve` runs a thread of its own; any thread may call `stop`; `discard` and `close` may be
called only while no other thread uses this object. Guarantees: a spare that `take` returns has its
full size, holds only zeros, is durable, and belongs to the caller alone; a full disk is no error
here: the unfinished spare is removed, and the log goes on without it. Never touches a file that the
log writes, so filling cannot overwrite a frame. Relies on CPython: appending to and popping from
the ends of a deque are atomic. Source: docs/log-format.md, "Filling ahead".
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from typing import Final, NamedTuple

from hpe.wal.files import ASIDE_SUFFIX, LogFiles, NoSpace, WriteFile

LOGGER: Final = logging.getLogger("hpe.wal")

PIECE_BYTES: Final = 1024 * 1024
"""Written and synced at once: enough for the disk to take it as one request, and little enough that
a commit that has to wait for it waits only a millisecond or two."""

NICENESS: Final = 10
"""Lower priority than everything that serves. Not lower still, and not SCHED_IDLE: between two
system calls the thread holds the GIL, and without a CPU it would keep all others from running."""

_PIECE: Final = bytes(PIECE_BYTES)


class Spare(NamedTuple):
    """An unfinished file's name and handle."""

    name: str
    file: WriteFile


class SpareMaker:
    """Makes one spare file ahead for a log.

    Args:
        files: The data directory, locked.
        suffix: What a spare's name ends with before ASIDE_SUFFIX; a start removes leftover files.
        size_bytes: Size of a spare.
    """

    def __init__(self, files: LogFiles, suffix: str, size_bytes: int) -> None:
        self._files = files
        self._suffix = suffix
        self._size_bytes = size_bytes
        self._ready: deque[Spare] = deque()  # appended while filling, popped by the log thread
        self._filling: Spare | None = None
        self._filled_bytes = 0
        self._made = 0
        self._wake = threading.Event()
        self._stopping = False

    def want(self) -> None:
        """Request a spare if there is none. Thread: wal."""
        self._wake.set()

    def take(self) -> Spare | None:
        """Return a spare that is ready, or None. Thread: wal."""
        return self._ready.popleft() if self._ready else None

    def serve(self) -> None:
        """Make spares when they are requested, until `stop`.

        The work is done in a thread of its own, which ends with it: without privileges, a thread
        cannot lower its niceness again, and the calling thread may have other work later.

        Raises:
            WalWriteError: the disk failed for another reason than a lack of space.
        """
        faults: list[BaseException] = []

        def work() -> None:
            try:
                self._work()
            except BaseException as fault:
                faults.append(fault)  # raised below

        thread = threading.Thread(target=work, name="hpe-wal-zeros", daemon=True)
        thread.start()
        thread.join()
        if faults:
            raise faults[0]

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            self._wake.wait()
            self._wake.clear()
            while not self._stopping and self.step():
                pass
            if self._stopping:
                return

    def stop(self) -> None:
        """Make `serve` return after the current piece."""
        self._stopping = True
        self._wake.set()

    def step(self) -> bool:
        """Do the next piece of work for a spare; True if there is more to do. Thread: fill."""
        if self._ready:
            return False
        try:
            return self._go_on()
        except NoSpace as error:
            self._give_up(error)
            return False

    def _go_on(self) -> bool:
        if self._filling is None:
            self._made += 1
            name = f"spare-{self._made}{self._suffix}{ASIDE_SUFFIX}"
            self._filled_bytes = 0
            self._filling = Spare(name, self._files.create(name))
            return True
        file = self._filling.file
        if self._filled_bytes < self._size_bytes:
            piece = _PIECE[: self._size_bytes - self._filled_bytes]
            file.write(self._filled_bytes, [piece])
            file.datasync()
            self._filled_bytes += len(piece)
            return True
        file.sync()
        self._ready.append(self._filling)
        self._filling = None
        return False

    def _give_up(self, error: NoSpace) -> None:
        LOGGER.warning(
            "no room to fill the next segment ahead (%s): commits take longer, and the service "
            "stops when a commit finds no room at all",
            error,
        )
        if self._filling is not None:  # None if creating the file failed
            self._remove(self._filling)
            self._filling = None

    def discard(self) -> None:
        """Remove the spares that were not taken, finished or not."""
        while (spare := self.take()) is not None:
            self._remove(spare)
        if self._filling is not None:
            self._remove(self._filling)
            self._filling = None

    def _remove(self, spare: Spare) -> None:
        spare.file.close()
        self._files.remove(spare.name)

    def close(self) -> None:
        """Close the files. They stay on disk; the next start removes them."""
        for spare in self._ready:
            spare.file.close()
        if self._filling is not None:
            self._filling.file.close()
