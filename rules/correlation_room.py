"""What a window forgets: what no judgement can need again, and what has no room."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress, filterfalse, islice
from operator import eq

from rules.correlation import Entry
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
    window.spill(range(cut))
    _leave_lanes(window, window.entries[:cut])
    del window.times[:cut]
    del window.entries[:cut]
    del window.fired[: bisect_left(window.fired, window.times[0] + window.correlation.within) if window.times else None]


def _leave_lanes(window: Window, going: Sequence[Entry]) -> None:
    if lanes := window.lanes:
        for entry in going:
            del lanes[entry.rule][bisect_left(lanes[entry.rule], entry.time)]


def evict(window: Window) -> None:
    """A tenth less, oldest first; where there are some, of those that say nothing a later one does not say."""
    room = max(1, window.most // 10)
    repeats = list(islice(_repeats(window), room))
    going = [window.entries[at] for at in repeats] or window.entries[:room]
    window.evicted += len(going)
    if window.same:
        window.same.difference_update(going)
    if not repeats:
        if window.prompt and not window.prompt.cut(going):
            window.prompt = None
        if window.fraction:
            window.fraction.cut(going)
        _cut(window, room)
        return
    if _shows(window, repeats):
        window.prompt = None
    window.spill(repeats)
    _leave_lanes(window, going)
    for at in reversed(repeats):
        del window.entries[at], window.times[at]
    if len(window.fired) > window.most:
        _thin(window)


def _shows(window: Window, repeats: Sequence[int]) -> bool:
    """Whether a measure could tell that these were there: only of an order, where one has the time of what follows."""
    if window.correlation.kind != "temporal_ordered":
        return False
    times = [*window.times, window.newest]
    return any(times[at] != times[at + 1] and times[at + 1] == times[at + 2] for at in repeats)


def _thin(window: Window) -> None:
    """Without the times fired between others so near that evidence does not depend on them."""
    fired, at = window.fired, 0
    kept = fired[:1]
    while True:
        border = (kept[-1] // window.size + 1) * window.size
        at = max(at + 1, bisect_left(fired, min(kept[-1] + window.span, border), at) - 1)
        if at >= len(fired) - 1:
            break
        kept.append(fired[at])
    window.fired = [*kept, fired[-1]]


def _repeats(window: Window) -> Iterator[int]:
    """Matches followed by one of the same rule, or whose value came again: a flood must not hide the rest."""
    entries = window.entries
    if window.correlation.kind in TEMPORAL:
        rules = [entry.rule for entry in entries]
        return compress(range(len(rules)), map(eq, rules, rules[1:]))
    if window.correlation.kind == "value_count" or window.correlation.distinct:
        latest = dict(zip([entry.value for entry in entries], range(len(entries)), strict=True))
        return filterfalse({*latest.values()}.__contains__, range(len(entries)))
    return iter(())
