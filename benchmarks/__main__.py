"""`make bench`: what each step costs, and the live worker against an empty stock Faust agent, in one run."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks import live, steps


def startup() -> None:
    """How long --help takes, best of five."""
    fastest = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from streams.cli import main; main()", "--help"], capture_output=True, check=True
        )
        fastest = min(fastest, time.perf_counter() - started)
    print(f"\nauditwatch --help: {fastest:.2f} s  <= 0.5 s")


if __name__ == "__main__":
    steps.main()
    startup()
    live.main()
