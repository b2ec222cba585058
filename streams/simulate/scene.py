"""Where a story (an attack, or something that only looks like one) is played: who, when, from where, on what paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal

import msgspec

from audit.event import rfc3339
from streams.simulate import cloudtrail
from streams.simulate.company import ADMINISTRATOR, Company, sso
from streams.simulate.model import DAY, HOUR, MINUTE, SECOND, Access, Device, Network, Person, Seat, SimEvent
from streams.simulate.places import HOSTING, address
from streams.simulate.plan import Plan, Today, home

Row = dict[str, Any]
When = Literal["work", "night", "ever"]


class Paperwork(msgspec.Struct):
    """What the company writes down: the rows of the context file that explain things."""

    tickets: list[Row] = []
    temporary_grants: list[Row] = []
    role_changes: list[Row] = []
    oncall: list[Row] = []
    pentest_windows: list[Row] = []
    roles: list[Row] = []
    separation_of_duties: list[Row] = []
    accesses: dict[str, list[Access]] = {}

    def ticket(self, type_: str, requester: str, approver: str, window: tuple[int, int], **more: str) -> str:
        """Opens an approved ticket whose window is `window`; returns its id."""
        start, end = window
        number = f"{_PREFIXES[type_]}-{1001 + len(self.tickets)}"
        row: Row = {"id": number, "type": type_, "requester": requester, "approver": approver, **more}
        row |= {"opened": rfc3339(start - 3 * HOUR), "approved_at": rfc3339(start - HOUR)}
        row |= {"window_start": rfc3339(start), "window_end": rfc3339(end), "status": "approved"}
        self.tickets.append(row)
        return number

    def pentest(self, ticket: str, tester: Person, cidr: str, window: tuple[int, int]) -> None:
        """Announces a test of production by somebody, from a range."""
        times = {"start": rfc3339(window[0]), "end": rfc3339(window[1])}
        number = f"pentest-{1 + len(self.pentest_windows)}"
        row: Row = {"id": number, "ticket": ticket, "testers": [tester.id], "source_ranges": [cidr], "scope": ["aws"]}
        self.pentest_windows.append(row | times)

    def administrator(self, person: Person, granted_by: str, window: tuple[int, int], ticket: str) -> Access:
        """Gives somebody the administrator's permission set in production for a time."""
        access = sso(person.email, "prod", ADMINISTRATOR)
        row = {"user": person.id, "system": "aws", "role": "aws-administrator-prod", "granted_by": granted_by}
        times = {"start": rfc3339(window[0]), "expires": rfc3339(window[1])}
        self.temporary_grants.append({**row, "ticket": ticket, **times})
        self.accesses.setdefault(person.id, []).append(access)
        return access


_PREFIXES = {"access": "ACC", "change": "CHG", "helpdesk": "HD", "incident": "INC", "pentest": "PEN"}


