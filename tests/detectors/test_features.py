"""Each feature says what its name says, in numbers worked out by hand; nothing in a log makes one infinite."""

from __future__ import annotations

import random
from math import exp, isfinite, log1p, log2, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.event import Resource
from detectors.baseline import (
    DENIALS,
    EVENTS,
    FOLDS,
    HALF_LIFE,
    NEWEST,
    RATE_MEAN,
    RATE_TOP,
    RATE_VAR,
    RECENT,
    SPREAD,
    Baseline,
)
from detectors.features import (
    DOUBT,
    FEATURES,
    Observation,
    features,
    hour_bin,
    learn,
    notice,
    observe,
    short_counts,
)
from detectors.hours import HOUR_DOUBT
from tests.detectors.company import AGENTS, MONDAY, event, usual
from tests.detectors.test_baseline import observations

NAMES = [feature.name for feature in FEATURES]
TEN = MONDAY + 10 * 3600


def row(baseline: Baseline, **changed: object) -> dict[str, float]:
    return dict(zip(NAMES, features(baseline, observe(event(**changed))), strict=True))  # type: ignore[arg-type]


def taught(*times: int, **changed: object) -> Baseline:
    baseline = Baseline()
    for time in times:
        learn(baseline, observe(event(time, **changed)))  # type: ignore[arg-type]
    return baseline


def habitual(days: int = 28) -> Baseline:
    baseline = Baseline()
    for made in usual(days):
        learn(baseline, observe(made))
    return baseline


class TestShape:
    def test_every_column_is_named_once_and_groups_are_together(self) -> None:
        assert len(set(NAMES)) == len(NAMES) == len(features(Baseline(), observe(event())))
        groups = [feature.group for feature in FEATURES]
        assert [group for place, group in enumerate(groups) if group not in groups[:place]] == [
            group for place, group in enumerate(groups) if place == 0 or group != groups[place - 1]
        ]
        assert all(feature.meaning for feature in FEATURES)

    def test_reading_does_not_teach(self) -> None:
        baseline = habitual(7)
        before = baseline.pack()
        features(baseline, observe(event(action="New")))
        assert baseline.pack() == before

    def test_the_first_event_of_a_life_is_no_surprise(self) -> None:
        first = row(Baseline(), time=TEN, outcome="denied")
        assert {name: value for name, value in first.items() if value} == {
            "denials": pytest.approx(log1p(1)),
            "failure_excess": pytest.approx(1 / 4),
        }


class TestSurprise:
    def test_what_is_always_done_costs_nothing_and_what_is_new_costs_the_odds(self) -> None:
        baseline = taught(*[TEN] * 98)  # one new token of each kind among 98
        again, other = row(baseline, time=TEN), row(baseline, time=TEN, action="PutObject", country="NL")
        assert again["action_surprise"] == pytest.approx(0.0)
        assert other["action_surprise"] == pytest.approx(log2((98 + DOUBT) / (1 + DOUBT)))
        assert other["country_surprise"] == other["action_surprise"]
        assert other["asn_surprise"] == pytest.approx(0.0)

    def test_what_is_rarer_surprises_more(self) -> None:
        baseline = taught(*[TEN] * 60)
        for _ in range(20):
            learn(baseline, observe(event(TEN, "PutObject")))
        assert row(baseline, time=TEN, action="PutObject")["action_surprise"] == pytest.approx(log2(82 / 22))
        assert row(baseline, time=TEN)["action_surprise"] == pytest.approx(log2(82 / 62))

    def test_for_one_who_always_does_new_things_the_new_is_usual(self) -> None:
        baseline = Baseline()
        for number in range(200):
            learn(baseline, observe(event(TEN + number, resource=Resource("object", str(number)))))
        assert row(baseline, time=TEN + 300, resource=Resource("object", "x"))["resource_surprise"] == 0.0

    def test_a_young_baseline_is_less_surprised_than_an_old_one(self) -> None:
        surprises = [row(taught(*[TEN] * n), time=TEN, country="NL")["country_surprise"] for n in (0, 1, 10, 100)]
        assert surprises == sorted(surprises)
        assert surprises[0] == surprises[1] == 0.0

    def test_long_absence_makes_it_young_again(self) -> None:
        baseline = taught(*[TEN] * 100)
        soon, late = (row(baseline, time=TEN + days * 86_400, country="NL") for days in (1, 200))
        assert late["country_surprise"] < 0.1 < soon["country_surprise"]

    def test_origin_adds_up_and_privilege_carries_it(self) -> None:
        baseline = habitual()
        away = {"country": "NL", "asn": 64511, "source_ip": "203.0.113.9", "user_agent": AGENTS[2]}
        plain, privileged = row(baseline, time=TEN, **away), row(baseline, time=TEN, action="CreateAccessKey", **away)
        parts = [plain[f"{part}_surprise"] for part in ("country", "asn", "network", "agent")]
        assert plain["origin_surprise"] == pytest.approx(sum(parts))
        assert min(parts) > 5
        assert plain["privileged_surprise"] == 0.0
        assert privileged["privileged_surprise"] == pytest.approx(privileged["action_surprise"] + sum(parts))

    def test_what_is_not_known_is_no_surprise(self) -> None:
        unknown = row(habitual(), time=TEN, country=None, asn=None, user_agent=None, source_ip=None, resource=None)
        assert unknown["origin_surprise"] == unknown["resource_surprise"] == 0.0


