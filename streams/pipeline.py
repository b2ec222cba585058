"""The two stages that fold events into alerts. Start reading here.

    score      AuditEvents of a principal -> findings, and matches for correlations     (state: Principal)
    correlate  findings and matches of an entity -> alerts                              (state: Entity)

Both are pure folds: no clock, no I/O, the same answer for the same items in the same order however they are batched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from alerting import risk
from alerting.alert import Alert
from audit.brief import brief
from audit.event import AuditEvent
from audit.finding import Finding
from detectors.budget import WORTH_KEEPING
from detectors.features import observe
from rules.correlation_windows import Now, Windows
from streams.campaigns import watch
from streams.deed import Deed
from streams.detections import Detections
from streams.estimate import estimate
from streams.packet import MAX_SIGNALS, Control, Output, Packet, Signal, decode_events, decode_signals, offset_of
from streams.principal import Principal, baseline_key, memory_key, terms_key
from streams.processor import Arrival, Fault, Verdict
from streams.ruling import apply_rules
from streams.shadow import compare
from streams.stage import Unheard, joined
from streams.store import DAY, Entry

ENTITY_TTL = 8 * DAY
"""Of an entity at least; one with windows is kept as long as the longest of them may be needed."""


class Score:
    """Events of a principal -> signals for the entities they concern. Controls say what becomes of what is held."""

    name = "events"

    def __init__(self, witness: Callable[[Sequence[Deed]], None] | None = None) -> None:
        """`witness` is shown the deeds of each batch, judged."""
        self._witness = witness

    def decode(self, payload: bytes) -> Packet[AuditEvent | Control]:
        """See Stage."""
        packet = decode_events(payload)
        if not packet.controls:
            return cast("Packet[AuditEvent | Control]", packet)
        items: list[AuditEvent | Control] = [*packet.items, *packet.controls]
        return Packet("", list(range(len(items))), items)

    def key(self, item: AuditEvent | Control) -> str:
        """See Stage."""
        return item.principal if type(item) is Control else item.actor.id

    def parts(self, key: str) -> tuple[str, str, str]:
        """See Stage."""
        return baseline_key(key), memory_key(key), terms_key(key)

    def unpack(self, key: str, values: Sequence[bytes | None]) -> Principal:
        """See Stage."""
        return Principal.unpack(*values)

    def pack(self, key: str, state: Principal) -> list[Entry]:
        """See Stage."""
        return state.pack(key)

    def fold(
        self, arrivals: Sequence[Arrival[AuditEvent | Control]], states: Mapping[str, Principal], detections: Detections
    ) -> Verdict:
        """Judges the events before each control, obeys it, and goes on behind it."""
        verdicts: list[Verdict] = []
        start = 0
        for place, (_, _, item) in enumerate(arrivals):
            if type(item) is Control:
                verdicts.append(self._judge(arrivals[start:place], states, detections))
                states[item.principal].obey(item)
                start = place + 1
        verdicts.append(self._judge(arrivals[start:], states, detections))
        return joined(verdicts) if start else verdicts[0]

    def _judge(
        self, arrivals: Sequence[Arrival[Any]], states: Mapping[str, Principal], detections: Detections
    ) -> Verdict:
        """Rules for each event, then strangeness for the batch; what is suspected is not learnt."""
        deeds: list[Deed] = []
        faults: list[Fault] = []
        for arrival in arrivals:
            principal = states[arrival.item.actor.id]
            if principal.is_repeat(arrival.item):
                continue
            deed = _deed(arrival, principal, detections)
            deeds.append(deed)
            history = principal.meet(deed.observation) if arrival.item.actor.identity != "anonymous" else None
            deed.new = history.new if history else 0
            errors = apply_rules(deed, history, detections)
            faults += [_fault(deed, error) for error in errors]
            watch(deed, detections)
        estimate(deeds, detections)
        for deed in deeds:
            if deed.strangeness >= WORTH_KEEPING and not (deed.young or deed.repeats or deed.explained):
                deed.principal.score(deed.event.time, deed.strangeness)
        if self._witness:
            self._witness(deeds)
        faults += [_fault(deed, f"only {MAX_SIGNALS} signals kept") for deed in deeds if deed.signals > MAX_SIGNALS]
        return Verdict(
            [output for deed in deeds for output in _signals(deed)],
            faults,
            [(deed.event.id, deed.strangeness) for deed in deeds],
            len(arrivals) - len(deeds),
            unheard=[told for deed in deeds for told in deed.unheard],
            compared=compare(deeds, detections.shadow),
        )


def _deed(arrival: Arrival[AuditEvent], principal: Principal, detections: Detections) -> Deed:
    event, context = arrival.item, detections.context
    groups = detections.snapshot.peers_of(context.person(event.actor.id), event.actor.kind)
    return Deed(arrival, principal, observe(event, context), groups)


def _fault(deed: Deed, error: str) -> Fault:
    return Fault(deed.arrival.partition, offset_of(deed.arrival.mark), error, deed.event.raw)


def _signals(deed: Deed) -> list[Output[Signal]]:
    seen = (brief(deed.event),) if deed.findings else ()
    signals = [
        Signal(finding.entity, finding=msgspec.structs.replace(finding, evidence=seen)) for finding in deed.findings
    ]
    signals += [Signal(match.entity, match=match) for match in deed.matches]
    partition, mark, _ = deed.arrival
    return [
        Output(partition, mark | ordinal, signal.entity, signal) for ordinal, signal in enumerate(signals[:MAX_SIGNALS])
    ]


class Stored(msgspec.Struct, array_like=True, frozen=True):
    """An entity as it is stored."""

    risk: risk.RiskState | None = None
    windows: dict[str, msgspec.Raw] = {}
    dues: dict[str, int] = {}
    days: int = 0
    newest: int = 0


class Entity:
    """What correlate keeps of a user, an address, a session, a resource or a group; changed in place.

    `newest` is the newest episode it has heard of, `turn` the time at which the one after it begins.
    """

    __slots__ = ("newest", "risk", "turn", "windows")

    def __init__(self, key: str, stored: Stored) -> None:
        self.risk = stored.risk
        self.windows = Windows(key, stored.windows, stored.dues, stored.days)
        self.come_to(stored.newest)

    def come_to(self, episode: int) -> None:
        """It has heard of a new episode."""
        self.newest = episode
        self.turn = (episode + 1) * risk.EPISODE


class Correlate:
    """Findings and matches of an entity -> alerts; of an alert that grows within a batch, its last revision.

    Matches are folded one by one and correlations speak at the end of the batch: a burst tells once what it amounts to.
    When they spoke does not show in the last revision of an alert, nor in what is stored: findings only grow, and where
    something is about to be forgotten (event time comes to a new episode, no room) they speak before it is.
    """

    name = "findings"

    def decode(self, payload: bytes) -> Packet[Signal]:
        """See Stage."""
        return decode_signals(payload)

    def key(self, item: Signal) -> str:
        """See Stage."""
        return item.entity

    def parts(self, key: str) -> tuple[str]:
        """See Stage."""
        return (f"e:{key}",)

    def unpack(self, key: str, values: Sequence[bytes | None]) -> Entity:
        """See Stage."""
        return Entity(key, _STORED.decode(values[0]) if values[0] else Stored())

    def pack(self, key: str, state: Entity) -> list[Entry]:
        """See Stage."""
        windows = state.windows.pack()
        days = state.windows.days
        stored = Stored(state.risk, windows, dict(sorted(state.windows.dues.items())), days, state.newest)
        return [Entry(f"e:{key}", _ENCODE(stored), max(ENTITY_TTL, (days + 2) * DAY))]

    def due(self, state: Entity) -> int | None:
        """See TickingStage."""
        return state.windows.due()

    def fold(
        self, arrivals: Sequence[Arrival[Signal]], states: Mapping[str, Entity], detections: Detections
    ) -> Verdict:
        """Windows first, then risk: a correlation that fires counts like any other finding."""
        said = _Said(detections)
        find = detections.rules.correlation
        told: dict[str, tuple[int, int]] = {}
        for partition, mark, signal in arrivals:
            entity, place = states[signal.entity], (partition, mark)
            finding, match = signal.finding, signal.match
            time = finding.time if finding else match.entry.time if match else 0
            if time >= entity.turn:
                said.tell(entity, place)
                entity.come_to(time // risk.EPISODE)
            if match:
                said.evicted += entity.windows.take(match, find)
                told[signal.entity] = place
            if finding:
                said.raise_(entity, finding, place)
        for key, place in told.items():
            said.tell(states[key], place)
        return said.verdict()

    def wake(self, key: str) -> Signal:
        """See TickingStage."""
        return Signal(key)

    def tick(self, arrival: Arrival[Signal], state: Entity, now: Now, detections: Detections) -> Verdict:
        """What follows for an entity of time having come to `now`: absence, "less than", averages."""
        said = _Said(detections)
        said.evicted = state.windows.tick(now, detections.rules.correlation)
        said.tell(state, (arrival.partition, arrival.mark), now)
        return said.verdict()


class _Said:
    """What comes of a batch: alerts in their last revision, and correlations' findings."""

    def __init__(self, detections: Detections) -> None:
        self._detections = detections
        self._alerts: dict[str, Output[Alert]] = {}
        self._findings: dict[str, Finding] = {}
        self._unheard: list[tuple[str, Unheard]] = []
        self.evicted = 0

    def tell(self, entity: Entity, place: tuple[int, int], now: Now | None = None) -> None:
        """Lets the entity's windows speak."""
        find = self._detections.rules.correlation
        for finding, told, size, fresh in entity.windows.grown(self._detections.version, find, now):
            correlation = find(finding.detection)
            if correlation and correlation.stage == "shadow":
                self._unheard += [(finding.detection, "shadow")] if not told else []
            else:
                self._findings[finding.id] = finding
                self._add(entity, place, risk.fold(entity.risk, finding, told, size, entity.newest, fresh))

    def raise_(self, entity: Entity, finding: Finding, place: tuple[int, int]) -> None:
        """Adds a finding to the entity's risk."""
        self._add(entity, place, risk.fold(entity.risk, finding, newest=entity.newest))

    def _add(self, entity: Entity, place: tuple[int, int], folded: tuple[risk.RiskState, tuple[Alert, ...]]) -> None:
        entity.risk, raised = folded
        for alert in raised:
            self._alerts[alert.id] = Output(*place, alert.key, alert)

    def verdict(self) -> Verdict:
        """All of it."""
        return Verdict(
            list(self._alerts.values()),
            [],
            findings=list(self._findings.values()),
            evicted=self.evicted,
            unheard=self._unheard,
        )


_ENCODE = msgspec.msgpack.Encoder().encode
_STORED = msgspec.msgpack.Decoder(Stored)
