"""The catalogue of attacks: one small function a kind, and a row that says what it is."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from streams.simulate import cloudtrail, github, kubernetes, okta
from streams.simulate.cloudtrail import GET_OBJECT, WHO_AM_I, Call, calls
from streams.simulate.company import squads
from streams.simulate.footholds import access_key_persistence, rogue_app
from streams.simulate.habits import repos
from streams.simulate.insiders import (
    cluster_backdoor,
    data_destruction,
    insider_low_and_slow,
    insider_within_permissions,
    new_role_chain,
    permission_creep,
    snapshot_sharing,
)
from streams.simulate.kubernetes import Object
from streams.simulate.life import pod
from streams.simulate.model import HOUR, MINUTE, SECOND, Difficulty, Person, Seat, SimEvent
from streams.simulate.places import HOSTING, address
from streams.simulate.plan import home
from streams.simulate.scene import Casting, Play, Scene, Stage, attackers_device
from streams.simulate.words import ACCOUNTS, AWS_APP, GITHUB_APP, SERVICES

Deeds = Iterator[SimEvent]
_RECON = calls("""
s3:ListBuckets iam:ListUsers iam:ListRoles iam:ListPolicies iam:GetAccountAuthorizationDetails iam:GetAccountSummary
ec2:DescribeInstances ec2:DescribeSecurityGroups ec2:DescribeVpcs ec2:DescribeSnapshots rds:DescribeDBInstances
secretsmanager:ListSecrets lambda:ListFunctions20150331 organizations:ListAccounts kms:ListKeys
cloudtrail:DescribeTrails guardduty:ListDetectors ses:GetSendQuota sts:GetSessionToken ssm:DescribeParameters
ecr:DescribeRepositories
""")


def password_spray(scene: Scene) -> Deeds:
    """One guess each at many accounts, until one opens; the quiet form is slow and comes from several networks."""
    people = [person for person in scene.stage.employed(scene.day) if person.id != scene.person.id]
    tried = scene.rng.sample(people, min(len(people), 14 if scene.hard else 40))
    networks = scene.rng.sample(HOSTING, 3 if scene.hard else 1)
    seats = [scene.seat(network, attackers_device(scene.rng)) for network in networks]
    moments = list(scene.times(len(tried) + 1, 300 if scene.hard else 12))
    for number, person in enumerate(tried):
        seat = msgspec.structs.replace(seats[number % len(seats)], person=person)
        yield okta.session(seat).event(moments[number], "user.session.start", [okta.user(person)], okta.WRONG_PASSWORD)
    yield from _break_in(scene, seats[0], moments[-1])


def mfa_fatigue(scene: Scene) -> Deeds:
    """Push after push at night until the person gives in; then a factor of the attacker's own."""
    session = okta.session(scene.away())
    count = 4 if scene.hard else scene.rng.randint(9, 20)
    moments = list(scene.times(count + 1, 240 if scene.hard else 45))
    yield session.event(scene.start - 5 * SECOND, "user.session.start", [okta.user(scene.person)])
    for moment in moments[:-1]:
        yield session.push(moment, scene.person, okta.REFUSED_PUSH)
    yield session.push(moments[-1], scene.person)
    yield session.event(moments[-1] + 2 * MINUTE, "user.mfa.factor.activate", [okta.user(scene.person)])
    for moment, app in zip(scene.times(3, 60, moments[-1] + 3 * MINUTE), _apps(scene.person), strict=False):
        yield session.sso(moment, scene.person, app)


def stolen_credentials(scene: Scene) -> Deeds:
    """A full sign-in from another country while the person works at home; quiet: in a copy of their browser."""
    seat = scene.away()
    if scene.hard:
        seat = msgspec.structs.replace(seat, device=scene.usual().device)
    yield from _break_in(scene, seat, scene.start)
    if scene.person.accesses:
        yield from _browse(scene, seat, scene.start + 3 * MINUTE, 4 if scene.hard else 15)


def stolen_session(scene: Scene) -> Deeds:
    """A session cookie replayed elsewhere: no sign-in, the person's own session id, their own sort of work."""
    own = scene.usual()
    network = scene.abroad()
    device = own.device if scene.hard else attackers_device(scene.rng)
    seat = msgspec.structs.replace(own, network=network, address=address(network, scene.person.index), device=device)
    session = okta.session(seat)
    for moment, app in zip(scene.times(3, 90), _apps(scene.person), strict=False):
        yield session.sso(moment, scene.person, app)
    if scene.person.accesses:
        yield from _browse(scene, seat, scene.start + 5 * MINUTE, 8 if scene.hard else 25)


