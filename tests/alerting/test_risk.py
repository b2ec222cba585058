from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting import risk
from alerting.alert import EXPLAINED, Alert
from alerting.risk import EPISODE, EPISODES, EVENTS, SEEN, RiskState, fold
from audit.brief import EARLIEST, LATEST, EventBrief, Measure
from audit.event import rfc3339
from audit.finding import Finding
from tests.alerting.conftest import HOUR, NOON, a_finding

MINUTE = HOUR // 60


def folded(findings: list[Finding]) -> tuple[RiskState, dict[str, Alert]]:
    """The state after all, and the last revision of each alert."""
    state, last = None, dict[str, Alert]()
    for finding in findings:
        state, alerts = fold(state, finding)
        for alert in alerts:
            if alert.id not in last or alert.revision > last[alert.id].revision:
                last[alert.id] = alert
    assert state is not None
    return state, last


def made(number: int, hours: float = 0, **changes: Any) -> Finding:
    return a_finding(id=f"f{number:04}", time=NOON + round(hours * HOUR), **changes)


drafts: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    hours=st.floats(0, 39, allow_nan=False),
    detection=st.sampled_from(["r1", "r2", "r3", "anomaly", "change.handover"]),
    severity=st.sampled_from(["low", "low", "medium", "high", "critical"]),
    risk=st.integers(0, 60),
    event_ids=st.lists(st.sampled_from(["e1", "e2", "e3", "e4"]), max_size=3).map(tuple),
    reasons=st.lists(st.sampled_from(["because", "new country", "odd hour"]), max_size=2).map(tuple),
    attack=st.lists(st.sampled_from(["T1078", "T1110"]), max_size=1).map(tuple),
    evidence=st.lists(st.builds(EventBrief, st.integers(0, 40), st.sampled_from("abc")), max_size=9).map(tuple),
    measures=st.lists(
        st.builds(Measure, st.sampled_from("abcdefghij"), st.floats(0, 9), st.floats(0, 9)), max_size=4
    ).map(tuple),
    explained=st.sampled_from(["", "", "change CHG-1 approved by mira", "incident INC-2 approved by noah"]),
)


@settings(max_examples=200)
@given(st.lists(drafts, min_size=1, max_size=14), st.data())
def test_the_order_of_findings_never_shows(drafted: list[dict[str, Any]], data: st.DataObject) -> None:
    findings = [made(number, **draft) for number, draft in enumerate(drafted)]
    repeated = findings + data.draw(st.lists(st.sampled_from(findings), max_size=5))
    assert folded(data.draw(st.permutations(repeated))) == folded(findings)


def without_forgotten(state: RiskState) -> RiskState:
    """Without what is known of the episode before the oldest: whoever comes after that went, comes without it."""
    episodes = tuple(msgspec.structs.replace(episode, before=0, carry=0) for episode in state.episodes)
    return msgspec.structs.replace(state, episodes=episodes)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.randoms())
def test_the_state_is_the_same_however_late_findings_come(episodes: list[int], shuffle: Any) -> None:
    findings = [made(number, 4 * episode) for number, episode in enumerate(episodes)]
    state, _ = folded(findings)
    shuffle.shuffle(findings)
    assert without_forgotten(folded(findings)[0]) == without_forgotten(state)
    assert len(state.episodes) <= EPISODES
    assert state.late + sum(episode.count for episode in state.episodes) == len(findings)


def test_bounds_keep_the_same_members_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(risk, "EVENTS", 4)
    monkeypatch.setattr(risk, "SEEN", 3)
    findings = [made(number, event_ids=(f"e{number}", f"x{number % 3}")) for number in range(9)]
    assert folded(findings) == folded(findings[::-1]) == folded(findings[4:] + findings[:4])
    (episode,) = folded(findings)[0].episodes
    assert (episode.count, episode.event_ids) == (9, ("e0", "e1", "e2", "e3"))


