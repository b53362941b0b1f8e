"""The retry helper: executed once, whatever happens on the way."""

import pytest
from trio.testing import MockClock

from hpe.client.retrying import RetryPlan, retry, retry_blocking
from hpe.errors import (
    ConnectionLost,
    NotConnected,
    OrderRejected,
    QueryTimeout,
    ReplyTimeout,
    RequestRefused,
)

LATE = ReplyTimeout(3, 7)
BUSY = RequestRefused(7, 202, "busy", "", True)
STALE = RequestRefused(7, 213, "stale_id", "", False)


class ScriptedAnswers:
    """Answers in the order of the test, and notes what was asked."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    def next(self, what: str) -> str:
        self.asked.append(what)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self) -> str:
        return self.next("ask")

    async def outcome(self, error: ReplyTimeout) -> str:
        assert error is LATE
        return self.next("outcome")


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        (["done"], ["ask"]),
        ([LATE, "done"], ["ask", "outcome"]),
        ([LATE, LATE, NotConnected(), "done"], ["ask", "outcome", "outcome", "outcome"]),
        # It was refused, so it was not executed: now it may be sent as a new one.
        ([LATE, BUSY, "done"], ["ask", "outcome", "ask"]),
        ([BUSY, NotConnected(), QueryTimeout(3, 6), "done"], ["ask"] * 4),
    ],
)
async def test_a_command_is_sent_again_only_if_it_was_not_executed(
    autojump_clock: MockClock, answers: list[Exception | str], asked: list[str]
) -> None:
    script = ScriptedAnswers(*answers)
    assert await retry(script.ask, script.outcome, 60) == "done"
    assert script.asked == asked
    blocking = ScriptedAnswers(*answers)
    result = retry_blocking(
        lambda: blocking.next("ask"), lambda error: blocking.next("outcome"), 60
    )
    assert (result, blocking.asked) == ("done", asked)


@pytest.mark.parametrize(
    "final", [STALE, OrderRejected(7, 5, "no"), ConnectionLost("ended"), ValueError("mine")]
)
async def test_what_another_attempt_cannot_change_is_the_callers(final: Exception) -> None:
    script = ScriptedAnswers(final)
    with pytest.raises(type(final)) as caught:
        await retry(script.ask, script.outcome, 60)
    assert caught.value is final


async def test_it_ends_and_says_that_the_outcome_is_unknown() -> None:
    script = ScriptedAnswers(LATE)
    with pytest.raises(ReplyTimeout) as caught:
        await retry(script.ask, script.outcome, 0)
    assert caught.value is LATE
    plan = RetryPlan(60)
    plan.pause_s(LATE)
    plan._end_s = 0
    with pytest.raises(ReplyTimeout) as caught:
        plan.pause_s(NotConnected("no connection"))
    assert caught.value is LATE


def test_pauses_grow() -> None:
    plan = RetryPlan(60)
    pauses = [plan.pause_s(NotConnected()) for _ in range(50)]
    assert max(pauses) <= 5
    assert max(pauses) > 1


@pytest.mark.parametrize("what", ["a coroutine", "a result", None])
async def test_what_cannot_be_called_again_is_no_request(what: str | None) -> None:
    """A coroutine runs once; it is closed, so that nothing warns of it later."""
    script = ScriptedAnswers("done")
    given = script.ask() if what == "a coroutine" else what
    kind = type(given).__name__
    text = f"retry: found {kind}, allowed a function that makes the request, such as lambda: "
    with pytest.raises(TypeError, match=text):
        await retry(given, script.outcome, 60)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match=text):
        retry_blocking(given, script.outcome, 60)  # type: ignore[arg-type]  # wrong on purpose
    assert script.asked == []