def leaked_access_key(scene: Scene) -> Deeds:
    """Somebody else's hands on an IAM user's key: who am I, what is here; mostly refused."""
    session = cloudtrail.key_session(scene.away(), ACCOUNTS["prod"])
    yield session.call(scene.start, WHO_AM_I)
    count = 10 if scene.hard else scene.rng.randint(35, 70)
    for moment in scene.times(count, 90 if scene.hard else 4, scene.start + 20 * SECOND):
        error = "" if scene.rng.random() < (0.6 if scene.hard else 0.25) else "AccessDenied"
        yield session.call(moment, scene.rng.choice(_RECON), "", error)


def privilege_escalation(scene: Scene) -> Deeds:
    """An engineer gives a forgotten user great rights and takes a key for it; the quiet form stops short of admin."""
    session = scene.aws(scene.usual())
    user = f"legacy-{scene.rng.choice(('deploy', 'reports', 'metrics'))}"
    policy = "AmazonS3FullAccess" if scene.hard else "AdministratorAccess"
    loud = "iam:ListUsers iam:ListAttachedUserPolicies:user iam:AttachUserPolicy:grant iam:CreateLoginProfile:login"
    deeds = calls("iam:AttachUserPolicy:grant" if scene.hard else loud)
    for moment, call in zip(scene.times(len(deeds), 40), deeds, strict=True):
        yield session.call(moment, call, {"": "", "grant": f"{user}={policy}"}.get(call.about, user))
    yield session.created_key(scene.start + 6 * MINUTE, user)


def logging_disabled(scene: Scene) -> Deeds:
    """The trail is stopped and deleted, the watchers with it; in the quiet form it only records less from now on."""
    session = scene.aws(scene.usual())
    quiet = (
        (Call("cloudtrail", "GetEventSelectors", "trail"), "organisation-trail"),
        (Call("cloudtrail", "PutEventSelectors", "selectors"), "organisation-trail=ReadOnly"),
    )
    loud = (
        (Call("cloudtrail", "DescribeTrails"), ""),
        (Call("cloudtrail", "StopLogging", "trail"), "organisation-trail"),
        (Call("cloudtrail", "DeleteTrail", "trail"), "organisation-trail"),
        (Call("guardduty", "DeleteDetector", "detector"), "12abc34d567e8fa901bc2d34eexample"),
        (Call("config", "StopConfigurationRecorder"), ""),
    )
    deeds = quiet if scene.hard else loud
    for moment, (call, thing) in zip(scene.times(len(deeds), 60), deeds, strict=True):
        yield session.call(moment, call, thing)


def mass_download(scene: Scene) -> Deeds:
    """Hundreds of objects out of other squads' buckets in a quarter of an hour."""
    session = scene.aws(scene.usual())
    squad = _other_squad(scene)
    yield session.call(scene.start, Call("s3", "ListBuckets"))
    for number, moment in enumerate(scene.times(70 if scene.hard else 260, 6 if scene.hard else 2.5)):
        yield session.call(moment + 9 * SECOND, GET_OBJECT, f"acorn-{squad}-exports/customers/{number:05d}.parquet")


def repo_exfiltration(scene: Scene) -> Deeds:
    """Clones of nearly every repository of the company, one after the other."""
    session = github.session(scene.usual())
    every = [repo for squad in squads(len(scene.stage.company.people)) for repo in repos(squad)[:6]]
    taken = scene.rng.sample(every, min(len(every), 12 if scene.hard else 45))
    for moment, repo in zip(scene.times(len(taken), 80 if scene.hard else 8), taken, strict=True):
        yield session.event(moment, "git.clone", repo)


