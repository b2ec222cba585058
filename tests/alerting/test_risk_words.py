from __future__ import annotations

from alerting.risk_words import MOST_REASONS, reasons, summary
from tests.alerting.conftest import a_finding

PAPER = "change CHG-1 approved by mira until 2026-01-31 14:00 UTC"
OWN = a_finding(title="Odd", reasons=("odd hour",), doubts=("CHG-2 is about x",))
EXPLAINED = a_finding(id="f2", title="Rebuilt", reasons=("odd hour", "new tool"), explained=PAPER)


def test_each_reason_is_said_once_and_the_paper_last_unless_it_closed_the_alert() -> None:
    said = ("odd hour", "CHG-2 is about x", "new tool")
    assert reasons([OWN, EXPLAINED], "open") == (*said, f"Explained by {PAPER}")
    assert reasons([OWN, EXPLAINED], "resolved") == (f"Explained by {PAPER}", *said)
    assert len(reasons([a_finding(reasons=tuple(map(str, range(99))))], "open")) == MOST_REASONS


def test_a_summary_is_one_line() -> None:
    assert summary("user:alice", [OWN], "once since noon", "open") == "alice: Odd, once since noon."
    assert summary("ip:192.0.2.1", [OWN, EXPLAINED, OWN], "3 times", "resolved") == (
        f"ip 192.0.2.1: Odd and 2 other detections, 3 times. Explained by {PAPER}."
    )