def test_a_storm_stays_small_and_its_alert_says_so() -> None:
    state = None
    for number in range(2 * EVENTS):
        state, _ = fold(state, made(number, event_ids=(f"event-{number:032}",)))
    assert state is not None
    (episode,) = state.episodes
    assert (episode.count, len(episode.event_ids), len(episode.seen)) == (2 * EVENTS, EVENTS, SEEN)
    assert len(msgspec.msgpack.encode(state)) < 80_000
    state, (alert,) = fold(state, made(9999, severity="high"))
    assert alert.count == 2 * EVENTS + 1
    assert f"{EVENTS} events or more" in alert.summary


def test_the_state_survives_packing() -> None:
    state, _ = folded([made(1), made(2, 5, severity="high")])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=RiskState) == state


def test_low_findings_stay_quiet_until_they_add_up() -> None:
    state, alerts = fold(None, made(1, detection="a", severity="medium"))
    assert alerts == ()
    state, alerts = fold(state, made(2, detection="a", severity="medium"))
    assert alerts == (), "one detection that repeats counts once"
    state, (alert,) = fold(state, made(3, detection="b", severity="medium"))
    assert (alert.risk, alert.severity, alert.count, len(alert.findings)) == (60, "medium", 3, 2)


def test_a_grave_finding_alerts_at_once_whatever_its_risk() -> None:
    _, (alert,) = fold(None, made(1, severity="high", risk=5))
    assert (alert.risk, alert.severity, alert.title, alert.principal) == (5, "high", "Root login", "alice")
    assert (alert.key, alert.status, alert.resolution) == ("user:alice", "open", None)


def test_other_entities_alert_at_once() -> None:
    spray = made(1, severity="low", kind="correlation", entity="ip:203.0.113.9", title="Password spray")
    _, (alert,) = fold(None, spray)
    assert (alert.entity, alert.severity) == ("ip:203.0.113.9", "low")
    assert alert.summary.startswith("ip 203.0.113.9: Password spray, once since 2026-01-31T12:00:00.000Z")


def test_much_risk_is_high_severity() -> None:
    _, last = folded([made(n, detection=f"r{n}", severity="medium") for n in range(3)])
    (alert,) = last.values()
    assert (alert.risk, alert.severity) == (90, "high")


def test_an_episode_is_one_alert_and_revisions_only_grow() -> None:
    state, seen = None, list[Alert]()
    for number in range(5):
        state, alerts = fold(state, made(number, number / 2, severity="high"))
        seen += alerts
    assert len({alert.id for alert in seen}) == 1
    revisions = [alert.revision for alert in seen]
    assert revisions == sorted(set(revisions))
    assert seen[-1].summary == "alice: Root login, 5 times since 2026-01-31T12:00:00.000Z."
    _, (next_one,) = fold(state, made(9, 4, severity="high"))
    assert next_one.id != seen[0].id


def test_half_the_risk_carries_over_the_border() -> None:
    border = [made(1, 3.9, detection="a", risk=40), made(2, 4.1, detection="b", risk=40)]
    _, last = folded(border)
    (alert,) = last.values()
    assert (alert.risk, alert.count) == (60, 1)
    assert folded(border[::-1])[1] == last, "a late finding raises the alert of the episode after its own"


def test_one_medium_finding_after_an_alert_stays_quiet() -> None:
    _, last = folded([made(1, 1, severity="critical"), made(2, 5, severity="medium")])
    assert [alert.severity for alert in last.values()] == ["critical"]


def test_the_gravest_finding_speaks_and_all_reasons_are_merged() -> None:
    findings = [
        made(1, 0, detection="a", severity="low", risk=60, reasons=("shared", "first")),
        made(2, 1, detection="b", severity="high", risk=60, reasons=("second", "shared"), title="Key made"),
        made(3, 2, detection="c", severity="low", risk=90, reasons=("third",), attack=("T1098",)),
    ]
    _, last = folded(findings)
    (alert,) = last.values()
    assert (alert.title, alert.time) == ("Key made", NOON + HOUR)
    assert alert.reasons == ("third", "shared", "first", "second")
    assert alert.attack == ("T1078", "T1098")
    assert alert.summary == "alice: Key made and 2 other detections, 3 times since 2026-01-31T12:00:00.000Z."


