"""What rules cost an event, on one core and without parsing: SigmaHQ's CloudTrail rules, and clones of them.

Clones are of three kinds: exact copies, copies with a filter of their own (as tuned rules have), and copies that look
for values of their own (as rules about other deeds do). Times are of the process, the minimum of several runs.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from audit.context import EMPTY
from audit.event import AuditEvent
from audit.sources.reader import read
from benchmarks.steps import source
from rules.compile import RuleSet
from rules.sigma import library, load

SIGMA = Path(__file__).resolve().parents[1].parent / "shared/data/sigma/rules"
SLICES = ("cloud", "identity", "application")

Pair = tuple[AuditEvent, Mapping[str, Any]]
Documents = list[dict[str, Any]]


def best(run: Callable[[], Any], times: int = 7) -> float:
    """Seconds of the process, the fastest of several runs."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def pairs() -> list[Pair]:
    """Real CloudTrail events with their decoded records."""
    raws = source()
    payloads = [b"[" + b",".join(raws[start : start + 50]) + b"]" for start in range(0, len(raws), 50)]
    read_ = (answer for payload in payloads for answer in read("cloudtrail", payload, 2**52, EMPTY))
    return [(event, orjson.loads(event.raw)) for answer in read_ if isinstance(answer, list) for event in answer]


def clones(originals: Documents, count: int, change: Callable[[dict[str, Any], int], None]) -> RuleSet:
    """The rules and changed copies of them, `count` in all, in the same log source."""
    made = []
    for number in range(count):
        clone = copy.deepcopy(originals[number % len(originals)])
        clone["id"] = f"11111111-1111-4111-8111-{number:012d}"
        if number >= len(originals):
            change(clone["detection"], number)
        made.append(clone)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "clones.yml").write_text(yaml.safe_dump_all(made, sort_keys=False))
        return load([Path(folder)])


def nothing(detection: dict[str, Any], number: int) -> None:
    """An exact copy."""


def own_filter(detection: dict[str, Any], number: int) -> None:
    """A copy that leaves somebody out."""
    detection["mine"] = {"userIdentity.userName": f"robot{number}"}
    detection["condition"] = f"({detection['condition']}) and not mine"


def own_values(detection: dict[str, Any], number: int) -> None:
    """A copy that looks for other values of the same fields."""
    for name, selection in detection.items():
        if name != "condition":
            detection[name] = _renamed(selection, number)


def _together() -> RuleSet:
    """All of SigmaHQ's rules at hand as if they were about CloudTrail: many fields and kinds of tests at once."""
    documents = [yaml.safe_load(file.read_text()) for file in sorted(SIGMA.rglob("*.yml"))]
    for document in documents:
        document["logsource"] = {"product": "aws", "service": "cloudtrail"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "all.yml").write_text(yaml.safe_dump_all(documents, sort_keys=False))
        return load([Path(folder)])


def _renamed(value: Any, number: int) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner, number) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, number) for inner in value]
    return f"{value}{number}" if isinstance(value, str) else value


def main() -> None:
    """Prints the table."""
    if not SIGMA.is_dir():
        raise SystemExit("needs ../shared/data/sigma beside the checkout")
    events = pairs()
    folder = SIGMA / "cloud/aws"
    originals = [yaml.safe_load(file.read_text()) for file in sorted(folder.rglob("*.yml"))]
    print(f"\nRules, {len(events)} CloudTrail events, one core, parsing excluded")
    few = _row("SigmaHQ's CloudTrail rules", load([folder]), events, "100k")
    many = 0.0
    for count, goal in ((500, "40k"), (2000, "15k")):
        for change in (nothing, own_filter, own_values):
            said = (change.__doc__ or "").rstrip(".").lower()
            many = max(_row(said, clones(originals, count, change), events, goal), many if count == 2000 else 0.0)
    _row("every SigmaHQ rule, in this log source", _together(), events, "40k")
    print(f"  {'each rule more':<54} {(many - few) / (2000 - len(originals)):33.4f} us/event  goal <= 0.03")
    _row("the library", load([library()]), events, "")
    slices = [SIGMA / part for part in SLICES]
    loaded = load(slices)
    print(f"  load and compile {len(loaded.rules)} rules: {best(lambda: load(slices), 5):.2f} s  goal <= 0.3 s")
    print(f"  slowest event x rules: {_slowest(load([folder]), events) * 1000:.2f} ms  goal <= 50 ms")


def _row(name: str, rules: RuleSet, events: list[Pair], goal: str) -> float:
    found = sum(len(rules.match(*pair)) for pair in events)
    cost = best(lambda: [rules.match(*pair) for pair in events]) / len(events) * 1e6
    shown = f"goal >= {goal}" if goal else ""
    speed = f"{1000 / cost:7.0f}k ev/s {cost:7.2f} us/event"
    print(f"  {name:<54} {len(rules.rules):5} rules {speed} {found:6} matches  {shown}")
    return cost


def _slowest(rules: RuleSet, events: list[Pair]) -> float:
    return max(best(lambda pair=pair: rules.match(*pair), 3) for pair in events[::10])  # type: ignore[misc]


if __name__ == "__main__":
    main()
