"""Is a source silent for longer than it usually is? Folded from looks at how far its log has grown. No clock, no I/O.

Only time in which somebody looked counts: while the broker or the worker is down nobody hears anything, and that is no
silence. What is usual is learnt for each hour of the week: the longest stretch without a record within that hour,
decayed by the week. Silence beyond it is added up hour by hour, so that nights and weekends excuse themselves and a
steady source has nothing to hide behind; how far the sum usually gets is learnt, too, for sources that speak seldom and
at no fixed time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from audit.event import MICROSECONDS

MINUTE = 60 * MICROSECONDS
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK_HOURS = 168
WEEK = WEEK_HOURS * HOUR

DECAY = 0.85
"""Of what was usual, by the week: a bad hour is half forgotten after a month."""
LONGEST_STEP = 2 * MINUTE
"""Two looks further apart than this have time between them in which nobody looked."""
SETTLED = 2 * DAY
"""A source watched for less is not judged."""
FEWEST = 20
"""Looks that must have found something new."""
YOUNG, OLD = 5, 2
"""How many times its longest silence one may last in the first two weeks and after them, whatever the hours excuse."""
BEYOND = 2
"""How many times further than it usually gets the sum of unusual silence must be."""
WHOLE = 0.9
"""The part of an hour that must have been watched for it to teach."""
UNKNOWN = -1

News = Literal["silent", "back"]


class Pulse(msgspec.Struct, array_like=True, frozen=True):
    """What is known of one source. Times in microseconds, durations in microseconds of watched time.

    `end` is how many records its log has held, `at` the last look, `heard` the last look that found something new.
    `silent` counts from there, `excess` what of it was unusual before this hour. `longest` is its longest silence,
    `furthest` the highest excess one ended with, `usual` the longest within each hour of the week (UTC, Monday first;
    UNKNOWN: never watched). `hour` (since the epoch) is the one being watched, for `watched_hour` so far and with
    `worst` as its longest stretch. `past` are the hours that ended in this silence, with their longest stretches: they
    teach once it is over, lest it excuse itself. `told` is whether people were told of it.
    """

    end: int
    at: int
    heard: int
    silent: int = 0
    excess: int = 0
    longest: float = 0.0
    furthest: float = 0.0
    usual: tuple[int, ...] = (UNKNOWN,) * WEEK_HOURS
    hour: int = 0
    watched_hour: int = 0
    worst: int = 0
    watched: int = 0
    found: int = 0
    past: tuple[tuple[int, int], ...] = ()
    told: bool = False


def begin(end: int, now: int) -> Pulse:
    """The pulse of a source that is looked at for the first time."""
    return Pulse(end, now, now, hour=now // HOUR)


def look(pulse: Pulse, end: int, now: int, least: int) -> tuple[Pulse, News | None]:
    """The pulse after a look that found `end` records `now`, and what is to be told.

    `least` (microseconds) is the shortest silence anybody is told of.
    """
    step = now - pulse.at if 0 < now - pulse.at <= LONGEST_STEP else 0
    pulse = _watched(pulse, now, step)
    if end > pulse.end or 0 < end < pulse.end:  # fewer: another log, with something in it already
        return _heard(pulse, end, now)
    pulse = _replace(pulse, end=end)
    if not pulse.told and unusual(pulse, least):
        return _replace(pulse, told=True), "silent"
    return pulse, None


def unusual(pulse: Pulse, least: int) -> bool:
    """Whether a silence is longer than usual, and long enough to be told of."""
    if pulse.silent < least or pulse.watched - pulse.silent < SETTLED or pulse.found < FEWEST:
        return False
    factor = YOUNG if pulse.watched < 2 * WEEK else OLD
    far = pulse.excess + _excess_here(pulse) >= max(least, BEYOND * pulse.furthest)
    return far or pulse.silent >= factor * pulse.longest


def usually(pulse: Pulse) -> int:
    """The longest silence that is usual in and around the hour being watched; UNKNOWN where any of them is."""
    slot = _slot(pulse.hour)
    around = [pulse.usual[(slot + shift) % WEEK_HOURS] for shift in (-1, 0, 1)]
    return UNKNOWN if UNKNOWN in around else max(around)


def _heard(pulse: Pulse, end: int, now: int) -> tuple[Pulse, News | None]:
    """Something new: the silence is over, and taught how long one may be; one that was told of, half of that."""
    told = pulse.told
    longest = _grown(pulse.longest, pulse.silent, told)
    furthest = _grown(pulse.furthest, pulse.excess + _excess_here(pulse), told)
    start = {"end": end, "heard": now, "found": pulse.found + 1, "silent": 0, "excess": 0, "past": (), "told": False}
    usual = _taught(pulse) if pulse.past else pulse.usual
    return _replace(pulse, longest=longest, furthest=furthest, usual=usual, **start), "back" if told else None


def _grown(known: float, seen: float, told: bool) -> float:
    """The highest known, once another was seen; what was told of counts half."""
    more = max(0.0, seen - known)
    return known + (more / 2 if told else more)


def _watched(pulse: Pulse, now: int, step: int) -> Pulse:
    """The pulse once `step` more was watched, in silence as far as is known; past hours teach."""
    hour = now // HOUR
    if hour != pulse.hour:
        here = min(step, now - hour * HOUR)
        pulse = _spent(_begun(_spent(pulse, step - here), hour), here)
    else:
        pulse = _spent(pulse, step)
    return _replace(pulse, at=now)


def _spent(pulse: Pulse, step: int) -> Pulse:
    silent, here = pulse.silent + step, pulse.watched_hour + step
    worst = max(pulse.worst, min(silent, here))
    return _replace(pulse, silent=silent, watched=pulse.watched + step, watched_hour=here, worst=worst)


def _begun(pulse: Pulse, hour: int) -> Pulse:
    """The pulse at the start of another hour."""
    excess = pulse.excess + _excess_here(pulse)
    faded = DECAY ** (max(0, min(hour - pulse.hour, WEEK_HOURS)) / WEEK_HOURS)
    longest, furthest = pulse.longest * faded, pulse.furthest * faded
    whole = pulse.watched_hour >= WHOLE * HOUR
    past = (*pulse.past, (_slot(pulse.hour), pulse.worst))[-WEEK_HOURS:] if whole else pulse.past
    start = {"hour": hour, "watched_hour": 0, "worst": 0, "excess": excess, "past": past}
    return _replace(pulse, longest=longest, furthest=furthest, **start)


def _taught(pulse: Pulse) -> tuple[int, ...]:
    """What is usual once the hours past have taught; those of a silence that was told of teach half."""
    usual = list(pulse.usual)
    for slot, worst in pulse.past:
        known = usual[slot] != UNKNOWN
        usual[slot] = round(_grown(usual[slot] * DECAY if known else 0, worst, pulse.told and known))
    return tuple(usual)


def _excess_here(pulse: Pulse) -> int:
    """How much of this hour's silence is unusual; nothing in an hour nobody knows."""
    usual = usually(pulse)
    return 0 if usual == UNKNOWN else max(0, min(pulse.silent, pulse.watched_hour) - usual)


def _slot(hour: int) -> int:
    return (hour + 72) % WEEK_HOURS  # the epoch was a Thursday


_replace = msgspec.structs.replace