def secrets_exfiltration(scene: Scene) -> Deeds:
    """Secrets of the cluster listed and read, then a shell in a pod."""
    session = kubernetes.session(scene.inside())
    places = (*squads(len(scene.stage.company.people)), "kube-system", "ingress")
    for moment, namespace in zip(scene.times(len(places), 8), places, strict=True):
        yield session.request(moment, "list", Object("secrets", namespace), 403 if scene.rng.random() < 0.3 else 0)
    for number, moment in enumerate(scene.times(4 if scene.hard else 10, 15, scene.start + 3 * MINUTE)):
        about = Object("secrets", places[number % len(places)], scene.rng.choice(SERVICES) + "-credentials")
        yield session.request(moment, "get", about)
    victim = Object("pods", places[0], pod(places[0], "api", 0), "exec")
    yield session.request(scene.start + 8 * MINUTE, "create", victim)


def github_takeover(scene: Scene) -> Deeds:
    """Protection off, deploy key and token in, the repository public, from abroad; quiet: key and token from home."""
    session = github.session(scene.home() if scene.hard else scene.away())
    repo = f"{scene.person.squad}-infra"
    deeds: tuple[tuple[str, dict[str, str]], ...] = (
        ("protected_branch.destroy", {"name": "main"}),
        ("repository_secret_scanning_push_protection.disable", {}),
        ("public_key.create", {"title": "backup", "read_only": "false"}),
        ("personal_access_token.access_granted", {"programmatic_access_type": "Fine-grained personal access token"}),
        ("git.clone", {}),
        ("repo.access", {"visibility": "public", "previous_visibility": "private"}),
    )
    deeds = deeds[2:5] if scene.hard else deeds
    for moment, (action, more) in zip(scene.times(len(deeds), 50), deeds, strict=True):
        yield session.event(moment, action, repo, **more)


def service_key_used_by_person(scene: Scene) -> Deeds:
    """A service account's keys in the hands of an engineer at home: a machine that looks around like a human."""
    human = scene.rng.choice(scene.stage.employed(scene.day, "engineering"))
    network, number = home(human, scene.day)
    seat = Seat(scene.person, network, address(network, number), human.device, scene.rng, scene.person.id)
    session = cloudtrail.session(seat, scene.person.accesses[0], scene.start - HOUR)
    for moment in scene.times(9 if scene.hard else 20, 45):
        call = scene.rng.choice(_RECON)
        yield session.call(moment, call, "", "AccessDenied" if scene.rng.random() < 0.2 else "")
    for number, moment in enumerate(scene.times(5, 30, scene.start + 20 * MINUTE)):
        yield session.call(moment, GET_OBJECT, f"acorn-{human.squad}-exports/orders/{number:04d}.csv")


def dormant_account(scene: Scene) -> Deeds:
    """An account nobody has used for months signs in from a hosting provider."""
    seat = scene.away()
    yield from _break_in(scene, seat, scene.start)
    if scene.person.accesses:
        yield from _browse(scene, seat, scene.start + 4 * MINUTE, 6 if scene.hard else 15)


def contractor_after_end(scene: Scene) -> Deeds:
    """A contractor whose contract is over still signs in from home and takes code along."""
    seat = scene.usual()
    session = okta.session(seat)
    yield from session.login(scene.start, scene.person)
    yield session.sso(scene.start + MINUTE, scene.person, _apps(scene.person)[0])
    if scene.person.github:
        git = github.session(seat)
        taken = repos(scene.person.squad)[: 2 if scene.hard else 6]
        for moment, repo in zip(scene.times(len(taken), 60, scene.start + 3 * MINUTE), taken, strict=True):
            yield git.event(moment, "git.clone", repo)
    else:
        for moment in scene.times(6, 120, scene.start + 3 * MINUTE):
            yield session.sso(moment, scene.person, scene.rng.choice(("Salesforce", "Zendesk")))


class Kind(msgspec.Struct, frozen=True):
    """A sort of attack. Its campaigns take its difficulties in turn; which comes first is the seed's choice."""

    name: str
    technique: str
    difficulties: tuple[Difficulty, ...]
    play: Play
    casting: Casting

    @property
    def description(self) -> str:
        """The first line of the story's docstring."""
        return (self.play.__doc__ or self.name).partition("\n")[0]


def _break_in(scene: Scene, seat: Seat, time: int) -> Deeds:
    session = okta.session(msgspec.structs.replace(seat, person=scene.person))
    session.new_country = session.new_device = True
    yield from session.login(time, scene.person)[:2]
    for moment, app in zip(scene.times(3, 40, time + 20 * SECOND), _apps(scene.person), strict=False):
        yield session.sso(moment, scene.person, app)


