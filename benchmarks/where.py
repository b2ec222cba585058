"""Where each microsecond of the live worker goes: python -m benchmarks where

The real worker over the real broker and Redis, its CPU time divided by a sampler (benchmarks/sampler.py); the rows add
up to all of it. The empty stock agent and the worker without the sampler run beside it, for scale.
"""

from __future__ import annotations

from benchmarks import live
from benchmarks.data import attacked, distinct, ordinary
from benchmarks.sampler import COLLECTOR, OUTSIDE, REST, SAMPLER, Stages

READ, NORMALISE, IDENTIFY = "split and decode records", "normalise", "identify"
PACK, PRODUCE, FETCH = "pack for the next stage", "broker client: produce, ask", "broker client: fetch (its thread)"
DECODE, REPEATS, OBSERVE = "decode packets", "repeats", "observe, peers"
TERMS, AGAIN, RULES = "first-seen terms", "decode the record for the rules", "rules"
FEATURES, FOREST, LEARN = "features", "forest, rarity, calibration", "learn, hold, release"
GUESS, ANOMALY, SLOW, SIGNALS = (
    "guess and go back",
    "anomaly findings",
    "slow campaigns, peaks",
    "signals, rest of score",
)
CORRELATE, LOAD, STORE, REDIS = "correlate", "load states", "pack states", "Redis client"
CLOCK, SHELL, LOOP, FAUST = "clock and time passing", "shell, processor, metrics", "event loop", "Faust"

STAGES = {
    "audit/sources/reader.py": READ,
    "audit/sources/": NORMALISE,
    "streams/normalise.py": NORMALISE,
    "audit/identity.py": IDENTIFY,
    "audit/context": IDENTIFY,
    "audit/network.py": IDENTIFY,
    "streams/packet.py": PACK,
    "streams/kafka.py:partition_of": PACK,
    "streams/processor.py:Processor._admit": DECODE,
    "streams/processor.py:Processor._read": DECODE,
    "streams/pipeline.py:Score.decode": DECODE,
    "streams/principal.py:Principal.is_repeat": REPEATS,
    "streams/pipeline.py:_deed": OBSERVE,
    "streams/principal.py:Principal.meet": TERMS,
    "streams/ruling.py:apply_rules": AGAIN,
    "streams/ruling.py": RULES,
    "rules/": RULES,
    "streams/principal.py:Principal.row": FEATURES,
    "detectors/model.py:Model.score": FOREST,
    "streams/principal.py:Principal.learn": LEARN,
    "streams/principal.py:Principal.hold": LEARN,
    "streams/principal.py:Principal.release": LEARN,
    "streams/estimate.py": GUESS,
    "streams/deed.py": GUESS,
    "detectors/anomaly.py": ANOMALY,
    "streams/campaigns.py": SLOW,
    "streams/principal.py:Principal.score": SLOW,
    "streams/pipeline.py:_signals": SIGNALS,
    "streams/pipeline.py:Score.fold": SIGNALS,
    "streams/pipeline.py:Score._judge": SIGNALS,
    "streams/pipeline.py:Correlate.decode": CORRELATE,
    "streams/pipeline.py:Correlate.fold": CORRELATE,
    "streams/pipeline.py:Correlate.pack": CORRELATE,
    "streams/pipeline.py:Correlate.unpack": CORRELATE,
    "streams/ticking.py": CORRELATE,
    "streams/agenda.py": CORRELATE,
    "rules/correlation_": CORRELATE,
    "alerting/": CORRELATE,
    "streams/processor.py:Processor._states": LOAD,
    "streams/processor.py:Processor._packed": STORE,
    "streams/principal.py:Principal.pack": STORE,
    "streams/store.py": REDIS,
    "redis/": REDIS,
    "streams/kafka_log.py": PRODUCE,
    "aiokafka/": PRODUCE,
    "streams/clock.py": CLOCK,
    "streams/passage.py": CLOCK,
    "streams/engine.py": SHELL,
    "streams/duties.py": SHELL,
    "streams/shell.py": SHELL,
    "streams/processor.py": SHELL,
    "streams/outlet.py": SHELL,
    "streams/metrics.py": SHELL,
    "streams/worker.py:build": SHELL,
    "prometheus_client/": SHELL,
}
"""Where each stage begins; what it calls belongs to it unless that is named itself."""
OUTER = {"asyncio/": LOOP, "selectors.py": LOOP, "faust/": FAUST, "mode/": FAUST}
ORDER = (
    READ, NORMALISE, IDENTIFY, PACK, PRODUCE, FETCH, DECODE, REPEATS, OBSERVE, TERMS, AGAIN, RULES, FEATURES, FOREST,
    LEARN, GUESS, ANOMALY, SLOW, SIGNALS, CORRELATE, LOAD, STORE, REDIS, CLOCK, SHELL, LOOP, FAUST, COLLECTOR,
    OUTSIDE, REST,
)  # fmt: skip


def stages() -> Stages:
    """How frames are told apart."""
    return Stages(STAGES, OUTER, FETCH)


def table(booked: dict[str, int], events: int, yardstick: float) -> list[str]:
    """A line a stage: microseconds an event, its part of the whole, and of what the empty agent costs an event."""
    total = sum(booked.values()) - booked.get(SAMPLER, 0)
    known = [stage for stage in ORDER if stage in booked]
    rest = [stage for stage in booked if stage not in ORDER and stage != SAMPLER]
    lines = []
    for stage in known + rest:
        cost = booked[stage] / 1e3 / events
        lines.append(f"  {stage:<40} {cost:6.2f} us {booked[stage] / total:6.1%} {cost / yardstick:6.3f}")
    whole = total / 1e3 / events
    lines.append(f"  {'together':<40} {whole:6.2f} us {1:6.1%} {whole / yardstick:6.3f}")
    return lines


def main(events: int = 120_000) -> None:
    """Prints the table."""
    empty = live.throughput(distinct(ordinary(), 40_000), 1, "empty")
    yardstick = empty["cpu_us"]
    print(f"\nWhere the microseconds go; empty stock agent {yardstick:.1f} us CPU a message = 1")
    for name, base in (
        ("a simulated organisation's CloudTrail", ordinary()),
        ("a real dump of an attack tool", attacked()),
    ):
        if base:
            _one(name, distinct(base, events), yardstick)


def _one(name: str, records: list[bytes], yardstick: float) -> None:
    plain = live.throughput(records, 50, "worker")
    looked = live.throughput(records, 50, "where")
    booked = looked["booked"]
    dearer = looked["cpu_us"] / plain["cpu_us"] - 1
    seen = sum(booked.values()) / 1e3 / looked["events"] / looked["cpu_us"]
    print(f"\n  {name}, 50 a message, {looked['events']:,.0f} events, {looked['looks']:,.0f} looks")
    print("\n".join(table(booked, int(looked["events"]), yardstick)))
    own = booked.get(SAMPLER, 0) / 1e3 / looked["events"]
    print(
        f"  of the process's CPU time {seen:.1%}; without the sampler {plain['cpu_us']:.1f} us "
        f"({dearer:+.1%} with it, {own:.2f} us of them its own)"
    )


if __name__ == "__main__":
    main()
