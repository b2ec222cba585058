"""What a window forgets: what no judgement can need again, and what has no room."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise

from rules.correlation_section import TEMPORAL
from rules.correlation_window import Window


def prune(window: Window, horizon: int) -> None:
    """Forgets what no judgement can need again."""
    horizon = min(horizon, window.undecided() - window.span - window.correlation.within - 1)
    if window.times[0] > horizon:
        return
    window.floor = max(window.floor, horizon)
    _cut(window, bisect_right(window.times, horizon))
    del window.reached[: bisect_right(window.reached, horizon)]
    del window.absents[: bisect_right(window.absents, horizon)]


def _cut(window: Window, cut: int) -> None:
    """Without the first so many entries; what findings rest on stays with them."""
    for one in window.bins if window.fired else ():
        for low, high in window.ranges(one):
            one.spilled.add(window.entries[low : min(high, cut)], window.values)
    del window.times[:cut]
    del window.entries[:cut]
    del window.fired[: bisect_left(window.fired, window.times[0] + window.correlation.within) if window.times else None]
    window.lanes = None


def evict(window: Window) -> None:
    """A tenth less, oldest first; where there are some, of those that say nothing a later one does not say."""
    room = max(1, window.most // 10)
    window.evicted += room
    window.same = window.prompt = window.fraction = window.lanes = None
    repeats = _repeats(window)[:room]
    if not repeats:
        _cut(window, room)
        return
    going = set(repeats)
    for one in window.bins if window.fired else ():
        for low, high in window.ranges(one):
            one.spilled.add([window.entries[at] for at in repeats if low <= at < high], window.values)
    window.entries = [entry for at, entry in enumerate(window.entries) if at not in going]
    window.times = [entry.time for entry in window.entries]
    window.evicted += len(going) - room
    if len(window.fired) > window.most:
        _thin(window)


def _thin(window: Window) -> None:
    """Without the times fired between others so near that evidence does not depend on them."""
    kept = window.fired[:1]
    for time, after in pairwise(window.fired[1:]):
        bins = {kept[-1] // window.size, time // window.size, after // window.size}
        if after - kept[-1] >= window.span or len(bins) > 1:
            kept.append(time)
    window.fired = [*kept, window.fired[-1]]


def _repeats(window: Window) -> list[int]:
    """Matches followed by one of the same rule, or whose value came again: a flood must not hide the rest."""
    entries = window.entries
    if window.correlation.kind in TEMPORAL:
        return [at for at in range(len(entries) - 1) if entries[at].rule == entries[at + 1].rule]
    if window.correlation.kind == "value_count" or window.correlation.distinct:
        latest = {entry.value: at for at, entry in enumerate(entries)}
        return [at for at, entry in enumerate(entries) if latest[entry.value] != at]
    return []