def _browse(scene: Scene, seat: Seat, time: int, count: int) -> Deeds:
    session = scene.aws(seat)
    for number, moment in enumerate(scene.times(count, 20, time)):
        if number % 3 == 2:
            yield session.call(moment, GET_OBJECT, f"acorn-{scene.person.squad}-exports/2025/{number:04d}.json.gz")
        else:
            yield session.call(moment, _RECON[number % len(_RECON)], "", "AccessDenied" if number % 4 == 1 else "")


def _apps(person: Person) -> list[str]:
    own = [AWS_APP] if person.accesses else []
    return [*own, *([GITHUB_APP] if person.github else []), "Google Workspace", "Confluence"]


def _other_squad(scene: Scene) -> str:
    return scene.rng.choice([s for s in squads(len(scene.stage.company.people)) if s != scene.person.squad])


def _anybody(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day)


def _engineers(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "engineering")


def _operators(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "sre", "security")


def _aws_users(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "engineering", "data", "sre")


def _key_holders(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.employed(day) if person.access_key]


def _machines(stage: Stage, day: int) -> list[Person]:
    return [stage.company.services[name] for name in ("ci", "terraform", "reports", "backup")]


def _lapsed(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.company.people if person.dormant_since is not None]


def _ended(stage: Stage, day: int) -> list[Person]:
    today = stage.plan.date(day)
    return [p for p in stage.company.people if p.kind == "contractor" and p.ended is not None and p.ended < today]


CATALOGUE: tuple[Kind, ...] = (
    Kind("password_spray", "T1110.003", ("easy", "hard"), password_spray, Casting(_anybody, "ever")),
    Kind("mfa_fatigue", "T1621", ("medium", "hard"), mfa_fatigue, Casting(_anybody, "night")),
    Kind("stolen_credentials", "T1078.004", ("easy", "hard"), stolen_credentials, Casting(_anybody)),
    Kind("stolen_session", "T1550.004", ("medium", "hard"), stolen_session, Casting(_aws_users)),
    Kind("leaked_access_key", "T1552.001", ("easy", "hard"), leaked_access_key, Casting(_key_holders, "ever")),
    Kind("access_key_persistence", "T1098.001", ("medium", "hard"), access_key_persistence, Casting(_key_holders)),
    Kind("rogue_app", "T1528", ("medium", "hard"), rogue_app, Casting(_engineers)),
    Kind("privilege_escalation", "T1098.003", ("easy", "hard"), privilege_escalation, Casting(_aws_users)),
    Kind("permission_creep", "T1098.003", ("medium", "hard"), permission_creep, Casting(_aws_users, takes=5)),
    Kind("new_role_chain", "T1548.005", ("medium", "hard"), new_role_chain, Casting(_aws_users)),
    Kind("logging_disabled", "T1562.008", ("easy", "hard"), logging_disabled, Casting(_operators)),
    Kind("data_destruction", "T1485", ("easy",), data_destruction, Casting(_operators)),
    Kind("mass_download", "T1530", ("medium", "hard"), mass_download, Casting(_aws_users)),
    Kind("snapshot_sharing", "T1537", ("medium", "hard"), snapshot_sharing, Casting(_aws_users)),
    Kind("repo_exfiltration", "T1213.003", ("medium", "hard"), repo_exfiltration, Casting(_engineers)),
    Kind("secrets_exfiltration", "T1552.007", ("medium", "hard"), secrets_exfiltration, Casting(_engineers)),
    Kind("cluster_backdoor", "T1098.006", ("medium", "hard"), cluster_backdoor, Casting(_engineers)),
    Kind("github_takeover", "T1098", ("easy", "hard"), github_takeover, Casting(_engineers, "night")),
    Kind("service_key_used_by_person", "T1552.004", ("medium", "hard"), service_key_used_by_person,
         Casting(_machines, "ever")),
    Kind("dormant_account", "T1078", ("medium", "hard"), dormant_account, Casting(_lapsed, "ever")),
    Kind("contractor_after_end", "T1133", ("medium", "hard"), contractor_after_end, Casting(_ended, "ever")),
    Kind("insider_within_permissions", "T1213", ("medium", "hard"), insider_within_permissions, Casting(_aws_users)),
    Kind("insider_low_and_slow", "T1530", ("medium", "hard"), insider_low_and_slow, Casting(_aws_users, takes=5)),
)  # fmt: skip
