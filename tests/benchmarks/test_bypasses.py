from __future__ import annotations

from benchmarks.bypasses import KINDS, rows
from streams.evaluate import Campaign
from streams.simulate.bypasses import CATALOGUE


def test_every_kind_has_a_row_and_what_was_not_found_counts_as_played() -> None:
    campaigns = [Campaign("self_grant", "hard", 1.0, ("a", "b")), Campaign("self_grant", "hard", None)]
    lines = [*rows(campaigns)]
    assert len(lines) == len(KINDS)
    assert lines[KINDS.index("self_grant")] == "| self_grant | 2 | 1 | a (1); b (1) |"
    assert lines[0] == "| contractor_after_end | 0 | 0 |  |"


def test_every_kind_that_is_played_is_measured() -> None:
    assert {kind.name for kind in CATALOGUE} < set(KINDS)
