"""What each step costs an event, in one process: minimum of several runs, microseconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from audit.context import EMPTY
from audit.event import AuditEvent
from audit.sources.reader import read
from benchmarks.data import attacked, ordinary
from detectors.baseline import Baseline
from detectors.features import features, learn, observe
from detectors.registry import default_model
from rules import sigma
from streams.packet import Packet, decode_events, encode

Row = tuple[str, float, str]


def best(run: Callable[[], Any], events: int, times: int = 7) -> float:
    """Microseconds an event of the fastest of several runs."""
    fastest = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest / events * 1e6


def source() -> tuple[bytes, ...]:
    """Real records where there are some."""
    return attacked() or ordinary()[:3_000]


def rows() -> list[Row]:
    """(step, microseconds an event, goal)."""
    raws = source()
    payloads = [b"[" + b",".join(raws[start : start + 50]) + b"]" for start in range(0, len(raws), 50)]
    events = [event for payload in payloads for answer in read("cloudtrail", payload, 2**52, EMPTY) for event in answer]  # type: ignore[union-attr]
    many = len(events)
    packets = [encode(Packet("bench", list(range(len(events))), events))]
    library = sigma.load([sigma.library()])
    pairs = [(event, orjson.loads(event.raw)) for event in events]
    model = default_model()
    matrix = np.array(_rows_of(events))
    batches = [matrix[start : start + 256].tolist() for start in range(0, len(matrix), 256)]
    steps: list[tuple[str, Callable[[], Any], str]] = [
        ("orjson.loads alone, for scale", lambda: [orjson.loads(raw) for raw in raws], ""),
        ("normalise, 50 a message", lambda: [read("cloudtrail", each, 2**52, EMPTY) for each in payloads], "<= 15"),
        ("pack and unpack between stages", lambda: [encode(decode_events(each)) for each in packets], ""),
        (f"rules ({len(library.of('cloudtrail'))} asked)", lambda: [library.match(*pair) for pair in pairs], "<= 15"),
        ("baseline: features + learning", lambda: _rows_of(events), "<= 60"),
        ("forest at batch 256", lambda: [model.forest.score_samples(np.array(each)) for each in batches], "<= 6"),
        ("forest + rarity + calibration at batch 256", lambda: [model.score(each) for each in batches], ""),
    ]
    return [(name, best(run, many), goal) for name, run, goal in steps]


def _rows_of(events: list[AuditEvent]) -> list[list[float]]:
    baselines: dict[str, Baseline] = {}
    found = []
    for event in events:
        baseline = baselines.setdefault(event.actor.id, Baseline())
        observation = observe(event)
        found.append(features(baseline, observation))
        learn(baseline, observation)
    return found


def main() -> None:
    """Prints the table."""
    name = "real CloudTrail (invictus)" if attacked() else "simulated CloudTrail"
    print(f"\nSteps, {name}, us an event (minimum of 7 runs)")
    for name, cost, goal in rows():
        print(f"  {name:<46} {cost:7.1f}  {goal}")


if __name__ == "__main__":
    main()
