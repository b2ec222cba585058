"""The people of the simulated company, and the accounts each of them has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

import msgspec

from audit.finding import stable_id
from streams.simulate.habits import GITHUB_TEAMS, KUBERNETES_TEAMS
from streams.simulate.model import Access, Device, Person, key_id
from streams.simulate.places import HOME_SHARES, HOMES, OFFICES, RUNNERS
from streams.simulate.words import ACCOUNTS, DOMAIN, FIRST, LAST, SQUADS, TITLES

SMALLEST = 10
_SHARES = {
    "engineering": 0.46, "support": 0.17, "data": 0.10, "finance": 0.09, "sre": 0.08, "security": 0.05,
    "it-helpdesk": 0.05,
}  # fmt: skip
PERMISSION_SETS = {
    "engineering": (("prod", "Developer"), ("staging", "Developer")),
    "sre": (("prod", "Operator"), ("staging", "Operator")),
    "data": (("data", "DataAnalyst"),),
    "security": (("prod", "SecurityAudit"), ("security", "SecurityAudit")),
    "finance": (("prod", "Billing"),),
}
ADMINISTRATOR = "AdministratorAccess"
_OS = ("Mac OS X", "Mac OS X", "Windows 10", "Linux")
_BROWSER_OS = {
    "Mac OS X": "Macintosh; Intel Mac OS X 10_15_7",
    "Windows 10": "Windows NT 10.0; Win64; x64",
    "Linux": "X11; Linux x86_64",
}
_CLI_OS = {"Mac OS X": "macos/23.6.0", "Windows 10": "windows/10", "Linux": "linux/6.8.0"}
_GO_OS = {"Mac OS X": "darwin/arm64", "Windows 10": "windows/amd64", "Linux": "linux/amd64"}


class Company(msgspec.Struct):
    """Everybody there is; `people` are humans and contractors, `services` the accounts without a body."""

    people: tuple[Person, ...]
    services: dict[str, Person]

    def team(self, *names: str) -> list[Person]:
        """The people of some teams, in a fixed order."""
        return [person for person in self.people if person.team in names]

    def members(self, squad: str) -> list[Person]:
        """The people of a squad, in a fixed order."""
        return [person for person in self.people if person.squad == squad]


def company(users: int, days: int, rng: Random, start: date) -> Company:
    """A company of `users` humans, some of whom join, leave or lapse within the `days` from `start`.

    Raises:
        ValueError: when there are fewer than ten users: no teams could be made of them.
    """
    if users < SMALLEST:
        raise ValueError(f"a simulated company needs at least {SMALLEST} users, not {users}")
    names = _names(users, rng)
    teams = _teams(users)
    people = [_person(index, names[index], team, squad, rng) for index, (team, squad) in enumerate(teams)]
    people = _dated(_with_keys(_contracted(_managed(people), rng), rng), days, rng, start)
    return Company(tuple(people), {person.id: person for person in _services(users, people)})


def sso(email: str, account: str, permission_set: str) -> Access:
    """A permission set of IAM Identity Center, which names sessions after the person's e-mail."""
    suffix = stable_id(account, permission_set)
    role = f"AWSReservedSSO_{permission_set}_{suffix}"
    return Access(ACCOUNTS[account], role, email, "aws-reserved/sso.amazonaws.com/")


def device(os: str, rng: Random) -> Device:
    """A computer with this operating system and the versions its owner happens to have."""
    chrome = f"{rng.randint(128, 134)}.0.0.0"
    cli, minor = f"2.{rng.randint(15, 24)}.{rng.randint(0, 9)}", rng.randint(9, 12)
    return Device(
        os=os,
        browser="CHROME",
        browser_agent=f"Mozilla/5.0 ({_BROWSER_OS[os]}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{chrome} Safari/537.36",
        aws_agent=f"aws-cli/{cli} md/awscrt#0.19.19 ua/2.0 os/{_CLI_OS[os]} lang/python#3.{minor}.{rng.randint(1, 9)}",
        git_agent=f"git/2.{rng.randint(39, 48)}.{rng.randint(0, 3)}",
        kubectl_agent=f"kubectl/v1.{rng.randint(28, 32)}.{rng.randint(0, 9)} ({_GO_OS[os]}) "
        f"kubernetes/{rng.getrandbits(28):07x}",
        fingerprint=f"{rng.getrandbits(128):032x}",
    )


