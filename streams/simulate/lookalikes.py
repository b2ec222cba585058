"""Benign things that look odd, with the paper that explains them: one small function a kind."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from streams.simulate import cloudtrail, github, kubernetes, okta
from streams.simulate.cloudtrail import WHO_AM_I, Call, calls
from streams.simulate.habits import things
from streams.simulate.kubernetes import Object
from streams.simulate.life import pod
from streams.simulate.model import HOUR, MINUTE, SECOND, Access, Person, SimEvent, key_id
from streams.simulate.places import PENTEST
from streams.simulate.scene import Casting, Play, Scene, Stage, attackers_device
from streams.simulate.words import ACCOUNTS, SERVICES

Deeds = Iterator[SimEvent]
_CHANGES = (
    (Call("iam", "AttachRolePolicy", "role_grant"), "acorn-{squad}-api-role=AmazonSQSFullAccess"),
    (Call("ec2", "AuthorizeSecurityGroupIngress", "ingress"), "sg-0{squad}=10.20.0.0/16"),
    (Call("iam", "GetRole", "role"), "acorn-{squad}-api-role"),
    (Call("rds", "ModifyDBInstance", "database"), "acorn-{squad}-primary"),
)
_GROUPS = ("readers", "reports", "wiki-editors", "on-call", "survey")
_PROBES = calls("""
iam:ListUsers iam:ListRoles s3:ListBuckets ec2:DescribeInstances secretsmanager:ListSecrets lambda:ListFunctions20150331
iam:GetAccountAuthorizationDetails kms:ListKeys organizations:ListAccounts
""")


def oncall_night(scene: Scene) -> Deeds:
    """The pager rings: the person on call signs in at night and repairs something, with an incident ticket."""
    person = scene.person
    _ticket(scene, "incident", 2 * HOUR, system="k8s", resource="payments")
    seat = scene.home()
    yield from okta.session(seat).login(scene.start + 2 * MINUTE, person)
    session = kubernetes.session(seat)
    verbs = ("list", "get", "get", "list", "get", "patch")
    for number, moment in enumerate(scene.times(14, 45, scene.start + 4 * MINUTE)):
        verb = verbs[number % len(verbs)]
        name = "" if verb == "list" else SERVICES[number % len(SERVICES)]
        yield session.request(moment, verb, Object("deployments", "payments", name))
    about = Object("pods", "payments", pod("payments", "api", 1), "exec")
    yield session.request(scene.start + 20 * MINUTE, "create", about)


def planned_change(scene: Scene) -> Deeds:
    """Permissions and networks changed within the window of an approved change."""
    _ticket(scene, "change", 2 * HOUR, system="aws", resource="acorn-platform-*")
    session = scene.aws(scene.usual())
    for moment, (call, thing) in zip(scene.times(len(_CHANGES), 120), _CHANGES, strict=True):
        yield session.call(moment, call, thing.format(squad="platform"))


def role_chain(scene: Scene) -> Deeds:
    """Whoever is on call assumes the restore role through their own, for the first time, on an incident ticket."""
    access = Access(ACCOUNTS["data"], "acorn-restore", scene.person.email)
    _ticket(scene, "incident", 2 * HOUR, system="aws", resource=access.role)
    scene.stage.paper.accesses.setdefault(scene.person.id, []).append(access)
    assumed, session = scene.aws(scene.usual()).assume(scene.start, access)
    yield assumed
    for moment in scene.times(8, 60, scene.start + MINUTE):
        yield session.call(moment, Call("rds", "DescribeDBSnapshots"))
    yield session.call(scene.start + 20 * MINUTE, Call("s3", "GetObject", "object"), "acorn-backups/payments/0.tar.gz")


def key_rotation(scene: Scene) -> Deeds:
    """The old second key of an IAM user is deleted and a new one made and tried, on a change ticket."""
    user = scene.person.iam_user
    _ticket(scene, "change", HOUR, system="aws", resource=user)
    session = cloudtrail.key_session(scene.usual(), ACCOUNTS["prod"])
    yield session.call(scene.start, Call("iam", "ListAccessKeys", "user"), user)
    old = key_id("AKIA", scene.rng)
    yield session.call(scene.start + 40 * SECOND, Call("iam", "DeleteAccessKey", "old_key"), f"{user}={old}")
    made = session.created_key(scene.start + 2 * MINUTE, user)
    yield made
    key = made.record["responseElements"]["accessKey"]["accessKeyId"]
    yield cloudtrail.key_session(scene.usual(), ACCOUNTS["prod"], key).call(scene.start + 5 * MINUTE, WHO_AM_I)


def approved_app(scene: Scene) -> Deeds:
    """A squad's lead installs an app that was asked for and approved, for a few repositories."""
    squad = scene.person.squad
    _ticket(scene, "access", HOUR, system="github", resource=f"{squad}-*")
    session = github.session(scene.usual())
    more = {"name": "linear-sync", "integration": "linear-sync", "repository_selection": "selected", "version": "2.1"}
    yield session.event(scene.start, "integration_installation.create", **more)
    yield session.event(scene.start + MINUTE, "integration_installation.repositories_added", f"{squad}-api", **more)


