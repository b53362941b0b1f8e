"""The compiled twin of the scanner in frames.py: the same functions with the same results.

Owns no rule: the layout is drawn in frames.py, the functions that read it are in _frames.pxd, and
frames.py chooses between the two forms when it is imported. The functions are pure; any thread may
call them. They guarantee to read nothing outside the buffer, whatever the arguments are, and raise
IndexError where these lie outside it.
"""

from libc.stdint cimport int64_t, uint8_t

from hpe.extensions import require_sources as _require_sources
from hpe.protocol.admission import CLASSES as _CLASSES, NO_CLASS as _NO_CLASS
from hpe.protocol.limits import INT_MAX as _INT_MAX

cdef extern from *:
    const char* HPE_SOURCES_DIGEST  # setup.py defines it

SOURCES_DIGEST = HPE_SOURCES_DIGEST.decode("ascii")
_require_sources(__name__, SOURCES_DIGEST)

assert _INT_MAX == INT64_MAX
assert _NO_CLASS == WITHOUT_CLASS

cdef uint8_t[TYPES] classes_of
for _kind in range(TYPES):
    classes_of[_kind] = _CLASSES[_kind]


def scan(
    bytes buffer not None,
    Py_ssize_t first,
    Py_ssize_t end,
    tuple lengths not None,
    Py_ssize_t frames_max,
    int alone,
):
    """Find frames from `first` to `end`, as `_scan` of frames.py does."""
    cdef const uint8_t* start = buffer
    cdef int64_t[2] bounds
    cdef Py_ssize_t position = first
    cdef Py_ssize_t count = 0
    cdef int classes = WITHOUT_CLASS
    cdef Frame frame
    _require_inside(buffer, first, end)
    bounds[0], bounds[1] = lengths
    while count < frames_max and find_frame(start, position, end, bounds, classes_of, &frame):
        if frame.admission & alone and count:
            break
        count += 1
        classes |= frame.admission
        position = frame.end
        if frame.admission & alone:
            break
    return count, classes, position


def rows_of(bytes frames not None):
    """Return the rows of whole frames, as `_rows_of` of frames.py does."""
    cdef const uint8_t* start = frames
    cdef int64_t[2] bounds
    cdef Py_ssize_t position = 0
    cdef Py_ssize_t end = len(frames)
    cdef Frame frame
    cdef list rows = []
    bounds[0], bounds[1] = 0, end
    while find_frame(start, position, end, bounds, classes_of, &frame):
        rows.append(
            (frame.start, frame.end, frame.head.kind, frame.head.request_id, frame.admission)
        )
        position = frame.end
    return rows


def read_head(bytes buffer not None, Py_ssize_t start, Py_ssize_t end):
    """Return (type, request id) of the body `buffer[start:end]`."""
    cdef const uint8_t* body = buffer
    cdef Head head
    if start >= end:
        return WITHOUT_TYPE, 0
    _require_inside(buffer, start, end)
    head = head_of(body + start, body + end)
    return head.kind, head.request_id


def request_id(bytes buffer not None, Py_ssize_t start, Py_ssize_t end):
    """Return the number at `start` if it can be a request id, else 0."""
    cdef const uint8_t* body = buffer
    if start >= end:
        return 0
    _require_inside(buffer, start, end)
    return read_request_id(body + start, body + end)


cdef inline int _require_inside(bytes buffer, Py_ssize_t start, Py_ssize_t end) except -1:
    if not 0 <= start <= end <= len(buffer):
        raise IndexError(f"{start}..{end} is not inside {len(buffer)} bytes")
    return 0
