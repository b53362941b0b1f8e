"""Figures about the running service: threads, queues, connections, positions.

Owns the sampling of what the operating system counts per thread; used in the Trio loop. The
figures are for people and dashboards (server_info `details`); no decision depends on them.
Guarantee: a thread that is gone or hidden has no figures, but causes no error. Relies on
psutil and, for context switches, on Linux showing a thread like a process.
"""

from __future__ import annotations

import psutil

Figure = int | float | str


class ThreadFigures:
    """CPU seconds and context switches of named threads, as of the last `sample`.

    Args:
        threads: name -> native thread id.
    """

    def __init__(self, threads: dict[str, int]) -> None:
        self._process = psutil.Process()
        self._threads = threads
        self.figures: dict[str, Figure] = {}

    def sample(self) -> None:
        """Read the current figures. Cost: about a millisecond; call it once a second."""
        times = {row.id: row for row in self._process.threads()}
        figures: dict[str, Figure] = {}
        for name, native_id in self._threads.items():
            row = times.get(native_id)
            if row is not None:
                figures[f"{name}_cpu_user_s"] = round(row.user_time, 2)
                figures[f"{name}_cpu_system_s"] = round(row.system_time, 2)
            try:
                switches = psutil.Process(native_id).num_ctx_switches()
            except psutil.Error:  # gone, or /proc hides it
                continue
            figures[f"{name}_switches_voluntary"] = switches.voluntary
            figures[f"{name}_switches_involuntary"] = switches.involuntary
        figures["memory_bytes"] = self._process.memory_info().rss
        self.figures = figures
