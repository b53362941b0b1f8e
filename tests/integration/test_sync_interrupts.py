"""Ctrl-C and forgotten blocks in scripts: nothing is lost, nothing hangs.

Each script is a process of its own beside a real service. It presses Ctrl-C itself, once its main
thread has come to rest: so the signal never comes before the call blocks.
"""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from hpe.client.client import connect
from hpe.client.sync import connect_sync
from tests.support.cutting_proxy import cutting_proxy
from tests.support.service import running_service

PATIENCE_S = 120


CTRL_C = """
    import signal, sys, threading, time

    # A shell starts what is to run behind it without Ctrl-C, and the tests may be that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def ctrl_c(tell=False):
        main = threading.main_thread().ident

        def press():
            before, same = None, 0
            while same < 20:
                frame = sys._current_frames()[main]
                now = id(frame), frame.f_lasti
                same = same + 1 if now == before else 0
                before = now
                time.sleep(0.01)
            if tell:
                print("pressed")
            signal.pthread_kill(main, signal.SIGINT)

        threading.Thread(target=press, name="ctrl-c").start()
"""


class ScriptProcess:
    """A Python program with its output line by line."""

    def __init__(self, source: str, *arguments: str) -> None:
        text = textwrap.dedent(CTRL_C) + textwrap.dedent(source)
        program = [sys.executable, "-u", "-c", text, *arguments]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)

    async def line(self) -> str:
        """Return its next line."""
        assert self.process.stdout is not None
        line: str = await trio.to_thread.run_sync(
            self.process.stdout.readline, abandon_on_cancel=True
        )
        return line.strip()

    async def exit_code(self) -> int:
        """Return the code that it ends with, by itself."""
        code: int = await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)
        return code


@contextmanager
def running(source: str, *arguments: str) -> Iterator[ScriptProcess]:
    script = ScriptProcess(source, *arguments)
    try:
        yield script
    finally:
        script.process.kill()
        script.process.wait()
        assert script.process.stdout is not None
        script.process.stdout.close()


NEXT = """
    import hpe

    with hpe.connect_sync(sys.argv[1], user=1) as client:
        with client.private_events() as events, client.book("BTC/USD") as book:
            for _ in range(5):  # one that goes on waiting would take what comes, or not
                ctrl_c()
                try:
                    next(events)
                except KeyboardInterrupt:
                    pass
            print("interrupted")
            print(next(events).private_sequence)
            ctrl_c()
            try:
                book.changed()
            except KeyboardInterrupt:
                print("interrupted")
            book.changed()
            print(book.look(lambda book: len(book.bids)))
            print("session", client.session_id)
"""


async def test_what_comes_after_an_interrupted_next_is_not_lost(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with (
            running_service(tmp_path) as service,
            connect(service.address, user=2, timeout_s=PATIENCE_S) as other,
        ):
            with running(NEXT, service.address) as script:
                assert await script.line() == "interrupted"
                await other.deposit("USD", 1_000, user=1)
                assert await script.line() == "1"
                assert await script.line() == "interrupted"
                await other.submit_order("BTC/USD", "buy", 1, 100, user=1)
                assert await script.line() == "1"
                assert (await script.line()).startswith("session")
                assert await script.exit_code() == 0


CONNECT = """
    from hpe import connect_sync

    ctrl_c(tell=True)
    try:
        with connect_sync(sys.argv[1], user=1):
            print("connected")
    except KeyboardInterrupt:
        names = [thread.name for thread in threading.enumerate() if thread.name != "ctrl-c"]
        print("interrupted", names)
"""


async def test_connecting_can_be_interrupted(tmp_path: Path) -> None:
    """The service answers late, and nobody waits for it any more."""
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service, cutting_proxy(service.port) as proxy:
            proxy.stall()
            with running(CONNECT, proxy.address) as script:
                assert await script.line() == "pressed"
                proxy.go_on()
                assert await script.line() == "interrupted ['MainThread']"
                assert await script.exit_code() == 0


FORGOTTEN = """
    import hpe

    manager = hpe.connect_sync(sys.argv[1], user=1)
    client = manager.__enter__()
    following = client.book("BTC/USD")
    book = following.__enter__()
    print(client.deposit("USD", 5).available)
"""


async def test_a_forgotten_block_does_not_keep_the_interpreter(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            with running(FORGOTTEN, service.address) as script:
                assert await script.line() == "5.000000"
                assert await script.exit_code() == 0


async def test_a_blocking_call_in_a_trio_task_is_refused(tmp_path: Path) -> None:
    def script(address: str) -> None:
        with connect_sync(address, user=1) as client:

            async def inside() -> None:
                client.ping()

            with pytest.raises(RuntimeError, match=r"use hpe\.connect there"):
                trio.run(inside)
            with pytest.raises(RuntimeError, match=r"use hpe\.connect there"):
                client.run(inside)

    with trio.fail_after(PATIENCE_S):
        async with running_service(tmp_path) as service:
            await trio.to_thread.run_sync(script, service.address)