class TestHours:
    @pytest.mark.parametrize(
        ("time", "expected"),
        [(0, 0), (MONDAY, 0), (TEN, 10), (MONDAY + 5 * 86_400 - 1, 23), (MONDAY + 5 * 86_400, 24), (MONDAY - 1, 47)],
    )
    def test_bins(self, time: int, expected: int) -> None:
        assert hour_bin(time) == expected

    def test_an_hour_without_activity_surprises_by_the_share_of_a_flat_week(self) -> None:
        baseline = taught(*[MONDAY + hour * 3600 for hour in range(8, 16)])
        night = row(baseline, time=MONDAY + 27 * 3600)["hour_surprise"]
        weight = 2 ** (27 * 3600 / HALF_LIFE)
        active = sum(2 ** (hour * 3600 / HALF_LIFE) / 2 ** (8 * 3600 / HALF_LIFE) for hour in range(8, 16))
        doubt = HOUR_DOUBT * weight / 2 ** (8 * 3600 / HALF_LIFE)
        assert night == pytest.approx(log2((active * 5 / 168 + doubt) / doubt), rel=1e-5)

    def test_neighbouring_hours_soften_it_round_the_clock(self) -> None:
        baseline = taught(*[MONDAY + day * 86_400 for day in range(4)])
        near, far = (row(baseline, time=MONDAY + 86_400 * 4 + hour * 3600)["hour_surprise"] for hour in (23, 12))
        assert near < 0 < far

    def test_a_burst_at_night_does_not_make_the_night_usual(self) -> None:
        once, burst = habitual(), habitual()
        night = MONDAY + 28 * 86_400 + 3 * 3600
        for second in range(1000):
            learn(burst, observe(event(night + second)))
        learn(once, observe(event(night)))
        assert row(burst, time=night + 86_400)["hour_surprise"] == pytest.approx(
            row(once, time=night + 86_400)["hour_surprise"]
        )


