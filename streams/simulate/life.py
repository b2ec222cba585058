"""A person's working day, as the four sources record it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import sqrt
from random import Random

from audit.finding import stable_id
from streams.simulate import cloudtrail, github, kubernetes, okta
from streams.simulate.cloudtrail import Call
from streams.simulate.habits import CLUSTER_WIDE, RHYTHMS, Habits, habits
from streams.simulate.kubernetes import Object
from streams.simulate.model import MINUTE, SECOND, Access, Person, SimEvent
from streams.simulate.plan import Plan, Shift, Today
from streams.simulate.words import ACCOUNTS, APPS, AWS_APP, GITHUB_APP, KUBERNETES_APP, SERVICES

DENIED_SHARE = 0.006
THROTTLED_SHARE = 0.0012
CONSOLE_SHARE = 0.3
SCRIPT_SHARE = 0.5


def person_day(plan: Plan, person: Person, day: int) -> list[SimEvent]:
    """Everything a person does on a day of theirs, in no order; the same list whenever it is asked for."""
    today = plan.today(person, day)
    if today is None:
        return []
    own = _habits(person, today.squad)
    rng = today.seat.rng
    share = 1.0 if plan.date(day).weekday() < 5 else 0.3
    rhythm = RHYTHMS[person.team]
    events: list[SimEvent] = []
    apps: list[tuple[int, str]] = []
    if person.accesses and (bursts := _bursts(rng, today.shift, rhythm.aws * share)):
        apps.append((bursts[0][0], AWS_APP))
        events += _aws(today, own, bursts)
    if person.access_key and rng.random() < SCRIPT_SHARE:
        events += _script(today, own)
    if person.github and (bursts := _bursts(rng, today.shift, rhythm.github * share)):
        apps.append((bursts[0][0], GITHUB_APP))
        events += _github(today, own, bursts)
    if person.kubernetes and (bursts := _bursts(rng, today.shift, rhythm.kubernetes * share)):
        apps.append((bursts[0][0], KUBERNETES_APP))
        events += _kubernetes(today, own, bursts)
    events += _okta(today, rhythm.okta * share, apps)
    return events


@lru_cache(maxsize=20_000)
def _habits(person: Person, squad: str) -> Habits:
    return habits(person, squad)


def _bursts(rng: Random, shift: Shift, mean: float) -> list[tuple[int, int]]:
    """(moment, number of events) of the spells of work with one tool, first one first; `mean` events in all."""
    mean = max(mean, 0.0)
    left = max(0, round(rng.gauss(mean, sqrt(mean) * 1.3)))
    sizes = []
    while left > 0:
        sizes.append(min(left, 1 + int(rng.expovariate(0.3))))
        left -= sizes[-1]
    return sorted((shift.moment(rng) + MINUTE, size) for size in sizes)


def _aws(today: Today, own: Habits, bursts: list[tuple[int, int]]) -> Iterator[SimEvent]:
    seat, rng = today.seat, today.seat.rng
    access = _account(seat.person, rng)
    first = bursts[0][0]
    session = cloudtrail.session(seat, access, today.shift.start)
    if rng.random() < CONSOLE_SHARE:
        session.agent = seat.device.browser_agent
        yield session.console_login(first - 3 * SECOND)
    for start, size in bursts:
        time = start
        for call in own.calls.draw(rng, size):
            yield session.call(time, call, rng.choice(own.things[call.about]), _error(call, rng))
            time += SECOND + int(rng.expovariate(1 / 15) * SECOND)


def _script(today: Today, own: Habits) -> Iterator[SimEvent]:
    """A script that still runs on a long-lived access key."""
    rng = today.seat.rng
    session = cloudtrail.key_session(today.seat, ACCOUNTS["prod"])
    start = today.shift.moment(rng)
    for number, call in enumerate(own.calls.draw(rng, rng.randint(3, 9))):
        yield session.call(start + number * 2 * SECOND, call, rng.choice(own.things[call.about]))


def _account(person: Person, rng: Random) -> Access:
    return person.accesses[0] if len(person.accesses) == 1 or rng.random() < 0.7 else person.accesses[1]


def _error(call: Call, rng: Random) -> str:
    luck = rng.random()
    if luck < DENIED_SHARE:
        return "AccessDenied"
    return "ThrottlingException" if luck < DENIED_SHARE + THROTTLED_SHARE and call.reads else ""


def _github(today: Today, own: Habits, bursts: list[tuple[int, int]]) -> Iterator[SimEvent]:
    rng = today.seat.rng
    session = github.session(today.seat)
    for start, size in bursts:
        time, repo = start, own.repos.draw(rng, 1)[0]
        for action in own.git.draw(rng, size):
            yield session.event(time, action, repo)
            time += SECOND + int(rng.expovariate(1 / 40) * SECOND)


def _kubernetes(today: Today, own: Habits, bursts: list[tuple[int, int]]) -> Iterator[SimEvent]:
    rng = today.inside.rng
    session = kubernetes.session(today.inside)
    for start, size in bursts:
        time, namespace = start, rng.choice(own.namespaces)
        for verb, resource, sub in own.requests.draw(rng, size):
            yield session.request(time, verb, _object(namespace, verb, resource, sub, rng), _refused(rng))
            time += SECOND + int(rng.expovariate(1 / 12) * SECOND)


def _refused(rng: Random) -> int:
    return 403 if rng.random() < DENIED_SHARE else 0


def _object(namespace: str, verb: str, resource: str, sub: str, rng: Random) -> Object:
    if resource in CLUSTER_WIDE:
        return Object(resource, name="" if verb == "list" else f"node-{rng.randrange(12)}")
    if verb == "list":
        return Object(resource, namespace)
    service = rng.choice(SERVICES)
    name = pod(namespace, service, rng.randrange(3)) if resource == "pods" else service
    return Object(resource, namespace, name, sub)


def pod(namespace: str, service: str, replica: int) -> str:
    """The name of a service's pod."""
    return f"{service}-{stable_id(namespace, service)[:9]}-{stable_id(namespace, service, replica)[:5]}"


def _okta(today: Today, mean: float, apps: list[tuple[int, str]]) -> Iterator[SimEvent]:
    seat, rng, person = today.seat, today.seat.rng, today.seat.person
    session = okta.session(seat)
    session.new_country, session.new_device = today.new_country, today.new_device
    start = min([today.shift.start, *(moment - 2 * MINUTE for moment, _ in apps)])
    if rng.random() < 0.02:
        yield session.event(start - 20 * SECOND, "user.session.start", [okta.user(person)], okta.WRONG_PASSWORD)
    yield from session.login(start, person)
    for moment, name in apps:
        yield session.sso(moment - 9 * SECOND, person, name)
    others = APPS["everyone"] + APPS[person.team]
    for moment, size in _bursts(rng, today.shift, mean - 3 - len(apps)):
        for number, name in enumerate(rng.choices(others, k=size)):
            yield session.sso(moment + number * 7 * SECOND, person, name)
    if rng.random() < 0.3:
        yield session.event(today.shift.end, "user.session.end", None, uri="/login/signout")
