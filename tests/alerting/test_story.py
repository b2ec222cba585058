from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting import story
from alerting.alert import Alert
from alerting.case import Case
from alerting.story_numbers import BAR, bars, events
from audit.brief import EventBrief, Measure
from tests.alerting.conftest import HOUR, NOON, SECOND, an_alert
from tests.alerting.hostile import hostile_alerts, hostile_cases, numbers


def facts(alert: Alert, case: Case | None = None) -> dict[str, str]:
    return dict(story.facts(alert, case))


def test_who_is_the_person_the_thing_or_both() -> None:
    assert facts(an_alert())["Who"] == "`alice`"
    assert facts(an_alert(entity="ip:203.0.113.9"))["Who"] == "`alice`, address `203.0.113.9`"
    seen = (EventBrief(NOON, "e", address="203.0.113.9", country="KP"),)
    spray = an_alert(entity="ip:203.0.113.9", principal="", evidence=seen)
    assert facts(spray)["Who"] == "address `203.0.113.9`", "not from itself"
    assert facts(an_alert(entity="resource:s3`x", principal="", evidence=seen))["Who"].startswith(
        "resource `s3'x` from `"
    )
    assert facts(an_alert(entity="user:eve", principal=""))["Who"] == "account `eve`"


def test_moments_and_spans_read_well() -> None:
    assert story.moment(NOON) == "31 Jan 12:00 UTC"
    assert story.moment(2**62) == story.moment(-(2**62)) == "an unknown time"
    assert story.span(NOON, NOON + 59 * SECOND) == "31 Jan 12:00 UTC"
    assert story.span(NOON, NOON + 8 * 60 * SECOND) == "31 Jan 12:00 to 12:08 UTC"
    assert story.span(NOON, NOON + 13 * HOUR) == "31 Jan 12:00 to 1 Feb 01:00 UTC"


def test_an_assignee_is_named_unless_he_did_the_last_step() -> None:
    case = Case("a", "acknowledged", None, 2, "dana", NOON, "", "eve")
    assert story.state(an_alert(), case) == "acknowledged by `dana`, 31 Jan 12:00 UTC, with `eve`"
    assert story.state(an_alert(), Case("a", "acknowledged", None, 2, "eve", NOON, "", "eve")).count("eve") == 1
    assert story.state(an_alert(status="resolved", resolution="mystery"), None) == "resolved as `mystery`"


@settings(max_examples=100, deadline=None)
@given(hostile_alerts, hostile_cases)
def test_any_line_is_printable_and_every_backtick_is_ours(alert: Alert, case: Case | None) -> None:
    for _, line in story.facts(alert, case):
        assert line.isprintable()
        assert line.count("`") % 2 == 0
    lines = [*story.outline(story.why(alert)), *story.fine_print(alert), *bars(alert.measures), *events(alert)[1]]
    assert all(line.isprintable() for line in lines)
    assert len(lines) < 100


@given(numbers, numbers)
def test_bars_are_never_longer_than_they_may_be(now: float, usual: float) -> None:
    _, *both = bars([Measure("events", now, usual)])
    for line in both:
        assert line[:6].strip() in ("usual", "now")
        assert 1 <= len(line[7:].split(" ")[0]) <= BAR


def test_the_numbers_farthest_from_their_usual_are_shown() -> None:
    shown = bars([Measure(f"m{n}", float(n), 1.0) for n in range(6)])
    assert [line for line in shown if line.startswith("m")] == ["m5", "m4", "m3"]


def test_events_of_several_days_and_people_say_so() -> None:
    seen = tuple(
        EventBrief(NOON + n * 20 * HOUR, f"e{n}", "okta", "login", "failure", name, "", "", f"10.0.0.{n}", "DE")
        for n, name in enumerate(("ann", "bea"))
    )
    shared, lines = events(an_alert(principal="", evidence=seen, event_ids=("e0", "e1")))
    assert shared == "okta"
    assert lines == [
        "31 Jan 12:00:00 login · failure",
        "  ann · 10.0.0.0 DE",
        "1 Feb 08:00:00 login · failure",
        "  bea · 10.0.0.1 DE",
    ]
    assert events(an_alert()) == ("", [])


def test_the_first_and_the_last_are_shown_and_the_others_counted() -> None:
    seen = tuple(EventBrief(NOON + n * SECOND, f"e{n}", "okta", f"a{n}", actor="alice") for n in range(9))
    _, lines = events(an_alert(evidence=seen, event_ids=tuple(f"e{n}" for n in range(100))))
    assert [line.split()[1] for line in lines if line.startswith("12:")] == ["a0", "a1", "a2", "a7", "a8"]
    assert "… and 95 more" in lines


@given(st.integers(0, 40))
def test_counts_agree_with_what_is_shown(count: int) -> None:
    """Shown and counted are all there are, alike or not."""
    seen = tuple(EventBrief(NOON + n * SECOND, f"e{n}", "okta", f"a{n % 7}", actor="alice") for n in range(count))
    _, lines = events(an_alert(evidence=seen, event_ids=tuple(one.id for one in seen)))
    shown = sum(int(part[:-1]) if (part := line.split()[1]).endswith("x") else 1 for line in lines if line[:3] == "12:")
    more = [int(line.split()[-2]) for line in lines if "more" in line]
    assert shown + sum(more) == count
