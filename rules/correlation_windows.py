"""The windows one entity keeps: matches in, findings out, and correlations that count other correlations.

Fold many, tell once: `take` only folds; `tell` says, for all that changed, what is known by then. A finding that grows
keeps its id, so whoever hears the last one has heard everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from audit.event import AuditEvent
from audit.finding import Finding, Version, stable_id
from rules.correlation import BETWEEN, EPISODE, Correlation, Entry, Feed, Match, family, feeds_of, match_of
from rules.correlation_evidence import Basis, Evidence
from rules.correlation_fold import judge, take
from rules.correlation_reasons import reasons
from rules.correlation_window import MOST_BINS, Bin, Window
from rules.rule import MOST_STEPS

MOST_WINDOWS = 256
"""Windows one entity may have open; the one unused longest is dropped, and counted."""
_UNKNOWN = Version()

Find = Callable[[str], Correlation | None]
"""The correlation of an id, None where there is none any more (a reload took it away)."""
Now = Callable[[frozenset[str]], int]
"""How far event time has come in these sources (none named: in all)."""


class Growth(NamedTuple):
    """A finding that is new or rests on more than before: on `size` matches, `told` of which were told of.

    `fresh` are the ids of its events that were not told of; None where that is not known.
    """

    finding: Finding
    told: int
    size: int
    fresh: Sequence[str] | None


class Windows:
    """Windows by correlation and group, the longest unused first; unpacked when they are touched.

    `dues` are the event times at which windows have something to judge or to tell. `dropped` counts windows that had
    to go; `days` is how long the longest window may be needed.
    """

    __slots__ = ("_entity", "_kept", "_nested", "_now", "_said", "_touched", "days", "dropped", "dues")

    def __init__(
        self,
        entity: str,
        kept: dict[str, msgspec.Raw] | None = None,
        dues: dict[str, int] | None = None,
        days: int = 0,
    ) -> None:
        self._entity = entity
        self._kept: dict[str, Window | msgspec.Raw] = dict(kept or {})
        self._touched: dict[str, Window] = {}
        self._nested: dict[str, Window] = {}
        self._said: list[Growth] = []
        self._now: Now | None = None
        self.dues = dues or {}
        self.days = days
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._kept)

    def pack(self) -> dict[str, msgspec.Raw]:
        """What is stored; windows nobody touched are not packed again."""
        return {key: kept.pack() if isinstance(kept, Window) else kept for key, kept in self._kept.items()}

    def take(self, match: Match, find: Find) -> int:
        """Folds a match into its window; returns how many matches or windows had to go for it."""
        key = f"{match.correlation}{BETWEEN}{match.group}"
        window = self._touched.get(key)
        if window is not None:
            self._kept[key] = self._kept.pop(key)
        elif correlation := find(match.correlation):
            window = self._touch(key, correlation)
        else:
            return 0
        entry = match.entry
        if window.size > EPISODE and entry.time <= window.newest - window.slack:
            self._say(find)  # so late that it may move what counts as told to another episode
            self._touch(key, window.correlation)
        before = window.evicted
        take(window, entry)
        gone = window.evicted - before
        if len(window.bins) > MOST_BINS:
            self._drop_bins(window, find)
        if window.news:
            gone += self._pass_on(key, window, find)
        if len(self._kept) > MOST_WINDOWS:
            gone += self._drop(find)
        return gone

    def _drop_bins(self, window: Window, find: Find) -> None:
        self._say(find)
        window.drop_bins()

    def _touch(self, key: str, correlation: Correlation) -> Window:
        """The window, now the one used last."""
        kept = self._kept.pop(key, None)
        if isinstance(kept, Window) and kept.correlation is correlation:
            window = kept
        else:
            window = _opened(kept, correlation) if kept is not None else Window(correlation)
        self._kept[key] = self._touched[key] = window
        if window.parent:
            self._nested[key] = window
        self.days = max(self.days, window.days)
        return window

    def _drop(self, find: Find) -> int:
        """Drops the windows unused longest, if there are too many; what they have to tell is still told."""
        self._say(find)
        gone = 0
        while len(self._kept) > MOST_WINDOWS:
            key = next(iter(self._kept))
            del self._kept[key]
            self.dues.pop(key, None)
            gone += 1
        self.dropped += gone
        return gone

    def _pass_on(self, key: str, window: Window, find: Find) -> int:
        """What a nested correlation fired for counts in the one that names it."""
        correlation, gone = window.correlation, 0
        parent = correlation.parent
        outer = find(parent.correlation) if parent else None
        news, window.news = window.news, []
        if parent is None or outer is None:
            return 0
        group = key.partition(BETWEEN)[2]
        parts = group.split(BETWEEN)
        picked = BETWEEN.join(parts[at] for at in parent.picks)
        for time in news:
            finding = finding_id(correlation, group, time // correlation.bin)
            value = finding if outer.distinct else ""
            entry = Entry(time, key, finding, parent.rule, "", value)
            gone += self.take(Match(outer.id, picked, self._entity, entry), find)
        return gone

    def due(self) -> int | None:
        """When something is to be judged or told next, in event time; to be asked after `tell`."""
        return min(self.dues.values(), default=None)

    def tick(self, now: Now, find: Find) -> int:
        """Judges what waits for time to pass: absence, "less than", averages. Returns how much had to go.

        In the order of time over all windows, as if asked all the while: what one fires for, another may count.
        """
        gone, self._now = 0, now
        queue = [(due, key) for key, due in self.dues.items()]
        heapify(queue)
        while queue:
            due, key = heappop(queue)
            correlation = find(key.partition(BETWEEN)[0])
            if correlation is None or key not in self._kept:
                self.dues.pop(key, None)
            elif due <= now(correlation.sources):
                window = self._touch(key, correlation)
                judge(window, due - correlation.lateness)
                if len(window.bins) > MOST_BINS:
                    self._drop_bins(window, find)
                if window.news:
                    gone += self._pass_on(key, window, find)
                after = window.due()
                if after is not None and after > due:
                    heappush(queue, (after, key))
        self._now = None
        return gone

    def ends(self, name: str, find: Find) -> bool:
        """Whether a correlation has fired in any group, or does when nothing more comes."""
        self.tell(Version(), find)
        while self.dues:
            self.tick(_for_ever, find)
            self.tell(Version(), find, _for_ever)
        opened = [kept for kept in self._kept.values() if isinstance(kept, Window)]
        return any(window.bins for window in opened if window.correlation.id == name)

    def tell(self, version: Version, find: Find, now: Now | None = None) -> list[Finding]:
        """The findings that are new or have grown; without `now` time is where each window's newest match is."""
        return [growth.finding for growth in self.grown(version, find, now)]

    def grown(self, version: Version, find: Find, now: Now | None = None) -> list[Growth]:
        """The same with how much they have grown."""
        self._now = now
        self._say(find)
        self._now = None
        if not self._said:
            return []
        said, self._said = self._said, []
        return [Growth(replace(one, version=version), told, size, fresh) for one, told, size, fresh in said]

    def _say(self, find: Find) -> None:
        """Notes what is to be told. Whenever something is about to be forgotten: else batches would show in it."""
        for key, window in self._nested.items():
            self._touch_outer(key, window, find)
        said: list[Growth] = []
        for key, window in self._touched.items():
            if window.bins:
                said += self._grown(key, window, find)
            due = window.due()
            if due is not None:
                self.dues[key] = due
            elif key in self.dues:
                del self.dues[key]
        if said:
            said.sort(key=_time)
            self._said += said
        self._touched.clear()
        self._nested.clear()

    def _grown(self, key: str, window: Window, find: Find) -> Iterator[Growth]:
        correlation = window.correlation
        until = self._now(correlation.sources) - correlation.lateness if self._now else window.known
        for one in window.ready(until):
            growth = None if correlation.silent else self._growth(window, key.partition(BETWEEN)[2], one, find)
            if growth:
                yield growth

    def _touch_outer(self, key: str, window: Window, find: Find) -> None:
        """A nested correlation that grew is evidence of the one that names it: that one tells anew."""
        parent = window.correlation.parent
        outer = find(parent.correlation) if parent else None
        group = key.partition(BETWEEN)[2]
        grown = {finding_id(window.correlation, group, one.index) for one in window.bins if one.untold}
        if parent is None or outer is None or not grown:
            return
        parts = group.split(BETWEEN)
        above_key = f"{outer.id}{BETWEEN}{BETWEEN.join(parts[at] for at in parent.picks)}"
        kept = self._kept.get(above_key)
        if kept is None:
            return
        above = self._kept[above_key] = self._touched[above_key] = _opened(kept, outer)
        above.retell(grown)
        self._touch_outer(above_key, above, find)

    def _growth(self, window: Window, group: str, one: Bin, find: Find) -> Growth | None:
        """What is told of a bin; None where it rests on less than was told: of some of it nothing is kept."""
        correlation = window.correlation
        nested = self._evidence(window, one, find) if correlation.nested else None
        gathered = nested or window.gather(one)
        told, size = one.told, max(1, gathered.weight)
        if size <= told:
            return None
        one.told = size
        basis = gathered.basis()
        seen = nested.seen if nested else window.seen(one)
        finding = replace(self._finding(correlation, group, one, basis), evidence=seen)
        return Growth(finding, told, size, basis.fresh if told else None)

    def _finding(self, correlation: Correlation, group: str, one: Bin, basis: Basis) -> Finding:
        return Finding(
            id=finding_id(correlation, group, one.index),
            time=one.first,
            kind="correlation",
            detection=correlation.id,
            title=correlation.title,
            severity=correlation.severity,
            risk=correlation.risk,
            principal=basis.principals[0] if len(basis.principals) == 1 else "",
            entity=self._entity,
            event_ids=basis.event_ids,
            reasons=tuple(reasons(correlation, group, basis)),
            attack=correlation.attack,
            version=_UNKNOWN,
            author=correlation.author,
            runbook=correlation.runbook[:MOST_STEPS],
        )

    def _evidence(self, window: Window, one: Bin, find: Find) -> Evidence:
        """The evidence of a bin, with that of the correlations it counts."""
        found = window.evidence(one)
        for entry in found.nested:
            inner = find(entry.source.partition(BETWEEN)[0])
            kept = self._kept.get(entry.source)
            if inner is None or kept is None:
                continue
            below = _opened(kept, inner)
            for other in below.bins:
                if other.index == entry.time // inner.bin:
                    found.join(self._evidence(below, other, find))
        return found


