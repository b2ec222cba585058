"""Matches per second through the windows of correlations, quiet and firing: python -m benchmarks.correlate"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from rules.correlation import SCALE, Correlation, Entry, Match
from rules.correlation_windows import Windows
from tests.rules.correlating import LATENESS, SECOND, START, V, absent, bounded, counting, distinct, measuring, temporal

MATCHES, BATCH = 20_000, 1_000


def rate(rule: Correlation, entries: Sequence[Entry], entities: int = 1) -> float:
    """Matches a second, the best of three runs: `entities` take them in turn and speak after each batch."""
    find = {rule.id: rule}.get
    matches = [Match(rule.id, "g", f"ip:{at % entities}", entry) for at, entry in enumerate(entries)]
    best = float("inf")
    for _ in range(3):
        windows = [Windows(f"ip:{at}") for at in range(entities)]
        start = time.perf_counter()
        for at, match in enumerate(matches):
            windows[at % entities].take(match, find)
            if at % BATCH == BATCH - 1:
                for one in windows:
                    one.tell(V, find)
        best = min(best, time.perf_counter() - start)
    return len(entries) / best


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
        for at in range(MATCHES)
    ]


def late(entries: list[Entry]) -> list[Entry]:
    """As they come when each is up to the lateness late."""
    random = Random(1)
    return sorted(entries, key=lambda entry: entry.time + random.randrange(LATENESS))


def main() -> None:
    """Prints a table."""
    slow, fast, numbers, three = 3 * SECOND, SECOND // 10, spread(3 * SECOND, numeric=True), spread(3 * SECOND, rules=2)
    for name, found in {
        "event_count, quiet": rate(counting(300), spread(slow)),
        "event_count, quiet, 100 entities": rate(counting(50), spread(slow), 100),
        "event_count, quiet, out of order": rate(counting(300), late(spread(slow))),
        "event_count, firing": rate(counting(10), spread(fast)),
        "value_count, quiet": rate(distinct(21), spread(slow, values=20)),
        "value_count, firing": rate(distinct(10), spread(fast, values=300)),
        "value_sum, quiet": rate(measuring("value_sum", "gte", 10**6), numbers),
        "value_avg, quiet": rate(measuring("value_avg", "gte", 10**6), numbers),
        "value_percentile, quiet": rate(measuring("value_percentile", "gte", 10**6, percentile=95), numbers),
        "event_count below, quiet": rate(bounded(("lt", 2)), spread(slow)),
        "temporal, quiet": rate(temporal(3), three),
        "temporal_ordered, quiet": rate(temporal(3, ordered=True), three),
        "a and not b": rate(temporal(2, "a and not b"), three),
        "a not followed by b": rate(absent(temporal(1), 420 * SECOND), three),
    }.items():
        print(f"{name:35}{found / 1000:8.0f}k matches/s")


if __name__ == "__main__":
    main()
