"""Casts the attacks and the look-alikes over the days, and writes their labels."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from audit.event import rfc3339
from streams.simulate import attacks, lookalikes
from streams.simulate.context import roles_of
from streams.simulate.life import person_day
from streams.simulate.model import DAY, HOUR, Attack, Difficulty, Lookalike, SimEvent
from streams.simulate.plan import Episode
from streams.simulate.scene import Stage

FEWEST_CAMPAIGNS = 8
CAMPAIGNS_PER_USER = 0.15
_LASTING = {"new_laptop": 1, "team_move": 3, "new_hire": 3, "back_from_leave": 3}


class Told(msgspec.Struct):
    """All stories: the events they add, in time order, and their labels."""

    events: list[SimEvent] = []
    attacks: list[Attack] = []
    lookalikes: list[Lookalike] = []


def tell(stage: Stage, attack_after: int, loud: bool = False) -> Told:
    """Plays the look-alikes over all days and the attacks over those from `attack_after` on.

    With `loud`, only attacks that are over within hours, each first in its louder form.
    """
    told = Told()
    _rota(stage)
    _everyday_tickets(stage)
    _play_lookalikes(stage, told)
    told.lookalikes += [odd for number, e in enumerate(_episodes(stage)) if (odd := _lived(stage, e, number))]
    _play_attacks(stage, told, attack_after, loud)
    told.events.sort(key=lambda event: event.time)
    told.lookalikes.sort(key=lambda lookalike: lookalike.start)
    told.attacks.sort(key=lambda attack: attack.start)
    return told


def _play_attacks(stage: Stage, told: Told, attack_after: int, loud: bool) -> None:
    rng = Random(f"{stage.plan.seed}/attacks")  # noqa: S311
    people = len(stage.company.people)
    wanted = max(FEWEST_CAMPAIGNS, round(people * CAMPAIGNS_PER_USER))
    catalogue = [kind for kind in attacks.CATALOGUE if not loud or kind.casting.takes == 1]
    order = rng.sample(catalogue, len(catalogue))
    firsts = [0 if loud else rng.randrange(2) for _ in order]
    used: set[str] = set()
    for turn in range(3 * wanted):
        if len(told.attacks) >= max(wanted, len(order) if people >= 100 else 0):
            return
        place = turn % len(order)
        kind = order[place]
        scene = kind.casting.cast(stage, (attack_after, stage.plan.days), rng, used)
        if scene is None:
            continue
        difficulty = kind.difficulties[(firsts[place] + turn // len(order)) % len(kind.difficulties)]
        scene.hard = difficulty == "hard"
        scene.rng = Random(f"{stage.plan.seed}/attack/{turn}")  # noqa: S311
        name = f"attack-{len(told.attacks) + 1:03d}"
        events = [msgspec.structs.replace(event, attack=name) for event in kind.play(scene)]
        told.attacks.append(labelled(name, kind, difficulty, scene.person.id, events))
        told.events += events


def labelled(name: str, kind: attacks.Kind, difficulty: Difficulty, principal: str, events: list[SimEvent]) -> Attack:
    """The label of a campaign; its events are put into order."""
    events.sort(key=lambda event: event.time)
    return Attack(
        id=name,
        kind=kind.name,
        difficulty=difficulty,
        principal=principal,
        start=events[0].time,
        end=events[-1].time,
        event_ids=tuple(event.id for event in events),
        technique=kind.technique,
        description=kind.description,
    )


def _play_lookalikes(stage: Stage, told: Told) -> None:
    rng = Random(f"{stage.plan.seed}/lookalikes")  # noqa: S311
    months = len(stage.company.people) * stage.plan.days / 3000
    for kind in lookalikes.CATALOGUE:
        for turn in range(max(1, round(kind.monthly * months))):
            scene = kind.casting.cast(stage, (0, stage.plan.days), rng, set())
            if scene is None:
                continue
            scene.rng = Random(f"{stage.plan.seed}/{kind.name}/{turn}")  # noqa: S311
            papers = len(stage.paper.tickets)
            events = sorted(kind.play(scene), key=lambda event: event.time)
            ticket = stage.paper.tickets[papers]["id"] if len(stage.paper.tickets) > papers else None
            told.lookalikes.append(_odd(f"{kind.name}-{turn + 1:03d}", kind.name, scene.person.id, events, ticket))
            told.events += events


def _odd(name: str, kind: str, principal: str, events: list[SimEvent], ticket: str | None) -> Lookalike:
    ids = tuple(event.id for event in events)
    return Lookalike(name, kind, principal, events[0].time, events[-1].time, ids, ticket)


def _episodes(stage: Stage) -> Iterator[Episode]:
    """The changes in people's lives that show in the logs, with the days on which they still look odd."""
    plan = stage.plan
    for person in stage.company.people:
        first = (person.started - plan.date(0)).days
        if first > 0:
            yield Episode("new_hire", person.id, first, min(first + _LASTING["new_hire"], plan.days - 1))
        for episode in plan.episodes.get(person.id, ()):
            last = min(episode.last, episode.first + _LASTING.get(episode.kind, 99))
            if episode.kind != "leave":
                yield msgspec.structs.replace(episode, last=min(last, plan.days - 1))
            elif episode.first < 0:
                back = episode.last + 1
                yield Episode(
                    "back_from_leave", person.id, back, min(back + _LASTING["back_from_leave"], plan.days - 1)
                )


