from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.event import AuditEvent, Outcome, Principal, Resource
from audit.finding import RISK
from detectors.slow import (
    DAY,
    FEWEST_DAYS,
    LONGEST_GAP,
    PATIENCE,
    Alarm,
    Slow,
    slow_finding,
    sorts_of,
)
from detectors.slow_days import IDS, Stored

MONDAY = 20_458  # 2026-01-05
HOUR = DAY // 24
RESOURCE_IS_NEW, ACTION_IS_NEW = 2, 1
DECODE = msgspec.msgpack.Decoder(Stored)


class Life:
    """One person's days, one after the other; weekends are skipped."""

    def __init__(self) -> None:
        self.slow, self.day, self.number = Slow(), MONDAY, 0
        self.going_on: list[bool] = []

    def do(self, action: str, times: int = 1, new: int = 0, outcome: Outcome = "success") -> list[Alarm]:
        """The same deed some times on the present day, privileged where it is new."""
        alarms: list[Alarm] = []
        for _ in range(times):
            self.number += 1
            event = self.event(action, outcome)
            seen = self.slow.see(event, sorts_of(event, new, new == ACTION_IS_NEW))
            alarms += seen.alarms
            self.going_on.append(seen.goes_on)
        return alarms

    def event(self, action: str, outcome: Outcome = "success") -> AuditEvent:
        time = self.day * DAY + 9 * HOUR + self.number
        who = Principal("ada", "ada@example.com")
        return AuditEvent(
            f"e{self.number}", time, "cloudtrail", action, outcome, who, resource=Resource("bucket", "exports")
        )

    def sleep(self, days: int = 1) -> None:
        self.day += days
        while self.day % 7 in (2, 3):  # the epoch was a Thursday
            self.day += 1

    def days(self, counts: Iterable[int], action: str = "GetObject", new: int = 0) -> list[Alarm]:
        """A day for each count, each with some work of another sort."""
        alarms: list[Alarm] = []
        for count in counts:
            alarms += self.do("DescribeInstances", 5) + self.do(action, count, new)
            self.sleep()
        return alarms


@pytest.fixture
def life() -> Life:
    return Life()


class TestDownloads:
    def test_a_little_more_every_day_is_told_on_the_third_day_at_the_latest(self, life: Life) -> None:
        assert life.days([4, 2, 5, 3, 4, 6, 3, 4, 2, 5]) == []
        told = life.days([19, 22, 17])
        assert [alarm.watch.detection for alarm in told] == ["slow.download"]
        assert told[0].usual == 4
        assert told[0].days <= 3
        assert told[0].began == MONDAY + 14

    def test_the_usual_ups_and_downs_are_not_told(self, life: Life) -> None:
        assert life.days([4, 9, 2, 7, 12, 3, 8, 5, 10, 1, 6, 11, 4, 13, 2, 9, 7, 3, 12, 5]) == []

    def test_one_day_however_wild_is_no_campaign(self, life: Life) -> None:
        assert life.days([4, 2, 5, 3, 4, 6, 3]) == []
        assert life.days([500, 3, 4, 2]) == []

    def test_a_machine_that_always_takes_much_is_not_told(self, life: Life) -> None:
        assert life.days([400, 390, 410, 405, 398, 402, 395, 420, 401, 397]) == []

    def test_without_a_usual_nothing_is_told(self, life: Life) -> None:
        assert life.days([50] * FEWEST_DAYS) == []

    def test_what_was_refused_takes_nothing_away(self, life: Life) -> None:
        life.days([4, 2, 5, 3, 4, 6])
        for _ in range(4):
            assert life.do("GetObject", 30, outcome="denied") == []
            life.sleep()

    def test_what_github_does_not_say_the_outcome_of_counts(self, life: Life) -> None:
        life.days([0] * 8)
        told = []
        for _ in range(3):
            told += life.do("git.clone", 9, outcome="unknown")
            life.sleep()
        assert [alarm.watch.detection for alarm in told] == ["slow.download"]

    def test_the_alarm_rests_on_events_of_several_days_and_on_the_last_one(self, life: Life) -> None:
        life.days([2] * 8)
        (alarm,) = life.days([20, 20])
        assert alarm.event_ids[0] == f"e{life.number - 20 + alarm.today:.0f}"
        assert 3 < len(alarm.event_ids) <= IDS + 1
        assert len(set(alarm.event_ids)) == len(alarm.event_ids)


class TestOnceACampaign:
    def test_it_is_told_again_only_when_it_has_doubled(self, life: Life) -> None:
        life.days([3] * 10)
        told = life.days([22] * 8)
        assert 2 <= len(told) <= 3

    def test_its_days_are_not_learnt(self, life: Life) -> None:
        life.days([3] * 10)
        life.days([22] * 6)
        assert life.slow.days.usual(0)[-1] == 3

    def test_what_goes_on_for_two_weeks_is_known_then(self, life: Life) -> None:
        life.days([3] * 10)
        assert life.days([22] * (PATIENCE + 1))
        assert life.days([22] * 10) == []

    def test_after_it_had_stopped_another_one_is_told(self, life: Life) -> None:
        life.days([3] * 10)
        assert len(life.days([22] * 2)) == 1
        assert life.days([3] * 10) == []
        assert len(life.days([22] * 2)) == 1

    def test_a_long_absence_ends_it(self, life: Life) -> None:
        life.days([3] * 10 + [22])
        life.sleep(LONGEST_GAP + 1)
        assert life.do("GetObject", 22) == []


