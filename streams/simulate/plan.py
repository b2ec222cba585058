"""When people work, from where and with what: leave, trips, new laptops, moves between squads."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from audit.finding import stable_id
from streams.simulate.company import Company, new_laptop, squads
from streams.simulate.model import DAY, HOUR, MINUTE, SECOND, City, Device, Network, Person, Seat
from streams.simulate.places import HOTELS, ISPS, OFFICES, address, vpn_near

_EPOCH = date(1970, 1, 1)
WEEKEND_SHARE = 0.05


class Episode(msgspec.Struct, frozen=True):
    """A change in somebody's life on the days first to last (counted from the start, both included)."""

    kind: str
    person: str
    first: int
    last: int
    network: Network | None = None
    device: Device | None = None
    squad: str = ""


class Shift(msgspec.Struct, frozen=True):
    """A person's working hours on one day, lunch cut out; times in microseconds."""

    start: int
    lunch: int
    lunch_end: int
    end: int

    def moment(self, rng: Random) -> int:
        """A moment of work, each as likely as the other."""
        before = self.lunch - self.start
        at = rng.randrange(before + self.end - self.lunch_end)
        return self.start + at if at < before else self.lunch_end + at - before


class Today(msgspec.Struct, frozen=True):
    """A working day of a person: the hours, the two seats (own network; the VPN's or office's for the cluster)."""

    shift: Shift
    seat: Seat
    inside: Seat
    squad: str
    new_country: bool
    new_device: bool


