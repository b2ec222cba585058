from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given, settings

from alerting.alert import Alert
from alerting.console import ConsoleNotifier, render
from alerting.notifier import Permanent, Receipt
from tests.alerting.conftest import a_finding, an_alert
from tests.alerting.test_slack import hostile_alerts


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
        *("CRITICAL", "Root login", "who        alice", "where      ip:203.0.113.9", "75 of 100, findings: 3"),
        *("why        - root was used from a new country", "what to do - ", "rules by   Florian Roth", "T1078.004"),
        an_alert().id,
    ):
        assert needed in text
    assert "\x1b" not in text, "no colour where the stream is no terminal"


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
@given(hostile_alerts)
def test_nothing_from_the_log_acts_on_the_terminal(alert: Alert) -> None:
    text = render(alert).plain
    assert text.replace("\n", "").isprintable()
    assert len(text) < 12_000


async def test_markup_and_emoji_codes_of_the_log_stay_text() -> None:
    text = await shown(an_alert(title="[bold]x[/bold] :skull: [link=http://evil]y[/link]"))
    assert "[bold]x[/bold] :skull: [link=http://evil]y[/link]" in text


async def test_many_reasons_are_counted_and_authors_named_once() -> None:
    twice = tuple(a_finding(author=author) for author in ("A", "B", "A", ""))
    text = await shown(an_alert(reasons=tuple(f"reason {number}" for number in range(20)), findings=twice))
    assert "and 12 more" in text
    assert "rules by   A, B\n" in text


async def test_a_closed_stream_is_a_permanent_problem() -> None:
    stream = StringIO()
    stream.close()
    with pytest.raises(Permanent, match="console"):
        await ConsoleNotifier(stream).deliver(an_alert(), "console", None)