def new_laptop(person: Person, rng: Random) -> Device:
    """The computer a person is given when the old one is replaced: another system, other versions."""
    return device(rng.choice([os for os in _BROWSER_OS if os != person.device.os]), rng)


def squads(users: int) -> tuple[str, ...]:
    """The engineering squads of a company this large: about ten people in each."""
    return SQUADS[: max(2, min(len(SQUADS), round(users * _SHARES["engineering"] / 9)))]


def _names(count: int, rng: Random) -> list[str]:
    pairs = [(first, last) for last in LAST for first in FIRST]
    picked = rng.sample(pairs, min(count, len(pairs)))
    return [f"{first} {last}" for first, last in picked] + [
        f"{pairs[extra % len(pairs)][0]} {pairs[extra % len(pairs)][1]} {extra // len(pairs) + 2}"
        for extra in range(max(0, count - len(pairs)))
    ]


def _teams(users: int) -> list[tuple[str, str]]:
    # Every team has at least one person; engineering takes what is left.
    sizes = {team: max(1, round(users * share)) for team, share in _SHARES.items() if team != "engineering"}
    sizes["engineering"] = users - sum(sizes.values())
    available = squads(users)
    rows = [("engineering", available[i % len(available)]) for i in range(sizes.pop("engineering"))]
    return rows + [(team, team) for team, size in sizes.items() for _ in range(size)]


def _person(index: int, name: str, team: str, squad: str, rng: Random) -> Person:
    slug = name.lower().replace(" ", ".")
    email = f"{slug}@{DOMAIN}"
    city = rng.choices(HOMES, HOME_SHARES)[0]
    return Person(
        id=slug,
        name=name,
        kind="human",
        team=team,
        squad=squad,
        city=city,
        device=device(rng.choice(_OS), rng),
        index=index,
        title=TITLES[team],
        started=date(2021, 1, 4) + timedelta(days=rng.randrange(1500)),
        start_hour=_start_hour(rng),
        office_share=rng.choice((0.0, 0.4, 0.6, 0.9)) if city.name in OFFICES else 0.0,
        email=email,
        github=f"{slug.replace('.', '-')}-acorn" if team in GITHUB_TEAMS else "",
        slack=f"U0{key_id('', rng)[:9]}",
        kubernetes=email if team in KUBERNETES_TEAMS else "",
        accesses=tuple(sso(email, *row) for row in PERMISSION_SETS.get(team, ())),
    )


def _start_hour(rng: Random) -> float:
    night_owl = rng.random() < 0.05
    return rng.uniform(12.5, 14.5) if night_owl else min(11.0, max(8.2, rng.gauss(9.2, 0.7)))


def _managed(people: list[Person]) -> list[Person]:
    # The first of a squad manages it; managers answer to the first person of engineering.
    first = {person.squad: person.id for person in reversed(people)}
    managed = []
    for person in people:
        manager = first[person.squad]
        title = person.title if manager != person.id else f"{person.squad.title()} Lead"
        boss = manager if manager != person.id else people[0].id
        managed.append(msgspec.structs.replace(person, manager="" if boss == person.id else boss, title=title))
    return managed


