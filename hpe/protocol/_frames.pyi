"""Types of the compiled scanner (_frames.pyx), as frames.py uses them."""

from typing import Final

SOURCES_DIGEST: Final[str]

def scan(
    buffer: bytes,
    first: int,
    end: int,
    lengths: tuple[int, int],
    frames_max: int,
    alone: int,
) -> tuple[int, int, int]: ...
def rows_of(frames: bytes) -> list[tuple[int, int, int, int, int]]: ...
def read_head(buffer: bytes, start: int, end: int) -> tuple[int, int]: ...
def request_id(buffer: bytes, start: int, end: int) -> int: ...
