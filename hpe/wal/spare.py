"""The next segment's file, filled with zeros before it is needed.

Owns the files that are being filled and those that are ready. `want` and `take` are called by the
log's thread, `serve` keeps a thread of its own, `stop` may be called by anybody; `discard` and
`close` only when no other thread is at work here. Guarantees: what `take` gives is of full size,
all zeros and durable, and nobody else has it; a disk without room ends nothing, what was begun
is removed then and the log goes on without it. Never touches a file that the log writes: so
filling cannot overwrite a frame. Relies on CPython: appending to and popping from the ends of a
deque are atomic. Source: docs/log-format.md, "Filling ahead".
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
"""Written and synced at once: long enough that the disk takes it as one request, short enough that
a commit which meets it waits for a millisecond or two."""

NICENESS: Final = 10
"""Behind everything that serves. Not lower and not SCHED_IDLE: between two system calls the thread
holds the interpreter's lock, and a thread that gets no processor would keep it from all others."""

_PIECE: Final = bytes(PIECE_BYTES)


class Spare(NamedTuple):
    """A file aside, open for writing."""

    name: str
    file: WriteFile


class SpareMaker:
    """Makes one spare file ahead for a log.

    Args:
        files: The data directory, locked.
        suffix: What a spare's name ends with before ASIDE_SUFFIX; a start removes what is left.
        size_bytes: Size of a spare.
    """

    def __init__(self, files: LogFiles, suffix: str, size_bytes: int) -> None:
        self._files = files
        self._suffix = suffix
        self._size_bytes = size_bytes
        self._ready: deque[Spare] = deque()  # appended while filling, popped by the log's thread
        self._filling: Spare | None = None
        self._filled_bytes = 0
        self._made = 0
        self._wake = threading.Event()
        self._stopping = False

    def want(self) -> None:
        """Have a spare made if there is none. Thread: wal."""
        self._wake.set()

    def take(self) -> Spare | None:
        """Return a spare that is ready, None if there is none. Thread: wal."""
        return self._ready.popleft() if self._ready else None

    def serve(self) -> None:
        """Make spares when they are wanted, until `stop`.

        The work is done in a thread that lives for that alone: a niceness cannot be taken back
        without privileges, and the calling thread may have other work later.

        Raises:
            WalWriteError: the disk failed, for another reason than want of room.
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
        """Make `serve` return after the piece that it is at."""
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
            "no room to fill the next segment ahead (%s): commits take longer, and one that finds "
            "no room at all ends the service",
            error,
        )
        if self._filling is not None:  # else it was the creation that failed
            self._remove(self._filling)
            self._filling = None

    def discard(self) -> None:
        """Remove all that was made and not taken."""
        while (spare := self.take()) is not None:
            self._remove(spare)
        if self._filling is not None:
            self._remove(self._filling)
            self._filling = None

    def _remove(self, spare: Spare) -> None:
        spare.file.close()
        self._files.remove(spare.name)

    def close(self) -> None:
        """Let go of the files; what was made stays for the next start to remove."""
        for spare in self._ready:
            spare.file.close()
        if self._filling is not None:
            self._filling.file.close()
