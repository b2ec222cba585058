"""What groups share: mature members only, each weighing the same, whoever asks left out; the same in any order."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_schema import Person
from detectors.baseline import ACTION, AGENT, CAPACITY, COUNTRY, Baseline
from detectors.budget import DAY
from detectors.features import learn
from detectors.observation import Observation
from detectors.peers import HEADER_SIZE, LEAST_MEMBERS, NONE, Gathering, Group, Snapshot, build, group_names, made_of

MADE = 20_000 * DAY
START = MADE // 1_000_000 - 10 * 86_400


def baseline(*actions: int, events: int = 60, days: int = 5, country: int = 7, hour: int = 9) -> Baseline:
    """Somebody who did these actions in turn, from one country, at one hour of the day."""
    made = Baseline()
    for number in range(events):
        time = START + number * days // events * 86_400 + hour * 3600 + number
        learn(made, Observation(time, (actions[number % len(actions)], 0, country, 0, 0, 0)))
    learn(made, Observation(START + days * 86_400, (actions[0], 0, country, 0, 0, 0)))
    return made


def gathered(*members: Baseline, group: str = "org") -> Group:
    return build(((str(number), one) for number, one in enumerate(members)), lambda _: (group,), MADE).groups[group]


def crowd(count: int = LEAST_MEMBERS) -> list[Baseline]:
    return [baseline(1, 2, 100 + number) for number in range(count)]


class TestShare:
    def test_others_who_hold_the_token(self) -> None:
        group = gathered(*crowd(9), baseline(3))
        assert (group.members, group.people[ACTION]) == (10, {1: 9, 2: 9})
        assert group.share(ACTION, 1, own=True) == 8 / 9
        assert group.share(ACTION, 1, own=False) == 1.0
        assert group.share(COUNTRY, 7, own=True) == 1.0
        assert group.share(ACTION, 4, own=True) == group.share(AGENT, 1, own=False) == 0.0

    def test_whoever_is_no_member_meets_all_of_them(self) -> None:
        group = gathered(*crowd(9), baseline(3))
        assert group.share(ACTION, 1, own=True, member=False) == group.share(ACTION, 1, False, member=False) == 0.9

    def test_what_one_alone_knows_is_nobody_else_s(self) -> None:
        group = gathered(*crowd())
        assert 100 not in group.people[ACTION]
        assert group.share(ACTION, 100, own=True) == group.share(ACTION, 100, own=False) == 0.0

    @given(own=st.booleans(), member=st.booleans(), people=st.integers(0, 6), members=st.integers(1, 6))
    def test_it_is_a_share_whatever_is_asked(self, own: bool, member: bool, people: int, members: int) -> None:
        group = Group(members, tuple({1: people} for _ in CAPACITY))
        assert 0.0 <= group.share(ACTION, 1, own, member) <= 1.0


class TestGroups:
    def test_too_few_mature_members_say_nothing(self) -> None:
        young = [baseline(1, events=40), baseline(1, days=2)]
        assert all(one.young for one in young)
        assert build(enumerate_(crowd(4) + young), lambda _: ("org",), MADE).groups == {}
        assert build(enumerate_(crowd(5) + young), lambda _: ("org",), MADE).groups["org"].members == 5

    def test_one_busy_bot_does_not_make_the_usual(self) -> None:
        quiet = [baseline(1, 2) for _ in range(5)]
        group = gathered(*quiet, baseline(3, events=5_000), baseline(3, 1, 1, 1))
        assert group.counts[ACTION][3] == pytest.approx(1.25, abs=0.05)
        assert group.counts[ACTION][1] == pytest.approx(5 / 2 + 3 / 4, abs=0.05)
        assert group.totals == (7.0, 0.0, 7.0, 0.0, 0.0, 0.0)

    def test_hours_add_up_to_one_a_member(self) -> None:
        group = gathered(*(baseline(1, hour=9) for _ in range(5)), baseline(1, hour=22))
        assert sum(group.hours) == pytest.approx(6.0, abs=1e-4)
        assert group.hours[9] + group.hours[24 + 9] == pytest.approx(5 * 5 / 6, abs=0.2)

    def test_each_is_counted_in_all_of_their_groups(self) -> None:
        groups = {"0": ("team:a", "org"), "1": ("team:b", "org")}
        found = build(enumerate_(crowd(12)), lambda name: groups.get(name, ("team:a", "org")), MADE).groups
        assert {name: group.members for name, group in found.items()} == {"org": 12, "team:a": 11}

    def test_the_most_held_tokens_are_kept(self) -> None:
        gathering = Gathering(MADE)
        for number in range(200):
            gathering.add(("org",), baseline(1, *range(1000 + number * 10, 1000 + number * 10 + 20)))
        people = gathering.close().groups["org"].people[ACTION]
        assert people[1] == 200
        assert len(people) == 512
        assert min(people.values()) == 2

    @given(seed=st.randoms())
    def test_the_order_of_members_does_not_matter(self, seed: Random) -> None:
        members = [baseline(1 + number % 3, 5, 1000 + number // 2, events=60 + 7 * number) for number in range(12)]
        shuffled = members[:]
        seed.shuffle(shuffled)
        assert gathered(*shuffled) == gathered(*members)


class TestNames:
    def test_the_narrowest_first(self) -> None:
        person = Person(id="a", team="ops", kind="contractor")
        assert group_names(person, "human") == ("team:ops", "kind:contractor", "org")
        assert group_names(Person(id="b"), "service") == ("kind:human", "org")
        assert group_names(None, "service") == ("kind:service", "org")
        assert group_names(None, "unknown") == ("org",)

    def test_groups_that_say_nothing_are_no_peers(self) -> None:
        org, team = Group(9), Group(5)
        snapshot = Snapshot(1, {"org": org, "team:ops": team})
        assert snapshot.peers_of(Person(id="a", team="ops"), "human") == (team, org)
        assert snapshot.peers_of(Person(id="a", team="it"), "human") == (org,)
        assert NONE.peers_of(Person(id="a", team="ops"), "human") == ()


class TestBar:
    def test_only_those_with_a_history_set_the_bar(self) -> None:
        def peaks(name: str) -> Sequence[tuple[int, float]]:
            return [(20_000 - day, 5.0 + int(name) / 100) for day in range(1, 11)]

        old, young = crowd(8), [baseline(1, days=2) for _ in range(8)]
        found = build(enumerate_(old + young), lambda _: ("org",), MADE, peaks, budget=3.0)
        assert found.bar == pytest.approx(5.04, abs=1e-5)
        assert build(enumerate_(young), lambda _: ("org",), MADE, peaks, budget=3.0).bar is None


class TestBytes:
    def test_they_come_back(self) -> None:
        snapshot = build(enumerate_(crowd(7)), lambda _: ("org",), MADE)
        data = snapshot.pack()
        assert Snapshot.unpack(data) == snapshot
        assert made_of(data[:HEADER_SIZE]) == MADE
        assert Snapshot.unpack(data).hash == snapshot.hash != NONE.hash

    @given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
    def test_damage_is_noticed(self, place: int, bit: int) -> None:
        data = bytearray(_PACKED)
        data[place % len(data)] ^= 1 << bit
        with pytest.raises(ValueError, match=r"damaged|another version"):
            Snapshot.unpack(bytes(data))

    @pytest.mark.parametrize("data", [b"", b"SN", b"SN\x02\n" + bytes(12), b"BL\x02\n" + bytes(2000)])
    def test_other_bytes_are_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="another version"):
            Snapshot.unpack(data)

    def test_a_group_without_all_kinds_is_refused(self) -> None:
        whole = Snapshot(1, {"org": Group(5, ({},) * 2, ({},) * 2)})
        with pytest.raises(ValueError, match="lacks kinds"):
            Snapshot.unpack(whole.pack())
        assert msgspec.msgpack.decode(whole.pack()[HEADER_SIZE:])


def enumerate_(members: list[Baseline]) -> list[tuple[str, Baseline]]:
    return [(str(number), one) for number, one in enumerate(members)]


_PACKED = build(enumerate_(crowd(6)), lambda _: ("org",), MADE).pack()