class TestOtherSorts:
    def test_new_things_every_day_are_told(self, life: Life) -> None:
        life.days([1, 0, 2, 0, 1, 0, 0, 1], "DescribeTable", RESOURCE_IS_NEW)
        told = life.days([9, 9, 9], "DescribeTable", RESOURCE_IS_NEW)
        assert [alarm.watch.detection for alarm in told] == ["slow.reach"]

    def test_rights_given_on_three_days_by_somebody_who_never_did_are_told(self, life: Life) -> None:
        life.days([0] * 8)
        told = life.days([1, 0, 1, 1], "AttachRolePolicy")
        assert [alarm.watch.detection for alarm in told] == ["slow.creep"]
        assert told[0].total == 3

    def test_first_uses_of_privileged_actions_count_as_rights(self, life: Life) -> None:
        life.days([0] * 8)
        told = life.days([1, 1, 1], "GetSecretValue", ACTION_IS_NEW)
        assert [alarm.watch.detection for alarm in told] == ["slow.creep"]

    def test_rights_given_on_one_day_however_many_are_not_told(self, life: Life) -> None:
        assert life.days([0] * 8 + [30, 0, 0]) == []
        assert life.days([30], "AttachRolePolicy") == []

    def test_a_help_desk_that_gives_rights_every_day_is_not_told(self, life: Life) -> None:
        assert life.days([6, 9, 4, 7, 8, 5, 6, 7, 9, 8, 5, 6, 7, 4, 9], "group.user_membership.add") == []

    def test_an_operator_who_does_it_now_and_then_is_told_later(self, life: Life) -> None:
        life.days([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], "AttachRolePolicy")
        assert life.days([1, 0, 1, 1], "AttachRolePolicy") == []


class TestGoingOn:
    def test_what_completes_an_alarm_goes_on_with_it_and_what_was_before_does_not(self, life: Life) -> None:
        life.days([3] * 10)
        life.going_on.clear()
        (alarm,) = life.days([20, 20])
        first = life.going_on.index(True)
        assert life.number - len(life.going_on) + first + 1 == int(alarm.event_ids[0][1:])
        assert all(life.going_on[first:])

    def test_on_the_days_after_only_what_is_beyond_the_usual_does(self, life: Life) -> None:
        life.days([3] * 10)
        assert life.days([22] * 3)
        life.going_on.clear()
        life.do("GetObject", 30)
        within = life.going_on.index(True)
        assert 3 <= within < 15
        assert all(life.going_on[within:])

    def test_other_deeds_do_not(self, life: Life) -> None:
        life.days([3] * 10)
        assert life.days([22] * 3)
        life.do("GetObject", 30)
        life.going_on.clear()
        life.do("DescribeInstances", 5)
        life.do("GetObject", 5, outcome="denied")
        assert not any(life.going_on)

    def test_nothing_does_once_it_is_known(self, life: Life) -> None:
        life.days([3] * 10)
        assert life.days([22] * (PATIENCE + 1))
        life.going_on.clear()
        life.days([22] * 5)
        assert not any(life.going_on)


class TestFold:
    def test_what_another_version_with_more_sorts_stored_is_forgotten(self) -> None:
        old = Stored(today=MONDAY, now=(1, 2, 3, 4), past=bytes(16), apart=bytes(2), sums=(9.0,) * 4)
        assert Slow(old).days.stored() == Stored()

    def test_late_events_count_as_todays(self, life: Life) -> None:
        life.days([3] * 10)
        today = life.day
        life.do("DescribeInstances")
        life.day = today - 3
        life.do("GetObject", 2)
        assert life.slow.days.today == today
        assert life.slow.days.now[0] == 2

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3), st.sampled_from(["GetObject", "AttachRolePolicy", "get"]), st.integers(0, 25),
                st.integers(0, 3),
            ),
            max_size=25,
        ),
        st.integers(1, 7),
    )  # fmt: skip
    def test_stored_between_any_two_events_it_says_the_same(
        self, history: list[tuple[int, str, int, int]], every: int
    ) -> None:
        plain, stored = Life(), Life()
        said: tuple[list[Alarm], list[Alarm]] = ([], [])
        for number, (gap, action, times, new) in enumerate(history):
            for life, alarms in zip((plain, stored), said, strict=True):
                life.sleep(gap)
                alarms += life.do(action, times, new)
            if number % every == 0:
                stored.slow = Slow(DECODE.decode(msgspec.msgpack.encode(stored.slow.days.stored())))
        assert said[0] == said[1]
        assert plain.going_on == stored.going_on
        assert plain.slow.days.stored() == stored.slow.days.stored()


class TestFinding:
    def test_it_says_how_much_since_when_against_which_usual(self, life: Life) -> None:
        life.days([3] * 10)
        (alarm,) = life.days([20, 20])
        finding = slow_finding(alarm, life.event("GetObject"))
        assert finding.title == "ada@example.com takes more data away than usual, for days"
        assert finding.reasons == (
            f"{alarm.today:g} downloads today (GetObject), usual 3 a day",
            f"{alarm.total:g} on 2 active days since 2026-01-19",
        )
        assert (finding.kind, finding.severity, finding.risk) == ("anomaly", "high", RISK["high"])
        assert (finding.entity, finding.attack) == ("user:ada", ("T1530",))
        assert finding.event_ids == alarm.event_ids

    def test_the_same_event_makes_the_same_finding(self, life: Life) -> None:
        life.days([3] * 10)
        (alarm,) = life.days([20, 20])
        event = life.event("GetObject")
        assert slow_finding(alarm, event).id == slow_finding(alarm, event).id

    def test_a_hostile_name_is_cut_and_made_printable(self, life: Life) -> None:
        life.days([3] * 10)
        (alarm,) = life.days([20, 20])
        event = msgspec.structs.replace(life.event("GetObject"), actor=Principal("x", "\x1b[31m" + "a" * 500))
        assert "\x1b" not in slow_finding(alarm, event).title
        assert len(slow_finding(alarm, event).title) < 160
