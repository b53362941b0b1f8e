"""What the process does if stopping takes too long."""

import os
import signal

import pytest
import trio
import trio.testing

from hpe.cli import serve


class Left(Exception):
    """Stands for the end of the process, after which nothing runs."""


@pytest.mark.parametrize(
    ("times_s", "left_at_s"),
    [((1, 4), 4), ((1,), 11), ((1, 30), 11)],
    ids=["second signal", "never stops", "second signal too late"],
)
async def test_a_stop_that_takes_too_long_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
    times_s: tuple[float, ...],
    left_at_s: float,
) -> None:
    start_s = trio.current_time()
    left: list[tuple[int, float]] = []

    def leave(code: int) -> None:
        left.append((code, trio.current_time() - start_s))
        raise Left

    async def send(sender: trio.MemorySendChannel[int]) -> None:
        for second in times_s:
            await trio.sleep_until(start_s + second)
            await sender.send(signal.SIGTERM)

    monkeypatch.setattr(os, "_exit", leave)
    stopper = serve._Stopper()
    sender, receiver = trio.open_memory_channel[int](1)
    with sender, receiver:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, sender)
            with pytest.raises(Left):
                await serve._watch(receiver, stopper, 10.0)
            nursery.cancel_scope.cancel()
    assert left == [(serve.EXIT_IMPATIENT, left_at_s)]
    assert stopper.requested.is_set()
