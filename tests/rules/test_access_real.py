"""Real public logs: whatever stands in them, the model answers, and what it says is bounded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest

from audit.context import Context
from audit.finding import Version
from rules.access import BESIDE_THE_POINT, Access
from rules.access_finding import LONGEST, finding_of
from rules.view import View
from streams.replay import Source, events_of
from tests.rules.accessing import context

ARRIVAL = 2_000_000_000_000_000
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = [
    Source(folder.name, str(file))
    for folder in sorted(DATA.glob("*"))
    if folder.name in ("cloudtrail", "kubernetes", "github", "okta", "linux", "gcp")
    for file in sorted(folder.glob("*.raw.jsonl.gz"))
    if not file.name.startswith("mordor")  # another product's reduction, which nobody reads
]


@pytest.fixture
def known(tmp_path: Path) -> Context:
    systems = ("aws", "k8s", "github", "okta", "linux", "google")
    roles = [{"name": name, "system": name, "actions": ["x:Y"], "resources": ["a*"]} for name in systems]
    return context(tmp_path, roles=roles, users=[{"id": "ada", "roles": list(systems)}])


@pytest.mark.skipif(not FILES, reason="needs ../shared/data beside the checkout")
@pytest.mark.parametrize("source", FILES, ids=lambda source: Path(source.path).name)
def test_every_event_is_judged_and_what_is_told_is_short(source: Source, known: Context) -> None:
    access = Access(known)
    kinds: Counter[str] = Counter()
    for number, event in enumerate(events_of([source], known, ARRIVAL, [])):
        record = orjson.loads(event.raw)
        record = record if isinstance(record, dict) else {}
        decision = access.decide(event, record)
        kinds[decision.kind] += 1
        if decision.kind not in BESIDE_THE_POINT and number < 3_000:
            finding = finding_of(access, View(event, record, None, None, known), decision, Version())
            assert all(len(reason) < 6 * LONGEST for reason in finding.reasons)
    assert kinds