def _opened(kept: Window | msgspec.Raw, correlation: Correlation) -> Window:
    """The window, unpacked if need be; made anew where its correlation is not the one it was made by."""
    if isinstance(kept, Window):
        if kept.correlation is correlation:
            return kept
        kept = kept.pack()
    return Window.unpack(correlation, kept)


def finding_id(correlation: Correlation, group: str, index: int) -> str:
    """One id per correlation, group and bin."""
    return stable_id("correlation", correlation.id, group, index)


def fires(correlation: Correlation, matched: Iterable[tuple[str, AuditEvent, Mapping[str, Any]]]) -> bool:
    """Whether matches (rule id, event, record) make a correlation fire, in this order and when nothing follows them."""
    known = family(correlation).get
    feeds: dict[str, list[Feed]] = {}
    for feed in feeds_of(correlation):
        feeds.setdefault(feed.rule_id, []).append(feed)
    entities: dict[str, Windows] = {}
    for rule_id, event, record in matched:
        for feed in feeds.get(rule_id, ()):
            if match := match_of(feed, event, record):
                entities.setdefault(match.entity, Windows(match.entity)).take(match, known)
    return any(windows.ends(correlation.id, known) for windows in entities.values())


def _time(growth: Growth) -> int:
    return growth.finding.time


def _for_ever(sources: frozenset[str]) -> int:
    return 1 << 62
