"""Is a ledger the one that was written? Every record against the one before it, the tail against anchors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from alerting.ledger import GENESIS, NO_KEY, Head, Key, mac_of, opened, read_record

MOST_PROBLEMS = 50
"""Problems that are named; more are counted."""
TRIMMED = "trimmed"
"""Subject of the record that says up to where the ledger was trimmed: kept elsewhere, or let go."""

_ANCHOR = re.compile(r"ledger anchor (\d{1,16}) ([0-9a-f]{64})\b")


def anchor_line(head: Head) -> str:
    """The text that says where a chain ended at some time: wherever it stands, `read_anchors` finds it."""
    return f"ledger anchor {head.seq} {head.mac}"


def read_anchors(lines: Iterable[str]) -> list[Head]:
    """The anchors in any text: the file auditwatch keeps, a log, an exported channel."""
    return [Head(int(seq), mac) for line in lines for seq, mac in _ANCHOR.findall(line)]


@dataclass(slots=True)
class Report:
    """What verification found. `first` and `last` are numbers; `beyond` counts anchors older than the first record."""

    records: int = 0
    keyed: int = 0
    first: int = 0
    last: Head = GENESIS
    anchors: int = 0
    beyond: int = 0
    problems: list[str] = field(default_factory=list)
    more: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def complain(self, problem: str) -> None:
        """Notes a problem."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1


def verify(lines: Iterable[bytes], keys: Sequence[Key], anchors: Iterable[Head] = ()) -> Report:
    """Checks lines in their order."""
    check = Verification(keys, anchors)
    for line in lines:
        check.see(line)
    return check.end()


class _Slim(msgspec.Struct):
    seq: int
    kind: str
    key: str


class Verification:
    """Takes one line after the other. After a problem it goes on from the line that has it, so that all are named."""

    def __init__(self, keys: Sequence[Key], anchors: Iterable[Head]) -> None:
        self.report = Report()
        self._keys = {key.name: key for key in (NO_KEY, *keys)}
        self._can = bool(keys)
        self._anchors: dict[int, set[str]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.seq, set()).add(anchor.mac)
        self._last = GENESIS
        self._key = ""
        self._start: tuple[bytes, str, _Slim] | None = None
        self._unread: set[str] = set()

    def see(self, line: bytes) -> None:
        """The next line."""
        try:
            body, mac = opened(line)
            slim = _SLIM.decode(body)
        except ValueError as error:
            self.report.complain(f"what follows record {self._last.seq} is no record: {error}")
            return
        report, seq = self.report, slim.seq
        if not report.records:
            report.first = seq
        report.records += 1
        if seq != self._last.seq + 1:
            self._out_of_order(body, mac, slim)
        else:
            self._check_mac(body, mac, slim, self._last.mac)
        self._check_key(slim)
        if slim.kind == "ledger":
            self._check_start(line)
        if seq in self._anchors:
            self._check_anchor(seq, mac)
        self._last = Head(seq, mac)

    def _check_mac(self, body: bytes, mac: str, slim: _Slim, previous: str) -> None:
        key = self._keys.get(slim.key)
        if key is None:
            self._say_unread(slim)
        elif mac_of(previous, body, key) != mac:
            self.report.complain(f"record {slim.seq} is not as it was written, or follows another than it did")

    def _say_unread(self, slim: _Slim) -> None:
        if slim.key not in self._unread:
            self._unread.add(slim.key)
            self.report.complain(
                f"record {slim.seq} and others bear the key {slim.key[:8]!r}, which AUDITWATCH_LEDGER_KEY does not hold"
            )

    def _out_of_order(self, body: bytes, mac: str, slim: _Slim) -> None:
        before, seq = self._last.seq, slim.seq
        if self.report.records == 1:
            self._start = (body, mac, slim)
        elif seq > before + 1:
            self.report.complain(f"records {before + 1} to {seq - 1} are missing")
        else:
            self.report.complain(f"record {seq} stands after record {before}: moved, or there twice")

    def _check_key(self, slim: _Slim) -> None:
        if slim.key:
            self.report.keyed += 1
        elif self._key:
            self.report.complain(f"record {slim.seq} bears no key although the one before does: forged")
        self._key = slim.key

    def _check_start(self, line: bytes) -> None:
        """A record that says up to where was trimmed vouches for the first record there is."""
        record = read_record(line)
        if self._start and record.subject == TRIMMED and record.details.get("through") == str(self.report.first - 1):
            self._begin_after(record.details.get("mac", ""))

    def _begin_after(self, previous: str) -> None:
        assert self._start
        body, mac, slim = self._start
        self._start = None
        self._check_mac(body, mac, slim, previous)

    def _check_anchor(self, seq: int, mac: str) -> None:
        self.report.anchors += 1
        if self._anchors[seq] != {mac}:
            self.report.complain(f"record {seq} is not the one an anchor saw: from there or before, all was rewritten")

    def end(self) -> Report:
        """There is no further line: what was found."""
        report = self.report
        report.last = self._last
        if self._start and len(known := self._anchors.get(report.first - 1, set())) == 1:
            self._begin_after(next(iter(known)))
        if self._start:
            report.complain(f"records 1 to {report.first - 1} are missing, and no record says that they were trimmed")
        if self._can and report.records and not self._key:
            report.complain("the last record bears no key although one is set: the ledger was replaced, or never keyed")
        report.beyond = sum(seq < report.first for seq in self._anchors)
        self._check_tail()
        return report

    def _check_tail(self) -> None:
        cut = [seq for seq in self._anchors if seq > self._last.seq]
        if cut:
            self.report.anchors += len(cut)
            self.report.complain(
                f"the tail is cut: the ledger ends with record {self._last.seq}, an anchor saw record {max(cut)}"
            )


_SLIM = msgspec.json.Decoder(_Slim)