def access_request(scene: Scene) -> Deeds:
    """The helpdesk puts somebody into groups over some days, each time on an approved request of theirs."""
    asking = scene.rng.choice([p for p in scene.stage.employed(scene.day) if p.id != scene.person.id])
    squad = asking.squad or asking.team
    approver = _helpdesk_approver(scene, asking.id)
    for moment, today in [*scene.workdays(6)][::2]:
        group = f"{squad}-{scene.rng.choice(_GROUPS)}"
        scene.stage.paper.ticket(
            "access", asking.id, approver, (moment - HOUR, moment + 2 * HOUR),
            subject=asking.id, system="okta", resource=group,
        )  # fmt: skip
        targets = [okta.user(asking), okta.group(group)]
        yield okta.session(today.seat).event(moment, "group.user_membership.add", targets, uri="/api/v1/groups")


def migration(scene: Scene) -> Deeds:
    """A bucket copied to another, object by object, under a change ticket."""
    squad = scene.person.squad
    _ticket(scene, "change", 3 * HOUR, system="aws", resource=f"acorn-{squad}-*")
    session = scene.aws(scene.usual())
    for number, moment in enumerate(scene.times(scene.rng.randint(60, 120), 5)):
        key = f"exports/{number:05d}.json.gz"
        yield session.call(moment, Call("s3", "GetObject", "object"), f"acorn-{squad}-assets/{key}")
        yield session.call(moment + SECOND, Call("s3", "PutObject", "object"), f"acorn-{squad}-exports/{key}")


def pentest(scene: Scene) -> Deeds:
    """An announced test: recon and refusals from the testers' declared range."""
    person, window = scene.person, (scene.start - HOUR, scene.start + 8 * HOUR)
    ticket = _ticket(scene, "pentest", 8 * HOUR, system="aws", resource="prod")
    scene.stage.paper.pentest(ticket, person, PENTEST.cidr, window)
    session = scene.aws(scene.seat(PENTEST, attackers_device(scene.rng)))
    for moment in scene.times(40, 30):
        error = "AccessDenied" if scene.rng.random() < 0.6 else ""
        yield session.call(moment, scene.rng.choice(_PROBES), "", error)


def temporary_grant(scene: Scene) -> Deeds:
    """An engineer is made administrator of production for four hours, and is one."""
    window = (scene.start - 10 * MINUTE, scene.start + 4 * HOUR)
    ticket = _ticket(scene, "access", 4 * HOUR, system="aws", resource="aws-administrator-prod")
    access = scene.stage.paper.administrator(scene.person, scene.stage.lead("sre"), window, ticket)
    session = scene.aws(scene.usual(), access)
    squad = scene.person.squad
    owned = things(squad)
    for number, moment in enumerate(scene.times(12, 90)):
        call = (Call("rds", "ModifyDBInstance", "database"), Call("ec2", "DescribeInstances", "instance"))[number % 2]
        yield session.call(moment, call, owned[call.about][0])