def _lived(stage: Stage, episode: Episode, number: int) -> Lookalike | None:
    """The label of an episode; None when the person never showed up in it."""
    person = next(p for p in stage.company.people if p.id == episode.person)
    events = [event for day in range(episode.first, episode.last + 1) for event in person_day(stage.plan, person, day)]
    if not events:
        return None
    events.sort(key=lambda event: event.time)
    ticket = _paper_for(stage, episode, stage.plan.midnight(episode.first, person.city))
    return _odd(f"{episode.kind}-{number + 1:03d}", episode.kind, person.id, events, ticket)


def _paper_for(stage: Stage, episode: Episode, start: int) -> str | None:
    paper, window = stage.paper, (start, start + 30 * DAY)
    if episode.kind == "new_laptop":
        lead = stage.lead("it-helpdesk")
        return paper.ticket("helpdesk", episode.person, lead, window, subject=episode.person, system="okta")
    if episode.kind != "team_move":
        return None
    lead = stage.lead(episode.squad)
    ticket = paper.ticket("access", episode.person, lead, window, subject=episode.person, system="aws")
    person = next(p for p in stage.company.people if p.id == episode.person)
    for role in roles_of(person, episode.squad):
        if role not in roles_of(person, person.squad):
            row = {"user": person.id, "system": role.partition("-")[0], "role": role, "ticket": ticket}
            paper.role_changes.append(row | {"effective": rfc3339(start)})
    return ticket


def _rota(stage: Stage) -> None:
    for day in range(0, stage.plan.days, 7):
        start = stage.plan.start + day * DAY
        row = {"user": stage.on_call(day).id, "start": rfc3339(start), "end": rfc3339(start + 7 * DAY)}
        stage.paper.oncall.append(row)


def _everyday_tickets(stage: Stage) -> None:
    """Tickets that explain nothing: other people's, other systems', refused ones."""
    rng = Random(f"{stage.plan.seed}/tickets")  # noqa: S311
    people = [person.id for person in stage.employed(0)]
    for number in range(max(3, len(people) * stage.plan.days // 300)):
        start = stage.plan.start + rng.randrange(stage.plan.days * DAY)
        requester, approver = rng.sample(people, 2)
        type_ = rng.choice(("access", "change", "helpdesk"))
        stage.paper.ticket(type_, requester, approver, (start, start + 8 * HOUR), subject=requester, system="okta")
        if number % 3 == 0:
            stage.paper.tickets[-1] |= {"status": "rejected"}
            del stage.paper.tickets[-1]["approved_at"]