class Plan(msgspec.Struct):
    """Everybody's calendar. `start` is midnight UTC of the first day, in microseconds."""

    seed: int
    start: int
    days: int
    episodes: dict[str, list[Episode]]

    def date(self, day: int) -> date:
        """The calendar date of a day of the simulation."""
        return _EPOCH + timedelta(days=self.start // DAY + day)

    def day_of(self, time: int) -> int:
        """The UTC day of the simulation a moment falls into."""
        return (time - self.start) // DAY

    def midnight(self, day: int, city: City) -> int:
        """The microsecond at which a day begins in a city."""
        offset = datetime.combine(self.date(day), datetime.min.time(), ZoneInfo(city.timezone)).utcoffset()
        return self.start + day * DAY - int((offset or timedelta()).total_seconds()) * SECOND

    def employed(self, person: Person, day: int) -> bool:
        """Whether somebody has begun, has not left and is not away for good on a day."""
        today = self.date(day)
        begun = person.started <= today and (person.ended is None or today <= person.ended)
        return begun and person.dormant_since is None

    def during(self, person: Person, day: int, kind: str) -> Episode | None:
        """The episode of a kind somebody is in on a day."""
        for episode in self.episodes.get(person.id, ()):
            if episode.kind == kind and episode.first <= day <= episode.last:
                return episode
        return None

    def works(self, person: Person, day: int) -> bool:
        """Whether somebody works on a day; a few do on a weekend."""
        if not self.employed(person, day) or self.during(person, day, "leave"):
            return False
        if self.date(day).weekday() < 5:
            return True
        return self._rng("weekend", person, day).random() < WEEKEND_SHARE

    def today(self, person: Person, day: int) -> Today | None:
        """A person's working day, or None when it is none; the same whoever asks."""
        if not self.works(person, day):
            return None
        rng = self._rng("today", person, day)
        trip, laptop = self.during(person, day, "travel"), self.during(person, day, "new_laptop")
        move = self.during(person, day, "team_move")
        city = trip.network.city if trip and trip.network else person.city
        seat = self._seat(person, day, rng)
        return Today(
            shift=self._shift(person, day, city, rng),
            seat=seat,
            inside=seat if seat.network.kind == "office" else _through_vpn(seat, city),
            squad=move.squad if move else person.squad,
            new_country=trip is not None and day == trip.first,
            new_device=laptop is not None and day == laptop.first,
        )

    def _shift(self, person: Person, day: int, city: City, rng: Random) -> Shift:
        begin = max(8.05, person.start_hour + rng.gauss(0, 0.35))
        length = rng.gauss(8.6, 0.5) if self.date(day).weekday() < 5 else rng.uniform(0.7, 2.0)
        start = self.midnight(day, city) + int(begin * HOUR)
        end = start + int(length * HOUR)
        lunch = min(end, start + int((0.5 if length < 4 else rng.uniform(2.8, 4.2)) * HOUR))
        return Shift(start, lunch, min(end, lunch + rng.randrange(25, 60) * MINUTE), end)

    def _seat(self, person: Person, day: int, rng: Random) -> Seat:
        trip, laptop = self.during(person, day, "travel"), self.during(person, day, "new_laptop")
        if trip and trip.network:
            network, number = trip.network, person.index * 7 + trip.first
        elif rng.random() < person.office_share:
            network, number = OFFICES[person.city.name], person.index
        else:
            network, number = home(person, day)
        device = laptop.device if laptop and laptop.device else person.device
        session = okta_session(self.seed, person, day)
        return Seat(person, network, address(network, number), device, rng, session)

    def _rng(self, what: str, person: Person, day: int) -> Random:
        return Random(f"{self.seed}/{what}/{person.id}/{day}")  # noqa: S311


def home(person: Person, day: int) -> tuple[Network, int]:
    """The network a person has at home and their address in it; providers hand out a new one every month or so."""
    return ISPS[person.city.name], person.index * 37 + (day + person.index) // 30 * 4099


def okta_session(seed: int, person: Person, day: int) -> str:
    """The id of somebody's Okta session of a day."""
    return f"102{stable_id(seed, 'session', person.id, day)}{stable_id(day, person.id)[:6]}"


def make_plan(company: Company, days: int, seed: int, start: int) -> Plan:
    """Leave and the changes in people's lives, in proportion to people and days; changes begin after the first day."""
    plan = Plan(seed, start, days, {})
    rng = Random(f"{seed}/plan")  # noqa: S311
    people = [person for person in company.people if person.dormant_since is None and person.ended is None]
    months = len(people) * days / 3000
    for person in rng.sample(people, round(months * 20)):
        first = rng.randrange(days)
        _add(plan, Episode("leave", person.id, first, first + rng.choice((0, 1, 4, 9))))
    if days < 2:
        return plan
    movers = [p for p in people if p.team == "engineering" and not p.title.endswith("Lead") and p.kind == "human"]
    for person in rng.sample(people, max(1, round(months * 6))):
        _add(plan, _trip(person, days, rng))
    for person in rng.sample(people, max(1, round(months * 4))):
        first = rng.randrange(1, days)
        _add(plan, Episode("new_laptop", person.id, first, days + 1, device=new_laptop(person, rng)))
    for person in rng.sample(movers, min(len(movers), max(1, round(months * 2)))):
        others = [squad for squad in squads(len(company.people)) if squad != person.squad]
        _add(plan, Episode("team_move", person.id, rng.randrange(1, days), days + 1, squad=rng.choice(others)))
    _come_back(plan, people)
    return plan


def _come_back(plan: Plan, people: list[Person]) -> None:
    """Parental leaves, begun months ago, that end within the days."""
    rng = Random(f"{plan.seed}/returns")  # noqa: S311
    able = [p for p in people if not plan.episodes.get(p.id) and not p.title.endswith("Lead") and p.team != "sre"]
    able = [p for p in able if p.kind == "human" and p.started <= plan.date(-300)]
    for person in rng.sample(able, min(len(able), max(1, round(len(people) * plan.days / 6000)))):
        back = rng.randint(1, max(1, plan.days - 3))
        _add(plan, Episode("leave", person.id, back - rng.randint(120, 240), back - 1))


def _trip(person: Person, days: int, rng: Random) -> Episode:
    first = rng.randrange(1, days)
    abroad = [network for network in HOTELS if network.city.country != person.city.country]
    return Episode("travel", person.id, first, first + rng.randint(1, 6), network=rng.choice(abroad))


def _add(plan: Plan, episode: Episode) -> None:
    plan.episodes.setdefault(episode.person, []).append(episode)


def _through_vpn(seat: Seat, city: City) -> Seat:
    exit_ = vpn_near(city)
    return msgspec.structs.replace(seat, network=exit_, address=address(exit_, seat.person.index))
