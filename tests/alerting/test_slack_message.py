from __future__ import annotations

import json
import re
import sys
import timeit
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from alerting.alert import Alert
from alerting.case import Case, Step, take
from alerting.slack_message import render, without_blocks
from audit.brief import EventBrief, Measure
from tests.alerting import samples
from tests.alerting.conftest import NOON, SECOND, a_finding, an_alert
from tests.alerting.hostile import hostile_alerts, hostile_cases
from tests.alerting.slack_server import complaints

LABELS = {"Who", "So what", "When", "Risk", "State", "Usual against now", "Events"}


def texts(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for block in body["blocks"]:
        parts = (block.get("text"), *block.get("fields", ()), *block.get("elements", ()))
        yield from [
            part.get("text") if block["type"] == "actions" else part for part in parts if part and "text" in part
        ]


def body_of(alert: Alert, case: Case | None = None) -> dict[str, Any]:
    return msgspec.structs.asdict(render(alert, case))


def shown(alert: Alert, case: Case | None = None) -> str:
    return "\n".join(part["text"] if isinstance(part, dict) else part for part in texts(body_of(alert, case)))


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@settings(max_examples=150, deadline=None)
@given(hostile_alerts, hostile_cases)
def test_any_alert_is_a_message_slack_takes_and_in_which_the_log_is_dead(alert: Alert, case: Case | None) -> None:
    body = body_of(alert, case)
    assert complaints(body) == []
    assert len(body["blocks"]) <= 8
    assert len(body["text"].encode()) <= 4000
    json.dumps(body, ensure_ascii=False).encode()
    for text in (body["text"], *(part["text"] for part in texts(body))):
        assert not re.search(r"<|>|&(?!amp;|lt;|gt;)|https?://", text, re.IGNORECASE)
        assert text.replace("\n", "").isprintable()


@settings(max_examples=100, deadline=None)
@given(hostile_alerts, hostile_cases)
def test_every_limit_holds_in_utf_16_units(alert: Alert, case: Case | None) -> None:
    blocks = body_of(alert, case)["blocks"]
    total = 0
    for block in blocks:
        if block["type"] == "actions":
            buttons = [one for one in block["elements"] if one["type"] == "button"]
            menus = [one for one in block["elements"] if one["type"] == "overflow"]
            assert len(buttons) <= 4
            assert len(menus) <= 1
            assert all(units(one["text"]["text"]) <= 75 and units(one["value"]) <= 2000 for one in buttons)
            assert all(len(one["options"]) <= 5 for one in menus)
            assert all(units(option["value"]) <= 150 for one in menus for option in one["options"])
            continue
        for part in (block["text"],) if "text" in block else block["elements"]:
            assert 1 <= units(part["text"]) <= (150 if block["type"] == "header" else 3000)
            total += units(part["text"]) + 60
    assert total <= 13_200


@given(hostile_alerts, hostile_cases)
@settings(max_examples=100, deadline=None)
def test_markup_is_ours_alone(alert: Alert, case: Case | None) -> None:
    """Log text in mrkdwn stands between backticks, our labels and sentences around them; all other text is plain."""
    for part in texts(body_of(alert, case)):
        if part["type"] == "mrkdwn":
            assert part["verbatim"] is True
            assert part["text"].count("`") % 2 == 0
            ours = re.sub(r"```[^`]*```|`[^`\n]+`", "", part["text"])
            assert "`" not in ours
            assert set(re.findall(r"\*([^*]*)\*", ours)) <= LABELS
            assert not re.search(r"[_~]", ours)
            assert re.fullmatch(r"[\w ,.:;'*\n-]*", ours), ours
        else:
            assert part["emoji"] is False


def test_the_message_says_who_what_why_so_what_and_what_to_do() -> None:
    body = body_of(an_alert(severity="critical", reasons=("first use from KP", "root"), count=7))
    whole = shown(an_alert(severity="critical", reasons=("first use from KP", "root"), count=7))
    assert body["text"].startswith("🔴 Critical: Root login (alice, risk 75). first use from KP")
    assert body["blocks"][0]["text"]["text"] == "🔴 Critical: Root login"
    for needed in (
        "*Who* `alice`",
        "*So what* An account in the wrong hands",
        "*When* 31 Jan 12:00 UTC, 2 events",
        "*Risk* 75 of 100, 7 findings",
        "*State* open, nobody has it yet",
        "• root was used from a new country",
        "• first use from KP",
        "1. End the sessions of alice",
        "Ask alice over a second channel",
        "ATT&amp;CK T1078.004 Valid Accounts: Cloud Accounts",
        "rules by Florian Roth",
        "rules rules1",
    ):
        assert needed in whole, needed


@settings(max_examples=100, deadline=None)
@given(hostile_alerts, hostile_cases)
def test_the_verdict_is_in_the_first_150_characters(alert: Alert, case: Case | None) -> None:
    """Severity, who and risk are in what a phone shows of a notification, however long the title is."""
    assert re.search(r"^\S+ (Low|Medium|High|Critical): .*, risk \d+\)\.", render(alert, case).text[:150], re.DOTALL)


def test_usual_against_now_is_a_bar_of_the_numbers_carried() -> None:
    measures = (Measure("events in 15 min", 41, 3.2), Measure("refused in 15 min", 9.0, 0.0))
    found = [part["text"] for part in texts(body_of(an_alert(measures=measures))) if "Usual" in part["text"]]
    assert found[0].splitlines() == [
        "*Usual against now*",
        "```events in 15 min",
        " usual █▏ 3.2",
        "   now ██████████████ 41",
        "refused in 15 min",
        " usual ▏ 0",
        "   now ██████████████ 9```",
    ]
    assert "Usual against now" not in shown(an_alert())


def test_events_show_their_key_fields_and_what_they_share_once() -> None:
    evidence = tuple(
        EventBrief(
            NOON + at * SECOND, f"e{at}", "cloudtrail", action, outcome, "alice", target, what, "203.0.113.9", "KP"
        )
        for at, action, outcome, target, what in (
            (1, "ConsoleLogin", "failure", "", ""),
            (2, "ConsoleLogin", "failure", "", ""),
            (3, "CreateAccessKey", "success", "bob", "AWS::IAM::User bob"),
        )
    )
    whole = shown(an_alert(evidence=evidence, event_ids=tuple("abcdef")))
    assert "*Events* `cloudtrail · 203.0.113.9 KP`" in whole
    assert "12:00:01-12:00:02 2x ConsoleLogin · failure\n" in whole
    assert "12:00:03 CreateAccessKey · success\n  to bob · AWS::IAM::User bob\nand 3 more```" in whole
    assert "*Who* `alice` from `203.0.113.9 (KP)`" in whole


def test_the_buttons_follow_the_case() -> None:
    alert = an_alert()
    opened, acked, snoozed, resolved, reopened = standing_of(alert)
    assert labels(alert, None) == labels(alert, opened) == ["case.ack", *OTHERS]
    assert labels(alert, acked) == labels(alert, snoozed) == OTHERS
    assert labels(alert, resolved) == ["case.reopen"]
    assert labels(alert, reopened) == ["case.ack", *OTHERS]
    assert options(alert, opened) == ["assign", "benign", "ask", "evidence"]
    assert options(an_alert(entity="ip:203.0.113.9"), opened) == ["assign", "benign", "evidence"]
    value = json.loads(actions(alert, acked)[0]["value"])
    assert (value["alert_id"], value["version"]) == (alert.id, 1)


OTHERS = ["case.resolve", "case.false_positive", "case.snooze", "case.more"]


def standing_of(alert: Alert) -> list[Case]:
    """Open, acknowledged, snoozed, resolved, reopened."""
    cases = [Case(alert.id)]
    steps = (
        Step("ack", "dana", NOON),
        Step("snooze", "dana", NOON, until=NOON + 3600 * SECOND),
        Step("benign", "dana", NOON, "a `drill`"),
        Step("reopen", "eve", NOON),
    )
    for step in steps:
        after = take(cases[-1], step)
        assert isinstance(after, Case)
        cases.append(after)
    return cases


def actions(alert: Alert, case: Case | None) -> list[dict[str, Any]]:
    (block,) = [block for block in body_of(alert, case)["blocks"] if block["type"] == "actions"]
    return list(block["elements"])


def labels(alert: Alert, case: Case | None) -> list[str]:
    return [one["action_id"] for one in actions(alert, case)]


def options(alert: Alert, case: Case | None) -> list[str]:
    return [json.loads(option["value"])["do"] for option in actions(alert, case)[-1]["options"]]


def test_the_message_says_who_left_the_case_how_and_when() -> None:
    alert = an_alert()
    _, acked, snoozed, resolved, reopened = standing_of(alert)
    assert "*State* acknowledged by `dana`, 31 Jan 12:00 UTC" in shown(alert, acked)
    assert "*State* snoozed until 31 Jan 13:00 UTC by `dana`" in shown(alert, snoozed)
    assert "*State* resolved as harmless by `dana`, 31 Jan 12:00 UTC: `a 'drill'`" in shown(alert, resolved)
    assert "*State* reopened by `eve`" in shown(alert, reopened)
    assert render(alert, resolved).text.startswith("✅ High: Root login (alice, risk 75). resolved as harmless by dana")


def test_an_id_too_long_for_a_menu_has_none() -> None:
    """Slack allows an option 150 characters; a button takes 2,000."""
    assert labels(an_alert(id="x" * 150), None) == ["case.ack", *OTHERS[:-1]]


def test_declared_paper_and_doubts_are_told_where_they_belong() -> None:
    findings = (
        a_finding(explained="change CHG-7 of dana, 12:00 to 14:00"),
        a_finding(detection="r2", title="Second", doubts=("ticket CHG-8 had ended by 11:00",)),
    )
    reasons = (*findings[0].reasons, "Explained by change CHG-7 of dana, 12:00 to 14:00")
    whole = shown(an_alert(findings=findings, reasons=reasons, status="resolved", resolution="explained"))
    assert whole.count("CHG-7") == 1
    assert "✔ explained: change CHG-7 of dana, 12:00 to 14:00" in whole
    assert "Second (medium, risk 30)\n   root was used from a new country\n   ✘ not explained: ticket CHG-8" in whole
    assert "*State* resolved as explained by declared paper" in whole


def test_what_does_not_fit_is_counted() -> None:
    reasons = tuple(f"reason {number}" for number in range(20))
    whole = shown(an_alert(findings=(), reasons=reasons))
    assert "reason 3\n• and 16 more reasons" in whole
    whole = shown(an_alert(findings=tuple(a_finding(title=f"T{number}", reasons=()) for number in range(9))))
    assert "T4 (medium, risk 30)\n• and 4 more detections" in whole


def test_a_rule_says_on_one_line_what_it_looked_for() -> None:
    finding = a_finding(reasons=("What it is.", "verb is create", "resource is pods"))
    assert "• What it is.\n• verb is create · resource is pods" in shown(an_alert(findings=(finding,), reasons=()))


def test_times_in_reasons_are_short() -> None:
    finding = a_finding(
        kind="correlation", reasons=("9 events, from 2026-01-31T12:00:00.123456Z to 2026-99-31T12:00:00Z",)
    )
    assert "from 31 Jan 12:00:00 to 31 99 12:00:00" in shown(an_alert(findings=(finding,)))


def test_a_summary_that_says_more_is_shown() -> None:
    assert "Seen by the other tool" in shown(an_alert(summary="Seen by the other tool"))
    assert "once since" not in shown(an_alert())


def test_the_metadata_finds_the_message_again() -> None:
    alert = an_alert(revision=3)
    payload = {"alert_id": alert.id, "revision": 3, "severity": "high"}
    assert render(alert).metadata == {"event_type": "auditwatch_alert", "event_payload": payload}


def test_every_author_of_a_rule_is_named() -> None:
    """The Detection Rule License asks for it, also where the list of detections is cut."""
    alert = an_alert(findings=tuple(a_finding(author=f"Author {number}") for number in range(12)))
    assert all(f"Author {number}" in shown(alert) for number in range(12))
    assert "rules by" not in shown(an_alert(findings=(a_finding(author=""),)))


@settings(max_examples=50, deadline=None)
@given(hostile_alerts)
def test_without_blocks_the_text_says_it_within_4000_bytes(alert: Alert) -> None:
    message = without_blocks(render(alert))
    assert message.blocks == []
    assert len(message.text.encode()) <= 4000
    assert not re.search(r"[*_~`<>]|https?://", message.text)
    assert len(message.text) <= 900


@pytest.mark.parametrize("name", list(samples.messages()))
def test_each_sample_is_a_message_slack_takes(name: str) -> None:
    for message in samples.messages()[name]:
        assert complaints(msgspec.structs.asdict(message)) == []


def test_rendering_takes_less_than_a_millisecond() -> None:
    """An ordinary alert, the best of several tries on a busy machine."""
    alert, case = samples.critical(), standing_of(samples.critical())[1]
    best = min(timeit.repeat(lambda: render(alert, case), number=20, repeat=10)) / 20
    sys.stdout.write(f"render: {best * 1e6:.0f} us\n")
    assert best < 1e-3
