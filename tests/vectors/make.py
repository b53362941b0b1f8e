"""Write the golden vectors beside this file, from fixed histories.

    python -m tests.vectors.make

Run it after `CORE_VERSION` was raised, and read the difference: every other core has to follow it.
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
