"""Matches into windows: what each changes about the times it belongs to, whenever it comes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from rules.correlation import Entry
from rules.correlation_measure import affected, reached
from rules.correlation_prompt import Prompt, prompt_measure
from rules.correlation_room import evict, prune
from rules.correlation_settle import settle
from rules.correlation_window import GRACE, Window

MOST_ABSENTS = 500
SPARSE = 64
"""So few matches a window keeps longer than it must."""
FEW = 4
"""Times that are judged one by one rather than by a sweep."""


def take(window: Window, entry: Entry) -> None:
    """A match comes in."""
    window.packed = None
    time, times = entry.time, window.times
    if entry.rule == window.absent:
        _take_absent(window, time)
    elif time > window.newest:
        window.newest = time
        window.same = None
        times.append(time)
        window.entries.append(entry)
        if not window.at_once:
            if window.lanes:
                window.lanes[entry.rule].append(time)
        elif (window.prompt or _remembered(window, len(times) - 1)).push(entry):
            if window.absent < 0:
                window.fire(time)
            else:
                _reach(window, time)
    elif not _take_among(window, entry):
        return
    count = len(times)
    horizon = window.newest - (window.keep if count > SPARSE else window.keep + GRACE)
    if count and times[count // 4] <= horizon:
        prune(window, horizon)
        count = len(times)
    if count > window.most:
        settle(window, window.newest - window.slack)
        evict(window)


def _remembered(window: Window, end: int) -> Prompt:
    """The measure after the entries before a place that are in its window."""
    measure = prompt_measure(window.correlation)
    for entry in window.entries[bisect_right(window.times, window.times[end] - window.span) : end]:
        measure.push(entry)
    window.prompt = measure
    return measure


def _take_among(window: Window, entry: Entry) -> bool:
    """A match at a time that has been, or of the same time as the newest; False where nothing changes."""
    time = entry.time
    if time <= window.floor:
        window.evicted += 1
        return False
    if time == window.newest and window.times and window.times[-1] == time:
        return _take_same(window, entry)
    low, high = bisect_left(window.times, time), bisect_right(window.times, time)
    if entry in window.entries[low:high]:
        return False
    window.times.insert(high, time)
    window.entries.insert(high, entry)
    if window.at_once:
        _judge_late(window, high)
    elif time <= window.settled:
        window.fraction = None
    if window.lanes:
        insort(window.lanes[entry.rule], time)
    _touch(window, entry)
    return True


def _touch(window: Window, entry: Entry) -> None:
    """New evidence: findings that rest on it are told again."""
    window.touch(entry.time)
    for found in window.gathered.values():
        found.late.append(entry)


def _take_same(window: Window, entry: Entry) -> bool:
    if window.same is None:
        window.same = set(window.entries[bisect_left(window.times, entry.time) :])
    if entry in window.same:
        return False
    window.same.add(entry)
    window.times.append(entry.time)
    window.entries.append(entry)
    if window.at_once:
        measure = window.prompt or _remembered(window, len(window.times) - 1)
        if measure.push(entry):
            _reach(window, entry.time)
    elif window.lanes:
        window.lanes[entry.rule].append(entry.time)
    _touch(window, entry)
    return True


def _judge_late(window: Window, at: int) -> None:
    """Judges anew the times that the match at a place, which came late, can have changed."""
    low, high = affected(window.correlation, window.times, window.entries, at)
    known = window.fired if window.absent < 0 else window.reached
    times = {window.times[at], *window.times[low:high]}
    judged = known[bisect_left(known, window.times[at]) : bisect_left(known, window.times[at] + window.span)]
    fresh = times.difference(judged)
    for time in sorted(fresh) if len(fresh) <= FEW else (window.times[at],):
        start = bisect_right(window.times, time - window.span)
        if reached(window.correlation, window.entries[start : bisect_right(window.times, time, start)]):
            _reach(window, time)
    if len(fresh) > FEW:
        _sweep(window, low, high)
    if window.prompt and not window.prompt.late(window.entries[at]):
        window.prompt = None


def _sweep(window: Window, low: int, high: int) -> None:
    """Judges anew the times of a range."""
    measure = prompt_measure(window.correlation)
    for at in range(bisect_right(window.times, window.times[low] - window.span), high):
        if measure.push(window.entries[at]) and at >= low:
            _reach(window, window.times[at])


def _take_absent(window: Window, time: int) -> None:
    window.newest = max(window.newest, time)
    at = bisect_left(window.absents, time)
    if window.absents[at : at + 1] != [time]:
        window.absents.insert(at, time)
    if len(window.absents) > MOST_ABSENTS:
        del window.absents[0]
        window.evicted += 1


def _reach(window: Window, time: int) -> None:
    """The condition holds at a time: it fires, or waits for what must not follow."""
    if window.absent < 0:
        window.fire(time)
    elif not window.reached or time > window.reached[-1]:
        window.reached.append(time)
    elif window.reached[bisect_left(window.reached, time)] != time:
        insort(window.reached, time)
    if len(window.reached) > window.most:
        del window.reached[0]
        window.evicted += 1


def judge(window: Window, until: int) -> None:
    """Time has passed: no match at or before `until` is still to come."""
    window.packed = None
    settle(window, until)