def helpdesk_reset(scene: Scene) -> Deeds:
    """The helpdesk resets somebody's factors and password, on that person's ticket."""
    session = okta.session(scene.usual())
    locked = scene.rng.choice([p for p in scene.stage.employed(scene.day) if p.id != scene.person.id])
    scene.stage.paper.ticket(
        "helpdesk", locked.id, _helpdesk_approver(scene, locked.id), (scene.start, scene.start + 2 * HOUR),
        subject=locked.id, system="okta", resource=locked.email,
    )  # fmt: skip
    for moment, type_ in zip(
        scene.times(2, 50), ("user.mfa.factor.reset_all", "user.account.reset_password"), strict=True
    ):
        yield session.event(moment, type_, [okta.user(locked)], uri="/api/v1/users/lifecycle/reset_factors")


def benign_denials(scene: Scene) -> Deeds:
    """Somebody new to a bucket is refused a few times before asking for access."""
    session = scene.aws(scene.usual())
    for moment in scene.times(scene.rng.randint(4, 8), 25):
        yield session.call(moment, Call("s3", "GetObject", "object"), "acorn-data-exports/weekly.csv", "AccessDenied")


def forgotten_password(scene: Scene) -> Deeds:
    """One to three wrong passwords, then the right one, from where the person always is."""
    session = okta.session(scene.usual())
    count = scene.rng.randint(1, 3)
    for moment in scene.times(count, 15):
        yield session.event(moment, "user.session.start", [okta.user(scene.person)], okta.WRONG_PASSWORD)
    yield from session.login(scene.start + 3 * MINUTE, scene.person)


class Kind(msgspec.Struct, frozen=True):
    """A sort of look-alike and how often it comes: times a month for a hundred people."""

    name: str
    monthly: float
    play: Play
    casting: Casting


def _ticket(scene: Scene, type_: str, length: int, **more: str) -> str:
    window = (scene.start - 15 * MINUTE, scene.start + length)
    approver = next(p.id for p in scene.stage.company.people if p.id != scene.person.id and p.title.endswith("Lead"))
    return scene.stage.paper.ticket(type_, scene.person.id, approver, window, subject=scene.person.id, **more)


def _helpdesk_approver(scene: Scene, asking: str) -> str:
    """The helpdesk's lead, or another one where the lead asks or serves."""
    lead = scene.stage.lead("it-helpdesk")
    return lead if lead not in (asking, scene.person.id) else scene.stage.lead("sre")


def _oncall(stage: Stage, day: int) -> list[Person]:
    return [stage.on_call(day)]


def _key_holders(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.employed(day) if person.iam_user]


def _leads(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.employed(day, "engineering", "sre") if person.title.endswith("Lead")]


def _operators(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "sre")


def _engineers(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "engineering")


def _testers(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "security")


def _helpdesk(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "it-helpdesk")


def _anybody(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day)


CATALOGUE: tuple[Kind, ...] = (
    Kind("oncall_night", 4, oncall_night, Casting(_oncall, "night")),
    Kind("planned_change", 6, planned_change, Casting(_operators)),
    Kind("role_chain", 1, role_chain, Casting(_oncall)),
    Kind("key_rotation", 1, key_rotation, Casting(_key_holders)),
    Kind("approved_app", 0.7, approved_app, Casting(_leads)),
    Kind("access_request", 3, access_request, Casting(_helpdesk, takes=5)),
    Kind("migration", 2, migration, Casting(_engineers)),
    Kind("pentest", 0.5, pentest, Casting(_testers)),
    Kind("temporary_grant", 3, temporary_grant, Casting(_engineers)),
    Kind("helpdesk_reset", 10, helpdesk_reset, Casting(_helpdesk)),
    Kind("benign_denials", 4, benign_denials, Casting(_engineers)),
    Kind("forgotten_password", 14, forgotten_password, Casting(_anybody)),
)
