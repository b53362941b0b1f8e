"""Writes the golden vectors beside this file, from fixed histories.

    python -m tests.vectors.make

Run it when `CORE_VERSION` rose, and read the difference: it is what every other core has to follow.
"""

from __future__ import annotations

from hpe.core import new_core
from tests.support.vectors import FOLDER, written
from tests.vectors.histories import vectors


def main() -> None:
    """Write every vector."""
    for name, vector in vectors(new_core).items():
        (FOLDER / f"{name}.json").write_text(written(vector), encoding="utf-8")


if __name__ == "__main__":
    main()
