"""A checked venue, and both forms of the frame scanner: plain, and compiled where it is built."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpe import extensions
from hpe.protocol import frames
from tests.support.core_fixtures import checked_venue

__all__ = ["checked_venue", "each_form"]


@pytest.fixture(scope="module", params=["plain", "compiled"])
def each_form(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the module's tests run twice, once with each form."""
    scan, rows_of, read_head = frames._scan, frames._rows_of, frames._read_head
    if request.param == "compiled":
        if not extensions.is_used("hpe.protocol._frames"):
            # With HPE_COMPILED=1, as in CI, is_used raises instead.
            pytest.skip("hpe.protocol._frames is not built, or HPE_COMPILED=0")
        from hpe.protocol import _frames

        scan, rows_of, read_head = _frames.scan, _frames.rows_of, _frames.read_head
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "scan", scan)
        patch.setattr(frames, "rows_of", rows_of)
        patch.setattr(frames, "read_head", read_head)
        yield
