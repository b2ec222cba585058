"""What the authorization model costs: decisions a second on one core, and what it adds to an event.

    python -m benchmarks.access

1,000 users hold 5 of 50 roles of 200 permissions each (a third of them globs), some for a time. Times are of the
process, the fastest of several runs; the floor of the casbin engine is measured on the same policy, if it is installed.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from audit.context import Context, load_context
from audit.context_schema import Declared, End, Grant, Moment, Person, Role
from audit.event import MICROSECONDS, AuditEvent, Principal
from rules.access import Access
from rules.access_asked import Asked
from streams.evaluate_labels import simulated
from streams.simulate.organisation import simulate

USERS, ROLES, PERMISSIONS, HELD = 1_000, 50, 200, 5
START = 1_767_571_200 * MICROSECONDS
DAY = 86_400 * MICROSECONDS
PEOPLE, LARGE_ROLES = 50_000, 1_000

Question = tuple[str, Asked, AuditEvent]


def best(run: Callable[[], Any], times: int = 7) -> float:
    """Seconds of the process, the fastest of several runs."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def organisation(rng: random.Random) -> Context:
    """1,000 users, 50 roles of 200 permissions, a fifth of what is held for four weeks only."""
    roles = [role(number, rng) for number in range(ROLES)]
    people, grants = [], []
    for number in range(USERS):
        held = rng.sample(roles, HELD)
        people.append(Person(id=f"user-{number}", roles=tuple(each.name for each in held[1:])))
        start, end = Moment(START), End(START + 28 * DAY)
        grants.append(Grant(user=f"user-{number}", system="aws", role=held[0].name, start=start, expires=end))
    return Context(Declared(users=tuple(people), roles=tuple(roles), temporary_grants=tuple(grants)))


def role(number: int, rng: random.Random) -> Role:
    """A role of 200 actions on some buckets."""
    actions = [f"service{rng.randrange(40)}:{verb(rng)}" for _ in range(PERMISSIONS)]
    return Role(
        name=f"role-{number}", system="aws", actions=tuple(actions), resources=(f"*-{number}-*", f"data-{number}")
    )


def verb(rng: random.Random) -> str:
    """An action's name; of three one is a pattern."""
    name = f"{rng.choice(('Get', 'List', 'Put', 'Delete'))}Thing{rng.randrange(100)}"
    return name if rng.random() < 0.67 else f"{name[:-1]}*"


def questions(context: Context, count: int, rng: random.Random) -> list[Question]:
    """What people ask for within a month: something one of their roles lists, on something of the role or, of a
    hundred times four, of another; grants end two days before the month does."""
    roles = {each.name: each for each in context.declared.roles}
    granted = {each.user: each.role for each in context.declared.temporary_grants}
    asked = []
    for _ in range(count):
        person = rng.choice(context.declared.users)
        held = roles[rng.choice((*person.roles, granted[person.id]))]
        action = rng.choice(held.actions).replace("*", "7").lower()
        about = f"acorn-{held.name[5:] if rng.random() < 0.96 else rng.randrange(ROLES)}-assets"
        event = AuditEvent(
            "e", START + rng.randrange(30 * DAY), "cloudtrail", action, "success", Principal(person.id, person.id)
        )
        asked.append((person.id, Asked("aws", "", action, about), event))
    return asked


def decisions(access: Access, asked: list[Question]) -> float:
    """Decisions a second."""
    record: dict[str, Any] = {}

    def run() -> None:
        judge, table = access.judge, access.table
        for who, what, event in asked:
            judge(table(who), what, event, record)  # type: ignore[arg-type]

    return len(asked) / best(run)


def added() -> tuple[float, int]:
    """Microseconds added to an event of a simulated organisation, and the events."""
    labelled = simulated(simulate(100, 3, 11))
    access = Access(labelled.context)
    pairs = [(event, orjson.loads(event.raw)) for event in labelled.events()]

    def run() -> None:
        decide = access.decide
        for event, record in pairs:
            decide(event, record)

    return best(run) / len(pairs) * 1e6, len(pairs)


def large(folder: Path) -> float:
    """Seconds to load a context of 50,000 people and 1,000 roles, JSON."""
    rows = {
        "roles": [
            {"name": f"role-{n}", "system": "aws", "actions": [f"s3:Get{n}*", "ec2:*"], "resources": [f"*-{n}-*"]}
            for n in range(LARGE_ROLES)
        ],
        "users": [
            {
                "id": f"user-{n}",
                "name": f"User {n}",
                "team": f"team-{n % 200}",
                "kind": "human",
                "city": "Berlin",
                "country": "DE",
                "timezone": "Europe/Berlin",
                "start_date": "2022-03-01",
                "roles": [f"role-{n % LARGE_ROLES}", f"role-{n * 7 % LARGE_ROLES}"],
                "identities": {
                    "okta": [f"user-{n}@example.com"],
                    "aws": [f"arn:aws:sts::*:assumed-role/Engineer_*/user-{n}@example.com"],
                    "github": [f"user-{n}-gh"],
                },
            }
            for n in range(PEOPLE)
        ],
    }
    path = folder / "context.json"
    path.write_bytes(orjson.dumps(rows))
    return best(lambda: Access(load_context(path)), 3)


def main() -> None:
    """Prints the figures."""
    rng = random.Random(7)
    context = organisation(rng)
    asked = questions(context, 100_000, rng)
    access = Access(context)
    started = time.process_time()
    kinds = [access.judge(access.table(who), what, event, {}).kind for who, what, event in asked]  # type: ignore[arg-type]
    cold = time.process_time() - started
    share = kinds.count("permitted") / len(kinds)
    print(f"{USERS} users, {ROLES} roles of {PERMISSIONS} permissions, {len(asked)} questions, {share:.0%} permitted")
    print(f"decisions, first time: {len(asked) / cold:,.0f}/s")
    print(f"decisions: {decisions(access, asked):,.0f}/s  >= 1,000,000/s")
    cost, events = added()
    print(f"added to an event ({events} of a simulated organisation): {cost:.2f} us  <= 3 us")
    with tempfile.TemporaryDirectory() as folder:
        print(f"{PEOPLE} people and {LARGE_ROLES} roles loaded: {large(Path(folder)):.2f} s  <= 3 s")


if __name__ == "__main__":
    main()