class TestPace:
    def test_short_counts_fade_by_e_in_fifteen_minutes(self) -> None:
        baseline = taught(TEN, TEN, TEN, outcome="denied")
        recent, spread, failures, denials = short_counts(baseline, observe(event(TEN + 900)))
        assert recent == pytest.approx(3 / exp(1) + 1)
        assert spread == pytest.approx(1 / exp(1))
        assert (failures, denials) == (0.0, pytest.approx(1 / exp(1)))  # the same door three times

    def test_a_burst_stands_out_against_the_own_usual_peaks(self) -> None:
        baseline = habitual()
        start = MONDAY + 28 * 86_400 + 10 * 3600
        for second in range(200):
            learn(baseline, observe(event(start + second, resource=Resource("object", str(second)))))
        burst = row(baseline, time=start + 200, resource=Resource("object", "last"))
        assert burst["rate_z"] > 5
        assert burst["spread_z"] > 5

    def test_deviation_by_hand(self) -> None:
        baseline = taught(*[TEN + step * 3600 for step in range(11)])  # ten looks, each at a peak of about one
        assert baseline.scalars[FOLDS] == 10
        assert baseline.scalars[RATE_MEAN] == pytest.approx(log1p(1), rel=0.02)
        usual, spread = baseline.scalars[RATE_MEAN], sqrt((10 * baseline.scalars[RATE_VAR] + 5 * 0.5) / 15)
        for _ in range(4):
            learn(baseline, observe(event(TEN + 20 * 3600)))
        assert row(baseline, time=TEN + 20 * 3600)["rate_z"] == pytest.approx(
            (log1p(5) - baseline.scalars[RATE_MEAN]) / spread * 11 / 16, rel=0.05
        )
        assert baseline.scalars[RATE_MEAN] == pytest.approx(usual, rel=0.01)

    def test_a_record_is_above_the_own_highest(self) -> None:
        baseline = habitual()
        start = MONDAY + 28 * 86_400 + 10 * 3600
        highest = baseline.scalars[RATE_TOP]
        for second in range(99):
            learn(baseline, observe(event(start + second)))
        shrunk = baseline.scalars[FOLDS] / (baseline.scalars[FOLDS] + 5)
        recent = short_counts(baseline, observe(event(start + 99)))[0]
        burst = row(baseline, time=start + 99)
        known = highest * 1.1 + 0.5
        assert burst["rate_record"] == pytest.approx(log1p((recent - known) / (known + 5)) * shrunk, rel=0.01)
        assert burst["spread_record"] == 0.0

    def test_what_was_done_before_is_no_record(self) -> None:
        baseline = habitual()
        for day in (28, 29):
            start = MONDAY + day * 86_400 + 10 * 3600
            for second in range(100):
                learn(baseline, observe(event(start + second)))
        again = row(baseline, time=start + 100)
        assert again["rate_record"] == 0.0
        assert again["rate_z"] > 3

    def test_a_record_is_forgotten_with_the_half_life(self) -> None:
        baseline = habitual()
        top = baseline.scalars[RATE_TOP]
        for step in range(3):
            learn(baseline, observe(event(MONDAY + 28 * 86_400 + step * HALF_LIFE)))
        assert baseline.scalars[RATE_TOP] == pytest.approx(max(top / 4, 1.0), rel=0.02)

    def test_less_than_usual_is_not_strange(self) -> None:
        assert row(habitual(), time=MONDAY + 28 * 86_400 + TEN % 86_400)["rate_z"] == 0.0

    def test_the_same_resource_again_is_not_one_more(self) -> None:
        baseline = taught(*[TEN + second for second in range(50)])
        assert short_counts(baseline, observe(event(TEN + 60)))[1] < 1.0


class TestFailures:
    def test_counts_and_excess(self) -> None:
        baseline = taught(*[TEN] * 4, outcome="failure")
        denied = row(baseline, time=TEN, outcome="denied")
        expected = 4 / 7 * 5
        assert denied["failures"] == pytest.approx(log1p((4 - expected) / sqrt(1 + expected)))
        assert denied["denials"] == 0.0
        assert denied["failure_excess"] == 0.0  # what fails again is refused: nothing new
        other = row(baseline, action="PutObject", time=TEN, outcome="denied")
        assert other["failure_excess"] == pytest.approx(5 / 8 - 4 / 7)

    def test_one_door_tried_again_and_again_is_one_denial(self) -> None:
        noon = MONDAY + 28 * 86_400 + 12 * 3600
        same, many, later = habitual(), habitual(), habitual()
        for step in range(8):
            learn(same, observe(event(noon + step, outcome="denied")))
            learn(many, observe(event(noon + step, f"Get{step}", outcome="denied")))
            learn(later, observe(event(noon + step * 1_000, outcome="denied")))
        assert short_counts(same, observe(event(noon + 8, outcome="denied")))[3] == pytest.approx(1.0, abs=0.02)
        assert short_counts(many, observe(event(noon + 8, "List", outcome="denied")))[3] == pytest.approx(9.0, abs=0.1)
        assert short_counts(later, observe(event(noon + 8_000, outcome="denied")))[3] > 1.3

    def test_denials_of_a_deed_without_a_thing_are_told_apart_by_the_deed(self) -> None:
        baseline = taught(TEN, TEN, resource=None, outcome="denied")
        again, other = (
            observe(event(TEN, action, resource=None, outcome="denied")) for action in ("GetObject", "List")
        )
        assert [short_counts(baseline, obs)[3] for obs in (again, other)] == [1.0, 2.0]

    def test_what_is_held_is_not_denied_a_second_time(self) -> None:
        noon = MONDAY + 28 * 86_400 + 12 * 3600
        baseline, held = habitual(), []
        for _ in range(5):
            obs = observe(event(noon, resource=Resource("bucket", "vault"), outcome="denied"))
            notice(baseline, obs, held)
            held.append(obs)
        assert baseline.scalars[DENIALS] == 1.0
        notice(baseline, observe(event(noon, resource=Resource("bucket", "safe"), outcome="denied")), held)
        assert baseline.scalars[DENIALS] == 2.0

    def test_ten_denials_are_many_for_one_who_is_never_denied(self) -> None:
        calm, busy = habitual(), taught(*[TEN + day * 86_400 for day in range(28)], outcome="denied")
        noon = MONDAY + 28 * 86_400 + 12 * 3600
        for baseline in (calm, busy):
            for step in range(9):
                learn(baseline, observe(event(noon, f"Get{step}", outcome="denied")))
        denials = [row(baseline, time=noon, outcome="denied")["denials"] for baseline in (calm, busy)]
        assert denials[0] > 2.0 > 1.0 > denials[1]

    def test_fewer_failures_than_usual_are_no_excess(self) -> None:
        baseline = taught(*[TEN] * 40, outcome="failure")
        assert row(baseline, time=TEN + 86_400)["failure_excess"] == 0.0


