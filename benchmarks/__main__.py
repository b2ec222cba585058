"""`make bench`: what each step costs, and the live worker against an empty stock Faust agent, in one run.

`make bench ARGS=where` divides the live worker's CPU time among its stages; `make bench ARGS=soak` watches its memory
over a million events; `make bench ARGS=access` measures the authorization model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from benchmarks import access, live, soak, steps, where
from streams.child import free_port
from streams.embedded import Broker, RedisServer


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


def ready() -> None:
    """How long the first worker takes from its start until /readyz says yes, on a fresh broker and Redis."""
    with Broker.start() as broker, RedisServer.start() as redis, tempfile.TemporaryDirectory() as folder:
        listen = f"127.0.0.1:{free_port()}"
        servers = {"AUDITWATCH_BROKER": broker.url, "AUDITWATCH_REDIS": redis.url, "AUDITWATCH_LISTEN": listen}
        started = time.perf_counter()
        command = [sys.executable, "-c", "from streams.cli import main; main()", "worker"]
        with subprocess.Popen(command, env=os.environ | servers, cwd=folder, stderr=subprocess.DEVNULL) as worker:
            try:
                while not _answers(f"http://{listen}/readyz") and time.perf_counter() - started < 60:
                    time.sleep(0.05)
                print(f"worker ready to consume: {time.perf_counter() - started:.1f} s after its start  <= 8 s")
            finally:
                worker.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def everything() -> None:
    """What `make bench` prints."""
    steps.main()
    startup()
    ready()
    live.main()


if __name__ == "__main__":
    COMMANDS = {"everything": everything, "where": where.main, "soak": soak.main, "access": access.main}
    if sys.argv[1:2] and sys.argv[1] not in COMMANDS:
        sys.exit(f"python -m benchmarks [{' | '.join(COMMANDS)}]")
    command, *numbers = sys.argv[1:] or ["everything"]
    COMMANDS[command](*map(int, numbers))
