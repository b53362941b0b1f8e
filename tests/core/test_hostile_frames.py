"""Hostile frames among good ones: errors and their fields match a second opinion."""

import pytest

from hpe.protocol.codes import ERROR_TRAITS, ErrorCode
from hpe.protocol.control import Error
from tests.support.hostile_frames import hostile_bodies
from tests.support.second_judge import verdict_on

PER_RUN = 50


@pytest.mark.parametrize("seed", range(2))
def test_the_core_answers_each_with_its_error_and_goes_on(market, seed):
    """Whole runs of a session: errors in their places, requests executed between them."""
    print(f"seed {seed}")
    bodies = [body for _, body in zip(range(3_000), hostile_bodies(seed), strict=False)]
    client = market.attach(7)
    for start in range(0, len(bodies), PER_RUN):
        part = bodies[start : start + PER_RUN]
        verdicts = [verdict_on(body) for body in part]
        # What ends a connection is the last that it sends.
        fatal = [n for n, v in enumerate(verdicts) if v and ERROR_TRAITS[ErrorCode(v.code)].fatal]
        end = fatal[0] + 1 if fatal else len(part)
        frames = b"".join(len(body).to_bytes(4, "big") + body for body in part)
        output = market.apply(client.run_of(frames))
        replies = [r for r in client.replies(output) if not getattr(r, "private_sequence", 0)]
        for reply, verdict in zip(replies, verdicts[:end], strict=True):
            if verdict is None:
                assert not isinstance(reply, Error) or reply.code >= ErrorCode.NOT_AUTHORIZED
                continue
            assert isinstance(reply, Error)
            assert (reply.code, reply.request_id, reply.field) == verdict
            assert reply.message == ERROR_TRAITS[ErrorCode(reply.code)].text
        assert bool(output.cut) == bool(fatal)
        if fatal:
            client = market.attach(7)
    market.check()
