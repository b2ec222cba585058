"""Surprise against the own usual, backed by the peers': by hand, and in the directions that matter."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import ACTION, CAPACITY, COUNTRY, HOURS, RESOURCE, TOTAL, Baseline
from detectors.features import FEATURES, features, learn, observe
from detectors.peers import Group
from detectors.surprise import BACKED, DOUBT, RARE, UNHEARD, WIDER, share, surprises, unusual
from tests.detectors.company import MONDAY, event, usual

NAMES = [feature.name for feature in FEATURES]
NOON = MONDAY + 28 * 86_400 + 12 * 3600


def habitual() -> Baseline:
    baseline = Baseline()
    for made in usual(28):
        learn(baseline, observe(made))
    return baseline


def group(members: int = 11, **known: int) -> Group:
    """A group of which so many members know the action PutObject on a bucket, or the country NL."""
    tokens = observe(event(NOON, "PutBucketPolicy", country="NL")).tokens
    people = tuple({} for _ in CAPACITY)
    for kind, name in ((ACTION, "action"), (COUNTRY, "country"), (RESOURCE, "resource")):
        if name in known:
            people[kind][tokens[kind]] = known[name]
    return Group(members, people, tuple({} for _ in CAPACITY), (float(members),) * len(CAPACITY), (0.0,) * HOURS)


def row(groups: tuple[Group, ...], **changed: object) -> dict[str, float]:
    made = event(NOON, "PutBucketPolicy", country="NL", **changed)  # type: ignore[arg-type]
    return dict(zip(NAMES, features(habitual(), observe(made), groups), strict=True))


class TestBackOff:
    def test_by_hand(self) -> None:
        baseline, obs = habitual(), observe(event(NOON, "PutBucketPolicy"))
        weight = baseline.weight(NOON)
        total, new = baseline.scalars[TOTAL + ACTION], baseline.scalars[TOTAL + len(CAPACITY) + ACTION]
        said = surprises(baseline, obs.tokens, weight, (group(action=5),))
        expected = new + BACKED * 0.5 * total + DOUBT * weight
        assert said.kinds[ACTION] == pytest.approx(log2((total + DOUBT * weight) / expected))
        said = surprises(baseline, obs.tokens, weight, (group(),))
        expected = new + UNHEARD * DOUBT * weight
        assert said.kinds[ACTION] == pytest.approx(log2((total + DOUBT * weight) / expected))

    def test_what_the_team_does_surprises_less_and_what_nobody_does_more(self) -> None:
        alone, custom, unheard = row(()), row((group(action=9, country=9),)), row((group(),))
        for name in ("action_surprise", "country_surprise"):
            assert custom[name] < alone[name] < unheard[name]

    def test_the_more_peers_know_it_the_less_it_surprises(self) -> None:
        bits = [row((group(action=count),))["action_surprise"] for count in range(2, 11)]
        assert bits == sorted(bits, reverse=True)
        assert len(set(bits)) == len(bits)

    def test_the_organisation_counts_for_less_than_the_team(self) -> None:
        token = observe(event(NOON, "PutBucketPolicy")).tokens[ACTION]
        team, org = group(action=5), group(members=101, action=80)
        assert share((team,), ACTION, token, own=False, member=True) == 0.5
        assert share((group(), org), ACTION, token, own=False, member=True) == pytest.approx(WIDER * 0.8)
        assert share((team, org), ACTION, token, own=False, member=True) == 0.5

    def test_what_one_does_oneself_needs_no_excuse(self) -> None:
        baseline = habitual()
        for _ in range(int(RARE) + 1):
            learn(baseline, observe(event(NOON, "PutBucketPolicy")))
        obs = observe(event(NOON, "PutBucketPolicy"))
        assert features(baseline, obs, (group(),)) == features(baseline, obs)

    def test_no_peers_is_the_same_as_no_snapshot(self) -> None:
        silent = row(())
        assert [silent[name] for name in ("peer_action", "peer_resource", "org_action")] == [0.0] * 3


class TestPeers:
    def test_bits_of_how_few_know_it(self) -> None:
        token = observe(event(NOON, "PutBucketPolicy")).tokens[ACTION]
        assert unusual(group(action=5), ACTION, token, own=False, member=True) == pytest.approx(log2(11 / 5.5))
        assert unusual(group(), ACTION, token, own=False, member=True) == pytest.approx(log2(11 / 0.5))

    def test_narrow_and_wide_have_a_column_each(self) -> None:
        said = row((group(action=10), group(members=51)))
        assert said["peer_action"] == pytest.approx(log2(11 / 10.5))
        assert said["org_action"] == pytest.approx(log2(51 / 0.5))

    def test_never_more_than_for_oneself(self) -> None:
        baseline = Baseline()
        for step in range(60):
            learn(baseline, observe(event(MONDAY + step * 7200, f"Action{step % 30}")))
        made = observe(event(MONDAY + 60 * 7200, "PutBucketPolicy"))
        said = dict(zip(NAMES, features(baseline, made, (group(members=10_000),)), strict=True))
        alone = dict(zip(NAMES, features(baseline, made), strict=True))
        assert said["peer_action"] == pytest.approx(alone["action_surprise"])

    def test_power_and_what_is_sensitive_heed_them(self) -> None:
        few, many = row((group(action=2),)), row((group(action=10),))
        assert few["power_surprise"] == few["action_surprise"] + few["peer_action"] + few["org_action"]
        assert few["power_surprise"] > many["power_surprise"] > 0.0
        assert few["sensitive_surprise"] == 0.0


@given(st.integers(2, 500), st.integers(0, 500), st.booleans(), st.booleans())
def test_whatever_a_group_says_bits_are_finite_and_not_negative(
    members: int, holders: int, own: bool, member: bool
) -> None:
    said = group(members=members, action=min(holders, members))
    token = observe(event(NOON, "PutBucketPolicy")).tokens[ACTION]
    assert -1.0 <= unusual(said, ACTION, token, own, member) <= log2(2 * members + 2)