def test_the_earliest_of_the_gravest_findings_stands_for_its_detection() -> None:
    hours = {1: 2.0, 2: 0.5, 3: 3.0}
    state, _ = folded([made(number, at, title=f"at {at}", severity="medium") for number, at in hours.items()])
    (tally,) = state.episodes[0].tallies
    assert (tally.gravest.title, tally.count) == ("at 0.5", 3)
    state, _ = fold(state, made(4, 1.5, title="graver", severity="high"))
    (tally,) = state.episodes[0].tallies
    assert (tally.gravest.title, tally.count, tally.since) == ("graver", 4, NOON + HOUR // 2)
    assert state.episodes[0].first == NOON + HOUR // 2


def test_a_finding_delivered_twice_counts_once() -> None:
    state, _ = fold(None, made(1, severity="high"))
    again, alerts = fold(state, made(1, severity="high"))
    assert (again, alerts) == (state, ())


def test_a_correlation_that_grows_is_told_in_its_last_version() -> None:
    versions = [
        made(
            1,
            2 - length / 60,
            severity="high",
            kind="correlation",
            event_ids=tuple(f"e{n}" for n in range(length)),
            title=f"{length}",
        )
        for length in (3, 4, 5)
    ]
    state, (first,) = fold(None, versions[0], 0, 3)
    state, (second,) = fold(state, versions[1], 3, 4)
    state, (alert,) = fold(state, versions[2], 4, 5)
    assert (alert.title, alert.count, alert.event_ids) == ("5", 1, ("e0", "e1", "e2", "e3", "e4"))
    assert (alert.time, alert.summary[-25:-1]) == (versions[-1].time, rfc3339(versions[-1].time))
    assert first.revision < second.revision < alert.revision
    assert fold(None, versions[2], 0, 5) == (state, (alert,)), "how often it was told does not show"


def test_a_correlation_told_anew_does_not_hide_an_earlier_one() -> None:
    one, other = (made(n, n, severity="high", kind="correlation", title=f"{n}") for n in (1, 2))
    again = made(1, 3, severity="high", kind="correlation", title="its window was forgotten meanwhile")
    state, _ = fold(None, one, 0, 3)
    for finding in (again, other):
        state, (alert,) = fold(state, finding, 0, 3)
    assert (alert.title, alert.count) == ("1", 3)


def test_a_finding_that_grows_after_its_episode_went_is_not_counted_twice() -> None:
    burst = made(1, 0, severity="high", kind="correlation")
    state, _ = fold(None, burst, 0, 3)
    state, _ = fold(state, made(2, 100))
    assert state.late == 1
    assert fold(state, burst, 3, 4) == (state, ())


def test_what_a_forgotten_episode_carried_over_stays() -> None:
    state, _ = fold(None, made(1, 0, risk=40))
    state, _ = fold(state, made(2, 4, severity="high", risk=40, detection="b"))
    state, (before,) = fold(state, made(3, 5, detection="c"))
    state, _ = fold(state, made(4, 4 * EPISODES + 3))
    assert [episode.index for episode in state.episodes] == [NOON // EPISODE + 1, NOON // EPISODE + EPISODES]
    state, (after,) = fold(state, made(5, 5, detection="c"))
    assert (after.risk, after.revision) == (before.risk, before.revision + 1)


def test_an_episode_the_entity_heard_of_without_a_finding_counts_for_what_is_late() -> None:
    index = NOON // EPISODE
    state, alerts = fold(None, made(1, 0, severity="high"), newest=index + EPISODES)
    assert (state.late, alerts) == (1, ())
    state, alerts = fold(None, made(1, 0, severity="high"), newest=index + EPISODES - 1)
    assert (state.late, len(alerts)) == (0, 1)


def test_what_is_too_late_is_counted() -> None:
    state, _ = fold(None, made(1, 100))
    state, alerts = fold(state, made(2, 0, severity="critical"))
    assert (state.late, alerts) == (1, ())


def test_a_correlation_s_long_list_of_events_is_kept_once() -> None:
    events = tuple(f"e{number:05}" for number in range(700))
    state, (alert,) = fold(None, made(1, severity="high", event_ids=events))
    assert alert.event_ids == events
    assert len(alert.findings[0].event_ids) == 100
    assert len(state.episodes[0].tallies[0].gravest.event_ids) == 100


def test_folding_two_weeks_at_once_loses_no_alert() -> None:
    findings = [made(number, 24 * number, severity="high") for number in range(14)]
    state, last = folded(findings)
    assert len(last) == 14
    assert len(state.episodes) == 2, "24 h apart, two fit into 12 episodes of 4 h"


def test_episodes_are_aligned_with_event_time_not_with_arrival() -> None:
    first, second = (fold(None, made(1, hours, severity="high"))[0].episodes[0].index for hours in (0.1, 3.9))
    assert first == second == NOON // EPISODE


@given(st.lists(st.sets(st.integers(0, 10**6), min_size=1, max_size=400), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_finding_that_grew_needs_to_bring_only_what_is_new(parts: list[set[int]]) -> None:
    whole = brought = None
    known: set[str] = set()
    for number, part in enumerate(parts):
        fresh = {f"e{one:07}" for one in part} - known
        told, size = len(known), len(known | fresh)
        known |= fresh
        finding = a_finding(kind="correlation", event_ids=tuple(sorted(known)[:EVENTS]))
        whole, alerts = fold(whole, finding, told, size)
        brought, same = fold(brought, finding, told, size, fresh=None if number == 0 else sorted(fresh))
        assert (brought, same) == (whole, alerts)
    assert whole is not None
    assert whole.episodes[0].event_ids == tuple(sorted(known)[:EVENTS])


def test_an_alert_shows_its_first_and_last_events_and_the_highest_numbers() -> None:
    """Bounded, however many there are; the representatives no longer carry them."""
    events = [EventBrief(NOON + number, f"e{number}") for number in range(50)]
    findings = [
        made(number, detection="r", severity="high", evidence=(event,), measures=(Measure("events", number, 3.0),))
        for number, event in enumerate(events)
    ]
    (alert,) = folded(findings)[1].values()
    assert alert.evidence == (*events[:EARLIEST], *events[-LATEST:])
    assert alert.measures == (Measure("events", 49, 3.0),)
    assert all(not finding.evidence and not finding.measures for finding in alert.findings)


def test_numbers_are_bounded_too() -> None:
    many = tuple(Measure(f"number {number:02}", 9.0, 1.0) for number in range(20))
    (alert,) = folded([made(1, severity="high", measures=many)])[1].values()
    assert alert.measures == many[: risk.MEASURES]


CHG = "change CHG-1 approved by mira until 2026-01-31 14:00 UTC"


def told(*findings: Finding) -> Alert | None:
    """The last revision of the only alert, as all arrival orders agree on it."""
    _, alerts = folded(list(findings))
    assert folded(list(findings[::-1]))[1] == alerts
    return next(iter(alerts.values()), None)


def test_what_paper_explains_makes_an_alert_that_is_closed() -> None:
    alert = told(made(1, severity="high", explained=CHG, doubts=()))
    assert alert is not None
    assert (alert.status, alert.resolution, alert.severity, alert.risk) == ("resolved", EXPLAINED, "high", 60)
    assert alert.reasons == (f"Explained by {CHG}", "root was used from a new country")
    assert alert.summary.endswith(f". Explained by {CHG}.")


def test_it_is_closed_where_what_is_left_deserves_no_alert() -> None:
    alert = told(made(1, severity="high", explained=CHG), made(2, detection="b"), made(3, detection="c", risk=29))
    assert alert is not None
    assert (alert.status, alert.risk, alert.count) == ("resolved", 100, 3)


def test_it_is_reopened_under_its_id_when_what_is_left_deserves_one() -> None:
    state, (closed,) = fold(None, made(1, severity="critical", title="Role made", explained=CHG))
    state, (still,) = fold(state, made(2, hours=0.1, detection="b"))
    state, (reopened,) = fold(state, made(3, hours=0.2, detection="c", title="Data taken"))
    assert [closed.status, still.status, reopened.status] == ["resolved", "resolved", "reopened"]
    assert closed.id == still.id == reopened.id
    assert closed.revision < still.revision < reopened.revision
    assert (reopened.resolution, reopened.severity, reopened.risk) == (None, "medium", 60)
    assert reopened.title != "Role made", "the alert is about what nobody explained"
    assert [finding.explained for finding in reopened.findings] == ["", "", CHG]
    assert reopened.reasons[-1] == f"Explained by {CHG}"


def test_an_alert_that_was_open_first_is_not_said_to_be_reopened() -> None:
    alert = told(made(1, severity="high", detection="b"), made(2, hours=0.1, severity="critical", explained=CHG))
    assert alert is not None
    assert (alert.status, alert.severity, alert.risk) == ("open", "high", 60)


def test_which_came_first_is_read_off_the_earliest_and_not_the_gravest() -> None:
    early = made(1, hours=0.05, severity="high", detection="b")
    grave = made(3, hours=0.2, severity="critical", detection="c", risk=90)
    paper = made(2, hours=0.1, severity="critical", explained=CHG)
    alert = told(early, grave, paper)
    assert alert is not None
    assert (alert.status, alert.severity) == ("open", "critical")
    small = made(4, severity="high", detection="d", explained=CHG)
    alert = told(early, made(5, hours=0.3, severity="critical", detection="a", explained=CHG), small)
    assert alert is not None
    assert alert.status == "reopened"


def test_what_paper_explains_and_deserves_no_alert_makes_none() -> None:
    assert told(made(1, explained=CHG)) is None


def test_explained_risk_does_not_carry_over_the_border() -> None:
    """Nor where the episode before is no longer kept."""
    before, after = made(1, severity="high", explained=CHG), made(2, 4, detection="b", risk=40)
    assert folded([before, after])[1].keys() == folded([before])[1].keys()
    far = made(3, 4 * EPISODES, detection="c", severity="low")
    state, alerts = folded([before, after, far])
    assert state.episodes[0].carry == 0
    assert len(alerts) == 1
    spread = [made(4, severity="medium", detection="d"), before, after, far]
    assert folded(spread)[0].episodes[0].carry == 15


def test_one_detection_is_tallied_apart_by_whether_it_is_explained() -> None:
    state, alerts = folded([made(1, severity="high", explained=CHG), made(2, severity="low"), made(3, severity="low")])
    (episode,) = state.episodes
    assert [(tally.count, tally.severity) for tally in episode.tallies] == [(2, "low"), (1, "high")]
    (alert,) = alerts.values()
    assert alert.status == "resolved"


def test_doubts_are_among_the_reasons() -> None:
    alert = told(made(1, severity="high", doubts=("not explained by CHG-1", "CHG-1 is about acorn-*")))
    assert alert is not None
    assert alert.reasons == ("root was used from a new country", "not explained by CHG-1", "CHG-1 is about acorn-*")


def test_the_closed_say_by_what_papers() -> None:
    other = "incident INC-2 approved by noah"
    alert = told(made(1, severity="high", explained=CHG), made(2, 0.1, detection="b", severity="high", explained=other))
    assert alert is not None
    assert alert.summary.endswith(f"Explained by {CHG} and {other}.")
