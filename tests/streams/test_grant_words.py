"""What people read of temporary access, and what the ledger keeps."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from alerting.advice import so_what
from alerting.alert import from_line, to_line
from alerting.case import case_of
from alerting.console import render
from alerting.label import label_of
from alerting.ledger_record import came
from audit.event import parse_rfc3339
from audit.finding import Version
from rules.access_use import Used
from streams.grant_words import DEEDS_SHOWN, alert_of, decision_of, deeds_of, summary
from streams.grants import News, Watched

START, END = parse_rfc3339("2026-03-04T13:00:00Z"), parse_rfc3339("2026-03-04T14:00:00Z")
GRANT = Watched(5, "ada", "aws", "aws-administrator-prod", "grace", "ACC-1047", START, END, START)
USED = Used(
    5, END, "", START + 120_000_000, START + 2_400_000_000, 8, 0, 0,
    [(1, "rds:ModifyDBInstance on db-1", 6), (2, "ec2:DescribeInstances", 1)], 1,
)  # fmt: skip


def news(step: Any = "closed", used: Used | None = USED, **more: Any) -> News:
    fields = {name: more.pop(name) for name in ("was", "heard") if name in more}
    return News(step, replace(GRANT, **more), used, **fields)


def test_a_summary_names_who_what_when_and_the_most_frequent_deeds() -> None:
    assert summary(news()) == (
        "ada's aws role aws-administrator-prod (ACC-1047, granted by grace) ended 2026-03-04 14:00: used 2026-03-04 "
        "13:02 to 13:40, 8 times: rds:ModifyDBInstance on db-1 (6), ec2:DescribeInstances, and 1 more; "
        "nothing in the quarter of an hour after."
    )


def test_one_that_was_never_used_says_so_and_no_more_than_is_known() -> None:
    assert summary(news(used=None)).endswith("ended 2026-03-04 14:00: never used, so perhaps not needed.")
    later = summary(news(used=None, since=START + 600_000_000))
    assert later.endswith("not used since 2026-03-04 13:10, from when on it was watched.")
    assert summary(news(used=None, heard=False)).endswith("no use is known, but no logs of aws came in either.")


@pytest.mark.parametrize(
    ("failed", "late", "told"),
    [(2, 0, "; 2 did not work; nothing in"), (0, 1, "; once within a quarter of an hour after its end.")],
)
def test_what_did_not_work_and_what_came_after_the_end_is_told(failed: int, late: int, told: str) -> None:
    used = Used(5, END, "", START, START, 1, failed, late, [(1, "s3:GetObject", 1)])
    assert told in summary(news(used=used))


def test_one_taken_out_of_the_context_and_break_glass_have_words_of_their_own() -> None:
    assert "(ACC-1047, granted by grace) was taken out of the context: used" in summary(news("withdrawn"))
    day = summary(news("break_glass", role="root", system="", granted_by="", ticket=""))
    assert day.startswith("ada used the break-glass role root on 2026-03-04: used 2026-03-04 13:02 to 13:40, 8 times")


def test_the_alert_is_low_resolved_and_the_same_whoever_tells_it() -> None:
    alert = alert_of(news(), Version(context="c"))
    assert (alert.severity, alert.risk, alert.status, alert.resolution) == ("low", 0, "resolved", "ended")
    assert (alert.principal, alert.entity, alert.time) == ("ada", "user:ada", END)
    assert from_line(to_line(alert)) == alert
    assert alert_of(news(used=None), Version()).id == alert.id != alert_of(news(expires=END + 1), Version()).id
    assert alert.title == "Temporary access has ended"
    assert alert_of(news(used=None), Version()).title == "Temporary access has ended, unused"


def test_it_is_no_verdict_no_explained_alert_and_asks_for_nothing() -> None:
    alert = alert_of(news(), Version())
    assert label_of(alert, case_of(alert)) is None
    assert came(alert, None) == "raised"
    assert "see whether what was done in it is what it was given for" in so_what(alert)
    assert "What to do" not in str(render(alert))


def test_the_deeds_named_are_bounded_and_safe_to_show() -> None:
    many = [(rank, f"s3:GetObject on b{rank}", 1) for rank in range(20)]
    shown = deeds_of(Used(5, END, events=30, deeds=many, others=10), DEEDS_SHOWN)
    assert len(shown) == DEEDS_SHOWN + 1
    assert shown[-1] == f"and {30 - DEEDS_SHOWN} more"
    hostile = Used(5, END, events=1, deeds=[(1, "x\x1b[2Jy\u202ez\n*", 1)])
    assert not {"\x1b", "\u202e", "\n"} & set("".join(deeds_of(hostile, 3)))


def test_a_record_names_the_step_both_ends_and_the_summary_and_is_written_once() -> None:
    moved = decision_of(news("moved", was=END - 1_000_000), 7, "worker on a")
    assert (moved.kind, moved.subject, moved.at) == ("grant", "ada aws-administrator-prod", 7)
    assert moved.details["action"] == "moved"
    assert moved.details["before"] == "2026-03-04T13:59:59.000Z"
    assert moved.details["expires"] == "2026-03-04T14:00:00.000Z"
    assert "summary" not in moved.details
    closed = decision_of(news(), 8, "worker on a")
    assert closed.details["summary"] == summary(news())
    assert closed.id == decision_of(news(), 9, "worker on b").id
    assert len({decision_of(news(step), 8, "w").id for step in ("opened", "used", "moved", "closed")}) == 4
