"""Alert lines of a file into the outbox."""

from __future__ import annotations

from collections.abc import Iterable

from alerting.alert import Alert, from_line
from alerting.store import AlertStore


async def enqueue_lines(store: AlertStore, lines: Iterable[bytes | str]) -> int:
    """Puts Alert lines into the outbox, all or, if one cannot be read, none; returns how many are new to it.

    Raises:
        ValueError: with the number of each bad line (the first ten) and what is wrong in it.
    """
    alerts: list[Alert] = []
    bad: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                alerts.append(from_line(line))
        except ValueError as error:
            bad.append(f"line {number}: {error}")
    if bad:
        more = [f"and {len(bad) - 10} more bad lines"] if len(bad) > 10 else []
        raise ValueError("\n".join([*bad[:10], *more]))
    return sum([await store.put(alert) for alert in alerts])
