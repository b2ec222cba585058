from __future__ import annotations

from typing import cast

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerting import notice
from alerting.alert import Alert, from_line, to_line
from alerting.mute import Mute
from alerting.route import Route, Step
from alerting.route_time import Span
from alerting.when import When
from audit.context_schema import End
from audit.finding import SEVERITIES, Severity
from tests.alerting.conftest import HOUR, NOON, an_alert


def made(*alerts: Alert, old: Alert | None = None) -> Alert:
    return notice.digest(old, notice.digest_id("sec", NOON), "sec", NOON, alerts)


def test_a_digest_grows_and_names_each_alert_once() -> None:
    first = made(an_alert(1, severity="low"), an_alert(2, severity="low"))
    second = made(an_alert(2, severity="medium"), an_alert(3, severity="low"), old=first)
    assert (first.title, second.title) == ("Digest: 2 alerts", "Digest: 3 alerts")
    assert (first.revision, second.revision, second.severity) == (1, 2, "medium")
    assert [finding.id for finding in second.findings] == [an_alert(n).id for n in (2, 1, 3)]
    assert all(notice.holds(second, an_alert(n)) for n in (1, 2, 3))
    assert not notice.holds(second, an_alert(4))
    assert not notice.holds(None, an_alert(1))
    assert made(an_alert(1)).title == "Digest: 1 alert"


def test_alerts_of_one_title_share_a_line() -> None:
    many = [an_alert(n, severity="low", principal=f"p{n}") for n in range(8)]
    (line,) = made(*many).reasons
    assert line == "low: Root login, 8 times (p0, p1, p2, p3, p4 and 3 more)"
    assert made(an_alert(1, severity="low")).reasons == (f"low: Root login (alice, alert {an_alert(1).id})",)


@given(st.integers(1, 60))
def test_lines_stay_within_bounds_and_what_is_left_out_is_counted(count: int) -> None:
    digest = made(*(an_alert(n, severity="low", title=f"Title {n}") for n in range(count)))
    assert len(digest.reasons) == min(count, notice.LINES)
    if count > notice.LINES:
        assert digest.reasons[-1].startswith(f"and {count - notice.LINES + 1} more")


def test_hostile_titles_are_one_printable_line() -> None:
    digest = made(an_alert(1, title="\x1b[31m\n<!channel>" + "x" * 5_000, principal="a\nb"))
    assert digest.reasons[0].isprintable()
    assert len(digest.reasons[0]) < 300


def test_a_notice_survives_the_outbox_and_knows_its_place() -> None:
    step = Step(Span(HOUR), "U1")
    (escalation,) = notice.escalations(an_alert(1), Route("sec", escalate=(step,)), NOON)
    for one in (made(an_alert(1)), escalation, notice.raised(an_alert(1), "page", NOON)):
        assert from_line(to_line(one)) == one
        assert notice.is_notice(one)
    assert [notice.place(one) for one in (made(an_alert(1)), escalation)] == ["sec", "U1"]
    assert (escalation.time, escalation.key) == (NOON + HOUR, an_alert(1).id)
    assert "for 1h" in escalation.reasons[0]
    assert notice.is_escalation(escalation)
    assert not notice.is_escalation(made(an_alert(1)))
    assert not notice.is_notice(an_alert(1))


def test_each_step_has_one_id_and_its_floor() -> None:
    steps = tuple(Step(Span(HOUR), "U1", cast(Severity, floor)) for floor in SEVERITIES)
    route = Route("sec", escalate=(*steps, Step(Span(HOUR), "U2"), Step(Span(2 * HOUR), "U1")))
    once = list(notice.escalations(an_alert(1, severity="medium"), route, NOON))
    later = list(notice.escalations(an_alert(1, severity="medium", revision=9), route, NOON + HOUR))
    assert [one.id for one in once] == [one.id for one in later]
    assert len({one.id for one in once}) == 3
    assert len(once) == 4, "two floors, one step: the outbox takes it once"


def test_digests_of_other_channels_times_and_parts_are_others() -> None:
    ids = {notice.digest_id(*values) for values in (("a", 1, 0), ("b", 1, 0), ("a", 2, 0), ("a", 1, 1))}
    assert len(ids) == 4


def test_the_end_of_a_mute_is_one_notice_whoever_tells_it() -> None:
    mute = Mute(When(principals=("al*",)), "carol", "pentest <!channel>\n" + "x" * 5_000, End(NOON), "m")
    told = notice.mute_ended(mute, "C1")
    assert told == notice.mute_ended(mute, "C1")
    assert (notice.place(told), told.time, notice.is_notice(told)) == ("C1", NOON, True)
    assert told.reasons[0].isprintable()
    assert len(told.reasons[0]) < 400
    later = msgspec.structs.replace(mute, expires=End(NOON + HOUR))
    assert notice.mute_ended(later, "C1").id != told.id, "who renews it hears of its next end"
    assert from_line(to_line(told)) == told


def test_a_digest_says_how_many_are_old() -> None:
    old = [an_alert(n, severity="low", time=NOON - 30 * HOUR) for n in range(3)]
    assert "3 of them had happened more than a day before." in made(*old, an_alert(9, severity="low")).summary
    assert "had happened" not in made(an_alert(9, severity="low")).summary
