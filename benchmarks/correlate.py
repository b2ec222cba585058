"""Matches per second through correlations, on one core: python -m benchmarks.correlate

Two tables: the windows of one entity alone, and the whole stage (`Correlate.fold`: windows, findings, risk, alerts, and
the ticks of what waits for time) in batches of 1,000. CPU time, the best of three; the yardstick runs between: it
counts per key in a sliding window and does nothing else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import md5
from random import Random
from typing import NamedTuple, cast

from rules.compile import RuleSet
from rules.correlation import SCALE, Correlation, Entry, Match
from rules.correlation_windows import Windows
from streams.detections import Detections
from streams.packet import Signal
from streams.pipeline import Correlate, Entity
from streams.stage import Arrival
from tests.rules.correlating import (
    LATENESS,
    MINUTE,
    SECOND,
    START,
    V,
    absent,
    bounded,
    counting,
    distinct,
    measuring,
    temporal,
)

MATCHES, BATCH = 40_000, 1_000
FIRING, QUIET = 20, 2_000
GOAL = 200
"""Thousand matches a second, of each type while it fires."""

FIRE = {
    "event_count": counting(10),
    "value_count": distinct(10),
    "value_sum": measuring("value_sum", "gte", 20),
    "value_avg": measuring("value_avg", "gt", 2),
    "value_median": measuring("value_median", "gt", 2),
    "value_percentile": measuring("value_percentile", "gt", 4, percentile=95),
    "temporal": temporal(3),
    "temporal_ordered": temporal(3, ordered=True),
    "event_count, upper bound": bounded(("gte", 10), ("lt", 10**6)),
    "a and not b": temporal(2, "a and not b"),
    "many not followed by b": absent(counting(10), 7 * MINUTE),
}


class Known(NamedTuple):
    """As much of Detections as correlate asks for."""

    rules: RuleSet
    version: object = V


class Cost(NamedTuple):
    """Thousand matches a second of the stage, of the stage with packing what it changed, and of the yardstick."""

    folded: float
    packed: float
    yardstick: float
    alerts: int


def entry(rule: Correlation, at: int, turn: int, quiet: bool) -> Entry:
    """Match `at`, the `turn`th of its group: ten a second, with ids in no order, of rules and with values in turn."""
    forbids = any(clause.missing for clause in rule.clauses)
    rules = len(rule.rule_ids) if rule.kind.startswith("temporal") and (quiet or not forbids) else 1
    number = 0 if quiet else turn % 7 * SCALE
    value = number if rule.fields == ("bytes",) else f"u{turn % 300}" if rule.fields else ""
    identity = md5(b"%d" % at, usedforsecurity=False).hexdigest()
    return Entry(START + at * SECOND // 10, "okta", identity, turn % rules, "p", value)


def arrivals(rule: Correlation, mixed: bool) -> list[Arrival[Signal]]:
    """Matches of 20 addresses that fire; if `mixed` every other one is of 2,000 that do not."""
    found = []
    for at in range(MATCHES):
        quiet, turn = mixed and at % 2 == 1, at // 2 if mixed else at
        name = f"q{turn % QUIET}" if quiet else f"f{turn % FIRING}"
        match = Match(rule.id, name, f"ip:{name}", entry(rule, at, turn // (QUIET if quiet else FIRING), quiet))
        found.append(Arrival(0, at, Signal(match.entity, match=match)))
    return found


def stage(rule: Correlation, matches: Sequence[Arrival[Signal]]) -> Cost:
    """The whole stage, batch by batch; time comes to the newest match after each."""
    correlate, detections = Correlate(), cast("Detections", Known(RuleSet((), (rule,))))
    states: dict[str, Entity] = {}
    folding = packing = 0.0
    alerts = 0
    for start in range(0, len(matches), BATCH):
        batch = matches[start : start + BATCH]
        keys = dict.fromkeys(one.item.entity for one in batch)
        states |= {key: correlate.unpack(key, [None]) for key in keys if key not in states}
        newest = cast("Match", batch[-1].item.match).entry.time
        began = time.process_time()
        said = correlate.fold(batch, states, detections).outputs
        for key in keys:
            due = correlate.due(states[key])
            if due is not None and due <= newest:
                wake = Arrival(0, 0, correlate.wake(key))
                said += correlate.tick(wake, states[key], lambda _: newest, detections).outputs  # noqa: B023
        folding += time.process_time() - began
        alerts += len(said)
        began = time.process_time()
        for key in keys:
            correlate.pack(key, states[key])
        packing += time.process_time() - began
    many = len(matches) / 1000
    return Cost(many / folding, many / (folding + packing), yardstick(matches), alerts)


def yardstick(matches: Sequence[Arrival[Signal]]) -> float:
    """Thousand matches a second of the least a sliding count can do."""
    began = time.process_time()
    times: dict[str, deque[int]] = {}
    fired = 0
    for _, _, signal in matches:
        match = signal.match
        if match:
            window = times.setdefault(match.group, deque())
            window.append(match.entry.time)
            while window[0] <= match.entry.time - 10 * MINUTE:
                window.popleft()
            fired += len(window) >= 10
    return len(matches) / 1000 / (time.process_time() - began)


def best(rule: Correlation, mixed: bool) -> Cost:
    """The best of three runs."""
    matches = arrivals(rule, mixed)
    costs = [stage(rule, matches) for _ in range(3)]
    return Cost(*(max(column) for column in zip(*costs, strict=True)))


def windows(rule: Correlation, entries: Sequence[Entry], entities: int = 1) -> float:
    """Thousand matches a second, the best of three runs: `entities` take them in turn and speak after each batch."""
    find = {rule.id: rule}.get
    matches = [Match(rule.id, "g", f"ip:{at % entities}", one) for at, one in enumerate(entries)]
    fastest = float("inf")
    for _ in range(3):
        kept = [Windows(f"ip:{at}") for at in range(entities)]
        start = time.process_time()
        for at, match in enumerate(matches):
            kept[at % entities].take(match, find)
            if at % BATCH == BATCH - 1:
                for one in kept:
                    one.tell(V, find)
        fastest = min(fastest, time.process_time() - start)
    return len(entries) / fastest / 1000


def spread(step: int, rules: int = 1, values: int = 0, numeric: bool = False) -> list[Entry]:
    """Matches `step` microseconds apart, of rules and with values in turn."""
    return [
        Entry(
            START + at * step,
            "okta",
            f"e{at:08}",
            at % rules,
            "p",
            at % 7 * SCALE if numeric else f"u{at % values}" if values else "",
        )
        for at in range(MATCHES // 2)
    ]


def late(entries: list[Entry]) -> list[Entry]:
    """As they come when each is up to the lateness late."""
    random = Random(1)
    return sorted(entries, key=lambda one: one.time + random.randrange(LATENESS))


def quiet() -> dict[str, Callable[[], float]]:
    """Windows that do not fire."""
    slow, numbers, three = spread(3 * SECOND), spread(3 * SECOND, numeric=True), spread(3 * SECOND, rules=2)
    many = 10**6
    return {
        "event_count": lambda: windows(counting(300), slow),
        "event_count, 100 entities": lambda: windows(counting(50), slow, 100),
        "event_count, out of order": lambda: windows(counting(300), late(slow)),
        "value_count": lambda: windows(distinct(21), spread(3 * SECOND, values=20)),
        "value_sum": lambda: windows(measuring("value_sum", "gte", many), numbers),
        "value_avg": lambda: windows(measuring("value_avg", "gte", many), numbers),
        "value_percentile": lambda: windows(measuring("value_percentile", "gte", many, percentile=95), numbers),
        "event_count, upper bound": lambda: windows(bounded(("lt", 2)), slow),
        "temporal": lambda: windows(temporal(3), three),
        "temporal_ordered": lambda: windows(temporal(3, ordered=True), three),
        "a and not b": lambda: windows(temporal(2, "a and not b"), three),
        "a not followed by b": lambda: windows(absent(temporal(1), 7 * MINUTE), three),
    }


def main() -> None:
    """Prints both tables."""
    print("\nWindows that do not fire, thousand matches a second")
    for name, measure in quiet().items():
        print(f"  {name:28}{measure():8.0f}")
    print(f"\nThe whole stage while it fires, batches of {BATCH}, thousand matches a second  >= {GOAL}")
    print(f"  {'':26}{'20 firing':>20}  yardstick{'packed':>9}{'and 2,000 quiet':>22}  yardstick{'packed':>9}")
    for name, rule in FIRE.items():
        row = f"  {name:26}"
        for mixed in (False, True):
            cost = best(rule, mixed)
            row += f"{cost.folded:{22 if mixed else 20}.0f}{cost.folded / cost.yardstick:11.3f}{cost.packed:9.0f}"
        print(row)


if __name__ == "__main__":
    main()