class TestNotice:
    """Events under suspicion count among what happens now and leave the usual as it was."""

    START = MONDAY + 28 * 86_400 + 10 * 3600

    def burst(self, baseline: Baseline, size: int, **changed: object) -> list[Observation]:
        held: list[Observation] = []
        for second in range(size):
            resource = changed.get("resource", Resource("object", str(second)))
            obs = observe(event(self.START + second, **(changed | {"resource": resource})))
            notice(baseline, obs, held)
            held.append(obs)
        return held

    def test_a_burst_goes_on_while_it_is_held(self) -> None:
        learnt, held = habitual(), habitual()
        for second in range(60):
            obs = observe(event(self.START + second, resource=Resource("object", str(second)), outcome="denied"))
            learn(learnt, obs)
        self.burst(held, 60, outcome="denied")
        last = {"time": self.START + 60, "resource": Resource("object", "last"), "outcome": "denied"}
        one, other = row(learnt, **last), row(held, **last)
        for name in ("rate_z", "spread_z", "rate_record", "spread_record"):
            assert other[name] == pytest.approx(one[name], rel=1e-9)
        assert other["denials"] >= one["denials"] > 3
        assert other["novelty_1h"] >= one["novelty_1h"] > 3

    def test_the_usual_stays_as_it_was(self) -> None:
        baseline, before = habitual(), habitual()
        self.burst(baseline, 60, action="Strange", country="NL")
        assert (baseline.keys, baseline.counts, baseline.hours) == (before.keys, before.counts, before.hours)
        assert baseline.events == before.events
        later = {"time": self.START + 86_400, "action": "Strange", "country": "NL"}
        unusual, still = row(before, **later), row(baseline, **later)
        assert still["action_surprise"] == unusual["action_surprise"] > 5

    def test_a_usual_event_amid_the_burst_does_not_make_it_the_usual_peak(self) -> None:
        baseline, calm = habitual(), habitual()
        self.burst(baseline, 200)
        for each in (baseline, calm):
            learn(each, observe(event(self.START + 200)))
            learn(each, observe(event(self.START + 4000)))
        for scalar in (RATE_MEAN, RATE_VAR, RATE_TOP):
            assert baseline.scalars[scalar] == pytest.approx(calm.scalars[scalar], rel=1e-3)

    def test_only_suspicion_is_no_look_at_a_peak_of_nothing(self) -> None:
        baseline = habitual()
        learn(baseline, observe(event(self.START - 3600)))
        learn(baseline, observe(event(self.START - 1800)))
        notice(baseline, observe(event(self.START)), [])
        mean = baseline.scalars[RATE_MEAN]
        notice(baseline, observe(event(self.START + 3600)), [])
        assert baseline.scalars[RATE_MEAN] == mean

    def test_the_same_again_is_not_new_again(self) -> None:
        once, often = habitual(), habitual()
        for baseline, size in ((once, 1), (often, 50)):
            self.burst(baseline, size, country="NL", resource=Resource("bucket", "theirs"))
        at = self.START + 50
        assert often.scalars[SPREAD] == pytest.approx(once.scalars[SPREAD], rel=0.1)
        assert row(often, time=at)["novelty_24h"] == pytest.approx(row(once, time=at)["novelty_24h"], rel=0.01)

    def test_who_never_taught_anything_has_no_baseline_yet(self) -> None:
        baseline = Baseline()
        notice(baseline, observe(event()), [])
        assert baseline == Baseline()

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(observations, st.booleans()), max_size=80))
    def test_learnt_and_held_in_any_order_stay_finite(self, stream: list[tuple[Observation, bool]]) -> None:
        baseline, held = Baseline(), []
        for obs, suspected in stream:
            assert all(map(isfinite, features(baseline, obs)))
            if suspected:
                notice(baseline, obs, held)
                held.append(obs)
            else:
                learn(baseline, obs)
        assert Baseline.unpack(baseline.pack()) == baseline


