"""The two stages that fold events into alerts. Start reading here.

    score      AuditEvents of a principal -> findings, and matches for correlations     (state: Principal)
    correlate  findings and matches of an entity -> alerts                              (state: Entity)

Both are pure folds: no clock, no I/O, the same answer for the same items in the same order however they are batched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from alerting import risk
from alerting.alert import Alert
from audit.event import AuditEvent
from audit.finding import Finding, at_least
from detectors.features import observe
from rules import correlation as correlations
from rules.compile import RuleSet
from rules.correlation import Match, Window
from rules.fields import View
from rules.rule import Rule, finding_of
from streams.detections import Detections
from streams.estimate import Deed, estimate
from streams.packet import MAX_SIGNALS, Output, Packet, Signal, decode_events, decode_signals, offset_of
from streams.principal import Principal, baseline_key, memory_key
from streams.processor import Arrival, Fault, Verdict
from streams.store import DAY, Entry

ENTITY_TTL = 8 * DAY
WINDOWS = 64
"""Correlation windows one entity may have open; the one unused longest is dropped."""


class Score:
    """Events of a principal -> signals for the entities they concern."""

    name = "events"

    def decode(self, payload: bytes) -> Packet[AuditEvent]:
        """See Stage."""
        return decode_events(payload)

    def key(self, item: AuditEvent) -> str:
        """See Stage."""
        return item.actor.id

    def parts(self, key: str) -> tuple[str, str]:
        """See Stage."""
        return baseline_key(key), memory_key(key)

    def unpack(self, key: str, values: Sequence[bytes | None]) -> Principal:
        """See Stage."""
        return Principal.unpack(*values)

    def pack(self, key: str, state: Principal) -> list[Entry]:
        """See Stage."""
        return state.pack(key)

    def fold(
        self, arrivals: Sequence[Arrival[AuditEvent]], states: Mapping[str, Principal], detections: Detections
    ) -> Verdict:
        """Rules for each event, then strangeness for the batch; what is suspected is not learnt."""
        deeds: list[Deed] = []
        faults: list[Fault] = []
        for arrival in arrivals:
            principal = states[arrival.item.actor.id]
            if principal.is_repeat(arrival.item):
                continue
            deed = Deed(arrival, principal, observe(arrival.item))
            deeds.append(deed)
            errors = _apply_rules(deed, detections)
            faults += [_fault(deed, error) for error in errors]
        estimate(deeds, detections)
        faults += [_fault(deed, f"only {MAX_SIGNALS} signals kept") for deed in deeds if deed.signals > MAX_SIGNALS]
        return Verdict(
            [output for deed in deeds for output in _signals(deed)],
            faults,
            [(deed.event.id, deed.strangeness) for deed in deeds],
            len(arrivals) - len(deeds),
        )


def _apply_rules(deed: Deed, detections: Detections) -> list[str]:
    """Findings and matches of the rules; returns what went wrong: a rule never costs an event, nor another rule."""
    event, rules = deed.event, detections.rules
    try:
        record = orjson.loads(event.raw)
    except orjson.JSONDecodeError as error:
        return [f"its raw record is no JSON: {error}"]
    record = record if isinstance(record, dict) else {}
    errors: list[str] = []
    try:
        matching: Sequence[Rule] = rules.match(event, record)
    except Exception:
        matching = _matching_alone(event, record, rules, errors)
    for rule in matching:
        try:
            _apply(rule, deed, record, detections)
        except Exception as error:
            errors.append(f"rule {rule.id} failed: {error!r}")
    return errors


def _matching_alone(event: AuditEvent, record: Mapping[str, Any], rules: RuleSet, errors: list[str]) -> list[Rule]:
    matching = []
    for rule in rules.of(event.source):
        try:
            if rule.matches(View(event, record)):
                matching.append(rule)
        except Exception as error:
            errors.append(f"rule {rule.id} failed: {error!r}")
    return matching


def _apply(rule: Rule, deed: Deed, record: Mapping[str, Any], detections: Detections) -> None:
    event = deed.event
    if not rule.silent:
        deed.grave = deed.grave or at_least(rule.severity, "medium")
        deed.findings.append(finding_of(rule, event, detections.version))
    for correlation in detections.rules.correlations_of(rule.id):
        if match := correlations.match_of(correlation, event, record):
            deed.matches.append(match)


def _fault(deed: Deed, error: str) -> Fault:
    return Fault(deed.arrival.partition, offset_of(deed.arrival.mark), error, deed.event.raw)


def _signals(deed: Deed) -> list[Output[Signal]]:
    signals = [Signal(finding.entity, finding=finding) for finding in deed.findings]
    signals += [Signal(match.entity, match=match) for match in deed.matches]
    partition, mark, _ = deed.arrival
    return [
        Output(partition, mark | ordinal, signal.entity, signal) for ordinal, signal in enumerate(signals[:MAX_SIGNALS])
    ]


class Entity(msgspec.Struct, array_like=True):
    """What correlate keeps of a user, an address, a session or a resource."""

    risk: risk.RiskState | None = None
    windows: dict[str, Window] = {}


class Correlate:
    """Findings and matches of an entity -> alerts; of an alert that grows within a batch, its last revision."""

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
        return _ENTITIES.decode(values[0]) if values[0] else Entity()

    def pack(self, key: str, state: Entity) -> list[Entry]:
        """See Stage."""
        return [Entry(f"e:{key}", _ENCODE(state), ENTITY_TTL)]

    def fold(
        self, arrivals: Sequence[Arrival[Signal]], states: Mapping[str, Entity], detections: Detections
    ) -> Verdict:
        """Windows first, then risk: a correlation that fires counts like any other finding."""
        alerts: dict[str, Output[Alert]] = {}
        correlated: list[Finding] = []
        for partition, mark, signal in arrivals:
            entity = states[signal.entity]
            finding = signal.finding
            if finding is None:
                finding = _window(entity, signal.match, detections)
                if finding is None:
                    continue
                correlated.append(finding)
            entity.risk, raised = risk.fold(entity.risk, finding)
            for alert in raised:
                alerts[alert.id] = Output(partition, mark, alert.key, alert)
        return Verdict(list(alerts.values()), [], findings=correlated)


def _window(entity: Entity, match: Match | None, detections: Detections) -> Finding | None:
    correlation = detections.rules.correlation(match.correlation) if match else None
    if match is None or correlation is None:
        return None
    key = f"{match.correlation}\x1f{match.group}"
    window, finding = correlations.fold(correlation, entity.windows.pop(key, None), match, detections.version)
    entity.windows[key] = window
    while len(entity.windows) > WINDOWS:
        del entity.windows[next(iter(entity.windows))]
    return finding


_ENCODE = msgspec.msgpack.Encoder().encode
_ENTITIES = msgspec.msgpack.Decoder(Entity)