class Stage(msgspec.Struct):
    """The company, its calendar and its paper: what all stories share."""

    company: Company
    plan: Plan
    paper: Paperwork

    def employed(self, day: int, *teams: str) -> list[Person]:
        """Who of some teams (all, when none is named) is with the company on a day."""
        people = self.company.team(*teams) if teams else list(self.company.people)
        return [person for person in people if self.plan.employed(person, day)]

    def at_work(self, person: Person, time: int) -> bool:
        """Whether somebody is in their working hours at a moment."""
        today = self.plan.today(person, self.plan.day_of(time))
        return today is not None and today.shift.start <= time <= today.shift.end

    def on_call(self, day: int) -> Person:
        """Who carries the pager on a day: the site reliability engineers take weeks in turn."""
        rota = [p for p in self.company.team("sre") if p.ended is None and p.dormant_since is None]
        rota = [person for person in rota if self.plan.employed(person, 0)]
        return rota[day // 7 % len(rota)]

    def lead(self, team: str) -> str:
        """The id of who leads a team or squad."""
        return self.company.members(team)[0].id


class Scene(msgspec.Struct):
    """One story's cast and hour. `hard` asks for the quieter of a story's two forms."""

    stage: Stage
    person: Person
    day: int
    start: int
    rng: Random
    hard: bool = False

    def usual(self) -> Seat:
        """Where the person sits that day, or their home when it is no working day."""
        today = self.stage.plan.today(self.person, self.day)
        if today is not None:
            return msgspec.structs.replace(today.seat, rng=self.rng)
        return self.home()

    def seat_of(self, person: Person, time: int) -> Seat:
        """Where somebody else sits that day."""
        return msgspec.structs.replace(self, person=person, day=self.stage.plan.day_of(time)).usual()

    def home(self) -> Seat:
        """The person's own computer at home."""
        network, number = home(self.person, self.day)
        return self.seat(network, self.person.device, number)

    def inside(self) -> Seat:
        """Where the cluster sees the person: the office or the VPN."""
        today = self.stage.plan.today(self.person, self.day)
        return self.usual() if today is None else msgspec.structs.replace(today.inside, rng=self.rng)

    def away(self) -> Seat:
        """An attacker's computer at a hosting provider abroad."""
        return self.seat(self.abroad(), attackers_device(self.rng))

    def abroad(self) -> Network:
        """A hosting provider in a country that is not the person's."""
        return self.rng.choice([network for network in HOSTING if network.city.country != self.person.city.country])

    def seat(self, network: Network, device: Device, number: int | None = None) -> Seat:
        """The person's accounts used from some network with some device, in an Okta session of its own."""
        number = self.rng.randrange(30_000) if number is None else number
        session = f"102{self.rng.getrandbits(88):022x}"
        return Seat(self.person, network, address(network, number), device, self.rng, session)

    def aws(self, seat: Seat, access: Access | None = None) -> cloudtrail.Session:
        """The person's role session of the day, used from a seat."""
        today = self.stage.plan.today(self.person, self.day)
        return cloudtrail.session(seat, access or self.person.accesses[0], today.shift.start if today else self.start)

    def room(self, length: int) -> bool:
        """Whether the simulation goes on for so long after the story's beginning."""
        plan = self.stage.plan
        return self.start + length < plan.start + (plan.days - 1) * DAY

    def workdays(self, span: int) -> Iterator[tuple[int, Today]]:
        """The person's working days among `span` from the story's own on, each with a moment of work in it."""
        for day in range(self.day, min(self.stage.plan.days, self.day + span)):
            today = self.stage.plan.today(self.person, day)
            if today is not None:
                seat = msgspec.structs.replace(today.seat, rng=self.rng)
                moment = max(self.start, today.shift.moment(self.rng))
                yield moment, msgspec.structs.replace(today, seat=seat)

    def times(self, count: int, mean: float, start: int | None = None) -> Iterator[int]:
        """`count` moments from the start on, `mean` seconds apart."""
        time = self.start if start is None else start
        for _ in range(count):
            yield time
            time += SECOND + int(self.rng.expovariate(1 / mean) * SECOND)


class Casting(msgspec.Struct, frozen=True):
    """Which people a story may be played with on a day, at which hour of theirs, and how many days it takes."""

    who: Callable[[Stage, int], list[Person]]
    when: When = "work"
    takes: int = 1

    def moment(self, plan: Plan, person: Person, day: int, rng: Random) -> int | None:
        """When the story begins, or None when it cannot on that day."""
        if self.when == "work":
            today = plan.today(person, day)
            return None if today is None else min(today.shift.moment(rng), today.shift.end - 90 * MINUTE)
        hours = (HOUR, 4 * HOUR) if self.when == "night" else (0, 23 * HOUR)
        return plan.midnight(day, person.city) + rng.randrange(*hours)

    def cast(self, stage: Stage, days: tuple[int, int], rng: Random, used: set[str]) -> Scene | None:
        """A scene on one of the days [first, last), preferably with somebody unused; None when nobody fits."""
        first, last = stage.plan.start + days[0] * DAY, stage.plan.start + days[1] * DAY
        for attempt in range(80):
            # Room for all its days where there is some; a story cut short is better than none.
            latest = days[1] - (self.takes if attempt < 40 else 1)
            day = rng.randrange(days[0], max(days[0], latest) + 1)
            people = self.who(stage, day)
            people = [person for person in people if person.id not in used] or people
            if not people:
                continue
            person = rng.choice(people)
            start = self.moment(stage.plan, person, day, rng)
            if start is not None and first <= start < last:
                used.add(person.id)
                return Scene(stage, person, day, start, rng)
        return None


def attackers_device(rng: Random) -> Device:
    """A computer set up for break-ins."""
    boto = f"1.34.{rng.randint(10, 120)}"
    return Device(
        os="Linux",
        browser="FIREFOX",
        browser_agent=f"Mozilla/5.0 (X11; Linux x86_64; rv:{rng.randint(109, 128)}.0) Gecko/20100101 Firefox/115.0",
        aws_agent=f"Boto3/{boto} md/Botocore#{boto} ua/2.0 os/linux#6.6.9-amd64 lang/python#3.11.8",
        git_agent="git/2.30.2",
        kubectl_agent="kubectl/v1.24.0 (linux/amd64) kubernetes/4ce5a89",
        fingerprint=f"{rng.getrandbits(128):032x}",
    )


Play = Callable[[Scene], Iterator[SimEvent]]
