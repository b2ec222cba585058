"""Every number the services publish: mypy refuses a name that is not listed here, so this file is the metrics page."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CounterName = Literal[
    "records",  # raw records read by normalise, by source
    "folded",  # items folded into states, by topic; those folded again after a rewind count again
    "repeats",  # events delivered twice and counted once, by topic
    "evicted",  # matches and windows of correlations that had no room, or came too late, by topic
    "findings",  # findings emitted by score
    "shadow",  # matches of rules in shadow, by rule
    "excused",  # matches an exception hides, by rule; access.*: what the model only observes, or lacks, and repeats
    "explained",  # matches declared paper keeps from correlations, by correlation; alerts: revisions it closed
    "compared",  # events scored by a model in the shadow, and findings of either model, by whose they would be
    "alerts",  # alert revisions emitted by correlate
    "dispatched",  # what became of alerts: sent, refused, muted, gathered (into a digest), explained, by which
    "deadletters",  # items bound for audit.deadletter, by stage
    "rewinds",  # partitions rewound, by stage: surprises that were answered
    "errors",  # exceptions a stage met and survived, by stage
    "unrecorded",  # decisions the ledger lost while Redis was away and there was no room to keep them
    "reloads",  # changes of rules, model or context: taken, refused; of the routes: routes taken, routes refused
]
GaugeName = Literal[
    "lag",  # messages not yet folded, by topic
    "partitions",  # partitions this worker owns, by topic
    "snapshot_age_seconds",  # since the snapshot in use was made
    "snapshot_groups",  # groups of principals it speaks of
    "snapshot_build_seconds",  # how long the last one this worker built took
    "silence_seconds",  # watched time since a source sent something, by source, on the worker that watches
    "stale",  # 1 while the last change of rules, model or context was refused; "routes": of the routes
]

REGISTRY = CollectorRegistry()
_COUNTERS = {
    name: Counter(f"auditwatch_{name}", f"auditwatch {name}", ["label"], registry=REGISTRY)
    for name in get_args(CounterName)
}
_GAUGES = {
    name: Gauge(f"auditwatch_{name}", f"auditwatch {name}", ["label"], registry=REGISTRY)
    for name in get_args(GaugeName)
}
STEP_SECONDS = Histogram(
    "auditwatch_step_seconds",
    "time one guarded step of a stage took: load, fold, emit, save",
    ["stage"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
DELAY_SECONDS = Histogram(
    "auditwatch_delay_seconds",
    "from the arrival of the raw message at the broker to the end of the stage",
    ["stage"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
    registry=REGISTRY,
)


def count(name: CounterName, label: str = "", by: int = 1) -> None:
    """Adds to a counter."""
    if by:
        _COUNTERS[name].labels(label).inc(by)


def gauge(name: GaugeName, value: float, label: str = "") -> None:
    """Sets a gauge."""
    _GAUGES[name].labels(label).set(value)


def labelled(name: CounterName) -> dict[str, int]:
    """What a counter stands at by label."""
    samples = [sample for family in _COUNTERS[name].collect() for sample in family.samples]
    return {sample.labels["label"]: int(sample.value) for sample in samples if sample.name.endswith("_total")}


def counted(name: CounterName, label: str = "") -> float:
    """What a counter stands at (for tests and status lines)."""
    return float(_COUNTERS[name].labels(label)._value.get())