class TestNovelty:
    def test_first_seens_add_their_bits_and_fade(self) -> None:
        baseline = taught(*[TEN] * 98)
        learn(baseline, observe(event(TEN, "PutObject", country="NL")))
        bits = 2 * log2(100 / 3)
        later = row(baseline, time=TEN + 3600)
        assert later["novelty_1h"] == pytest.approx(log1p(bits / exp(1)))
        assert later["novelty_24h"] == pytest.approx(log1p(bits * exp(-1 / 24)))

    def test_the_event_itself_counts(self) -> None:
        baseline = taught(*[TEN] * 98)
        assert row(baseline, time=TEN, action="PutObject")["novelty_1h"] == pytest.approx(log1p(log2(100 / 3)))


def test_gap_is_in_hours() -> None:
    assert row(taught(TEN), time=TEN + 30 * 3600)["gap"] == pytest.approx(log1p(30))


class TestTime:
    def test_late_events_do_not_turn_back_the_clock(self) -> None:
        baseline = taught(TEN)
        learn(baseline, observe(event(TEN - 3600)))
        assert baseline.scalars[NEWEST] == TEN
        assert baseline.scalars[EVENTS] == 2
        assert baseline.scalars[RECENT] == pytest.approx(1 + exp(-4))
        assert row(baseline, time=TEN - 7200)["gap"] == 0.0

    def test_a_late_event_weighs_what_it_would_have_weighed_in_time(self) -> None:
        early, late = taught(TEN, TEN + HALF_LIFE), taught(TEN + HALF_LIFE, TEN)
        key = observe(event()).tokens[0]
        assert late.count(key, TEN + HALF_LIFE) == pytest.approx(early.count(key, TEN + HALF_LIFE)) == 1.5

    def test_shuffling_within_the_lateness_hardly_matters(self) -> None:
        events = list(usual(28))
        shuffled = sorted(events, key=lambda made: (made.time // 1_800_000_000, random.Random(made.id).random()))
        assert shuffled != events
        ordered, mixed = Baseline(), Baseline()
        for one, other in zip(events, shuffled, strict=True):
            learn(ordered, observe(one))
            learn(mixed, observe(other))
        after = MONDAY + 28 * 86_400 + TEN % 86_400
        straight, crooked = row(ordered, time=after, country="NL"), row(mixed, time=after, country="NL")
        assert crooked == pytest.approx(straight, abs=0.1)

    def test_an_event_from_the_remote_past_is_harmless(self) -> None:
        baseline, known = habitual(), Resource("bucket", "reports-1")
        before = row(baseline, time=TEN + 28 * 86_400, resource=known)
        learn(baseline, observe(event(0, resource=known, outcome="denied")))
        assert row(baseline, time=TEN + 28 * 86_400, resource=known) == pytest.approx(before, abs=1e-6)
        assert baseline.scalars[DENIALS] == 0.0

    @settings(max_examples=150, deadline=None)
    @given(st.lists(observations, max_size=80))
    def test_every_feature_of_every_stream_is_finite(self, stream: list[object]) -> None:
        baseline = Baseline()
        for obs in stream:
            assert all(map(isfinite, features(baseline, obs)))  # type: ignore[arg-type]
            learn(baseline, obs)  # type: ignore[arg-type]
        assert Baseline.unpack(baseline.pack()) == baseline
