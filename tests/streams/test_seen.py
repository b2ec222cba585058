from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerting.risk import EPISODE
from audit.brief import EventBrief
from streams.seen import EPISODES, MOST, Seen

NEWEST = 100
briefs = st.builds(
    EventBrief, st.integers((NEWEST - 3) * EPISODE, (NEWEST + 1) * EPISODE - 1), st.sampled_from("abcdefgh")
)


def taken(told: list[EventBrief]) -> Seen:
    seen = Seen({})
    for one in told:
        seen.take(one, NEWEST)
    return seen


@given(st.lists(briefs, max_size=80), st.randoms(use_true_random=False))
def test_the_order_in_which_events_come_never_shows(told: list[EventBrief], random: object) -> None:
    shuffled = [*told, *told[:5]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert taken(shuffled).episodes == taken(told).episodes


@given(st.lists(briefs, max_size=200))
def test_it_is_bounded_and_keeps_the_earliest(told: list[EventBrief]) -> None:
    seen = taken(told)
    assert len(seen.episodes) <= EPISODES
    for index, kept in seen.episodes.items():
        mine = sorted({one for one in told if one.time // EPISODE == index})
        assert kept == mine[:MOST]


def test_only_what_is_asked_for_is_given_in_order_of_time() -> None:
    early, late, other = (EventBrief(NEWEST * EPISODE - 1 + n, name) for n, name in enumerate("abc"))
    seen = taken([other, late, early])
    assert seen.of(("b", "a", "x")) == (early, late)
    assert seen.of(()) == ()


def test_what_is_over_is_forgotten() -> None:
    seen = taken([EventBrief(NEWEST * EPISODE, "a"), EventBrief((NEWEST - 1) * EPISODE, "b")])
    seen.forget(NEWEST + 1)
    assert seen.of("ab") == (EventBrief(NEWEST * EPISODE, "a"),)
    seen.forget(NEWEST + 2)
    assert seen.of("ab") == ()
