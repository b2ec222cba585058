from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given, settings

from alerting import slack_message
from alerting.alert import Alert
from alerting.case import Case
from alerting.console import ConsoleNotifier, render
from alerting.notifier import Permanent, Receipt
from tests.alerting import samples
from tests.alerting.conftest import a_finding, an_alert
from tests.alerting.hostile import hostile_alerts, hostile_cases


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


async def shown(alert: Alert, previous: Receipt | None = None) -> str:
    stream = StringIO()
    await ConsoleNotifier(stream).deliver(alert, "console", previous)
    return stream.getvalue()


async def test_the_block_says_who_what_why_and_what_to_do() -> None:
    text = await shown(an_alert(severity="critical", count=3, entity="ip:203.0.113.9"))
    for needed in (
        *("CRITICAL", "Root login", "who        alice, address 203.0.113.9", "risk       75 of 100, 3 findings"),
        *("so what    An account", "when       31 Jan 12:00 UTC, 2 events", "state      open, nobody has it yet"),
        *("why        - root was used from a new country", "what to do 1. End the sessions of alice"),
        *("rules by Florian Roth", "T1078.004 Valid Accounts: Cloud Accounts", an_alert().id),
    ):
        assert needed in text, needed
    assert "\x1b" not in text, "no colour where the stream is no terminal"


async def test_the_order_is_that_of_slack() -> None:
    """What a team learns in the terminal it finds in Slack at the same place."""
    text = render(samples.anomaly()).plain
    labels = [line[2:12].strip() for line in text.splitlines()[1:] if line[2:12].strip()]
    assert labels == ["who", "so what", "when", "risk", "state", "why", "numbers", "what to do", "events"]
    slack = "\n".join(part["text"]["text"] for part in slack_message.render(samples.anomaly()).blocks if "text" in part)
    places = [
        slack.index(word) for word in ("Who", "So what", "When", "Risk", "State", "Why", "Usual", "What to do", "*Ev")
    ]
    assert places == sorted(places)


def test_who_left_the_case_how_is_told() -> None:
    alert, case = samples.resolved()
    assert "state      resolved as harmless by dana.kim, 31 Jan 12:31 UTC: partner export" in render(alert, case).plain


def test_a_notice_says_what_and_why() -> None:
    text = render(samples.quiet_digest()).plain
    assert "what       6 alerts that did not need a message each" in text
    assert "why        - medium: Repository made public" in text
    assert "what  " not in render(samples.escalation()).plain


async def test_a_receipt_is_given_and_an_update_is_marked() -> None:
    assert "(update)" not in await shown(an_alert())
    assert "(update)" in await shown(an_alert(revision=2), Receipt(1, "high", "console", "x"))
    notifier = ConsoleNotifier(StringIO())
    receipt = await notifier.deliver(an_alert(revision=2), "console", None)
    assert receipt == Receipt(2, "high", notifier.channel(an_alert()), an_alert().id)


async def test_a_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    await ConsoleNotifier(stream).deliver(an_alert(severity="critical"), "console", None)
    assert "\x1b[" in stream.getvalue()


@settings(max_examples=100, deadline=None)
@given(hostile_alerts, hostile_cases)
def test_nothing_from_the_log_acts_on_the_terminal(alert: Alert, case: Case | None) -> None:
    text = render(alert, case).plain
    assert text.replace("\n", "").isprintable()
    assert len(text) < 12_000


async def test_markup_and_emoji_codes_of_the_log_stay_text() -> None:
    text = await shown(an_alert(title="[bold]x[/bold] :skull: [link=http://evil]y[/link]"))
    assert "[bold]x[/bold] :skull: [link=http://evil]y[/link]" in text


async def test_many_reasons_are_counted_and_authors_named_once() -> None:
    twice = tuple(a_finding(author=author) for author in ("A", "B", "A", ""))
    text = await shown(an_alert(reasons=tuple(f"reason {number}" for number in range(20)), findings=twice))
    assert "and 16 more reasons" in text
    assert "rules by A, B\n" in text


async def test_a_closed_stream_is_a_permanent_problem() -> None:
    stream = StringIO()
    stream.close()
    with pytest.raises(Permanent, match="console"):
        await ConsoleNotifier(stream).deliver(an_alert(), "console", None)