def _contracted(people: list[Person], rng: Random) -> list[Person]:
    # Contractors are engineers and support agents who do not lead; about one in twelve, at least one.
    able = [p.index for p in people if p.team in ("engineering", "support") and not p.title.endswith("Lead")]
    chosen = set(rng.sample(able, max(1, len(people) // 12)))
    return [
        msgspec.structs.replace(p, kind="contractor", title=f"{p.title} (contract)") if p.index in chosen else p
        for p in people
    ]


def _with_keys(people: list[Person], rng: Random) -> list[Person]:
    # Some engineers still have an IAM user with a long-lived key from before single sign-on.
    able = [p.index for p in people if p.team in ("engineering", "sre", "data") and p.kind == "human"]
    chosen = set(rng.sample(able, max(2, len(able) // 10)))
    return [
        msgspec.structs.replace(p, iam_user=p.id, access_key=key_id("AKIA", rng)) if p.index in chosen else p
        for p in people
    ]


def _dated(people: list[Person], days: int, rng: Random, start: date) -> list[Person]:
    # Who joins, leaves, lapses: drawn without overlap, among those who do not lead.
    pool = [p.index for p in people if not p.title.endswith("Lead") and p.kind == "human" and not p.iam_user]
    rng.shuffle(pool)
    some = max(1, round(len(people) * days / 2400))
    joins, leaves, lapsed = set(pool[:some]), set(pool[some : 2 * some]), set(pool[2 * some : 2 * some + some])
    ending = set(rng.sample(c := [p.index for p in people if p.kind == "contractor"], max(1, len(c) // 3)))
    middle = max(1, days // 2)
    weekdays = [d for n in range(1, days) if (d := start + timedelta(days=n)).weekday() < 5] or [start]
    dated = []
    for person in people:
        changes: dict[str, date] = {}
        if person.index in joins and days > 2:
            changes["started"] = rng.choice(weekdays)
        elif person.index in leaves and days > 4:
            changes["ended"] = start + timedelta(days=rng.randint(2, days - 2))
        elif person.index in lapsed:
            changes["dormant_since"] = start - timedelta(days=rng.randint(70, 160))
        elif person.index in ending:
            changes["ended"] = start + timedelta(days=rng.randint(-20, middle) - 1)
        dated.append(msgspec.structs.replace(person, **changes))
    return dated


def _services(users: int, people: list[Person]) -> Iterator[Person]:
    owner = next(p.id for p in people if p.team == "sre")
    prod, data = ACCOUNTS["prod"], ACCOUNTS["data"]
    cluster = "system:serviceaccount:"
    rows: tuple[tuple[str, dict[str, object]], ...] = (
        ("ci", {"accesses": (Access(prod, "github-actions-deploy", "GitHubActions"),), "github": "acorn-ci[bot]",
                "kubernetes": f"{cluster}ci:deployer"}),
        ("terraform", {"accesses": (Access(prod, "terraform-apply", "terraform-run"),)}),
        ("backup", {"accesses": (Access(prod, "nightly-backup", "backup"),)}),
        ("reports", {"accesses": (Access(data, "nightly-reports", "airflow"),)}),
        ("watchtower", {"accesses": (Access(prod, "WatchtowerIntegration", "watchtower"),)}),
        ("dependabot", {"github": "dependabot[bot]"}),
        ("argocd", {"kubernetes": f"{cluster}argocd:argocd-application-controller"}),
        ("cert-manager", {"kubernetes": f"{cluster}cert-manager:cert-manager"}),
        ("autoscaler", {"kubernetes": f"{cluster}kube-system:cluster-autoscaler",
                        "accesses": (Access(prod, "cluster-autoscaler", "autoscaler"),)}),
        ("okta-system", {"email": "system@okta.com"}),
    )  # fmt: skip
    for number, (name, fields) in enumerate(rows):
        agents = _SERVICE_AGENTS.get(name, ("Go-http-client/2.0", "Go-http-client/2.0"))
        machine = Device("Linux", "UNKNOWN", agents[0], agents[0], "git/2.47.1", agents[1], stable_id(name) * 2)
        common = {"id": name, "name": name, "kind": "service", "team": "services", "squad": "", "city": RUNNERS.city}
        person = {**common, "device": machine, "index": users + number, "owner": owner, **fields}
        yield Person(**person)  # type: ignore[arg-type]


_SERVICE_AGENTS = {
    "ci": ("aws-sdk-js/3.577.0 os/linux lang/js md/nodejs#20.18.1", "kubectl/v1.31.2 (linux/amd64) kubernetes/5864a46"),
    "terraform": ("APN/1.0 HashiCorp/1.0 Terraform/1.9.8 terraform-provider-aws/5.76.0 aws-sdk-go-v2/1.32.5", ""),
    "backup": ("Boto3/1.35.68 md/Botocore#1.35.68 os/linux lang/python#3.12.7", ""),
    "reports": ("Boto3/1.34.131 md/Botocore#1.34.131 os/linux lang/python#3.11.9", ""),
    "watchtower": ("Watchtower-Crawler/4.2", ""),
    "argocd": ("", "argocd-application-controller/v2.13.1 (linux/amd64) kubernetes/$Format"),
    "cert-manager": ("", "cert-manager-certificates-trigger/v1.16.1 (linux/amd64) cert-manager/13b0c5c"),
    "autoscaler": ("aws-sdk-go/1.50.9", "cluster-autoscaler/v1.31.1 (linux/amd64) kubernetes/a7e2b9d"),
}
