"""Attacks by people who belong: little that is forbidden, much that is new, often over days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.simulate import cloudtrail, github, kubernetes, okta
from streams.simulate.cloudtrail import GET_OBJECT, WHO_AM_I, Call, calls
from streams.simulate.company import squads
from streams.simulate.habits import repos, things
from streams.simulate.kubernetes import Object
from streams.simulate.model import MINUTE, Access, Person, SimEvent
from streams.simulate.plan import Today
from streams.simulate.scene import Scene
from streams.simulate.words import ACCOUNTS, COMPANY

Deeds = Iterator[SimEvent]
CHAINED_ROLES = ("acorn-billing-export", "acorn-data-pipeline", "acorn-vendor-sync")
_POLICIES = ("AmazonS3ReadOnlyAccess", "AmazonSQSFullAccess", "SecretsManagerReadWrite", "AmazonRDSFullAccess")
_ELSEWHERE = calls("s3:ListBuckets secretsmanager:ListSecrets dynamodb:ListTables rds:DescribeDBSnapshots kms:ListKeys")
STRANGE_ACCOUNT = "555566667777"


def insider_low_and_slow(scene: Scene) -> Deeds:
    """A little more than the work needs, every day, within the person's permissions and hours."""
    objects = things(scene.person.squad)["object"]
    fewest, most = (14, 24) if scene.hard else (35, 60)
    for start, today in scene.workdays(10):
        session = _aws(scene, today)
        for moment in scene.times(scene.rng.randint(fewest, most), 40, start):
            yield session.call(moment, GET_OBJECT, scene.rng.choice(objects).replace("assets", "exports"))


def insider_within_permissions(scene: Scene) -> Deeds:
    """Everything the role permits and the work never needed: the squad's objects, secrets and code in an afternoon."""
    squad, session = scene.person.squad, scene.aws(scene.usual())
    owned = things(squad)
    taken = scene.rng.sample(owned["object"], 24 if scene.hard else 60)
    for moment, thing in zip(scene.times(len(taken), 150 if scene.hard else 25), taken, strict=True):
        yield session.call(moment, GET_OBJECT, thing)
    secrets = owned["secret"][: 1 if scene.hard else 2]
    for moment, secret in zip(scene.times(2, 60, scene.start + 20 * MINUTE), secrets, strict=False):
        yield session.call(moment, Call("secretsmanager", "GetSecretValue", "secret"), secret)
    git = github.session(scene.usual())
    cloned = repos(squad)[: 3 if scene.hard else 7]
    for moment, repo in zip(scene.times(len(cloned), 90, scene.start + 30 * MINUTE), cloned, strict=True):
        yield git.event(moment, "git.clone", repo)


def permission_creep(scene: Scene) -> Deeds:
    """Rights gained bit by bit over days, without a ticket; the quiet form lets colleagues grant and uses each once."""
    if not scene.hard:
        for number, (moment, today) in enumerate(scene.workdays(7)):
            yield from _one_more_policy(scene, moment, today, number)
        return
    steps = (_one_more_group, _one_more_team, _one_more_account)
    for step, (moment, today) in zip(steps, [*scene.workdays(9)][::2], strict=False):
        yield from step(scene, moment, today)


def _one_more_policy(scene: Scene, time: int, today: Today, number: int) -> Deeds:
    session = _aws(scene, today)
    role = f"acorn-{scene.person.squad}-tools-role"
    yield session.call(time, Call("iam", "ListAttachedRolePolicies", "role"), role)
    policy = _POLICIES[number % len(_POLICIES)]
    yield session.call(time + MINUTE, Call("iam", "AttachRolePolicy", "role_grant"), f"{role}={policy}")


def _one_more_group(scene: Scene, time: int, today: Today) -> Deeds:
    helper = okta.session(scene.seat_of(_colleague(scene, time, "it-helpdesk"), time))
    targets = [okta.user(scene.person), okta.group(f"aws-{_other_squad(scene)}-readers")]
    yield helper.event(time, "group.user_membership.add", targets, uri="/api/v1/groups")
    yield okta.session(today.seat).sso(time + 40 * MINUTE, scene.person, "Back Office")


def _one_more_team(scene: Scene, time: int, today: Today) -> Deeds:
    other = _other_squad(scene)
    lead = scene.stage.company.members(other)[0]
    granting = github.session(scene.seat_of(lead, time))
    yield granting.event(time, "team.add_member", team=f"{COMPANY}/{other}", user=scene.person.github)
    yield github.session(today.seat).event(time + 25 * MINUTE, "git.clone", f"{other}-infra")


def _one_more_account(scene: Scene, time: int, today: Today) -> Deeds:
    operator, usual = _colleague(scene, time, "sre"), scene.person.accesses[0]
    granting = cloudtrail.session(scene.seat_of(operator, time), operator.accesses[0], time)
    assignment = f"{ACCOUNTS['data']}={okta.user(scene.person)['id']}"
    yield granting.call(time, Call("sso", "CreateAccountAssignment", "assignment"), assignment)
    granted = Access(ACCOUNTS["data"], usual.role, usual.session, usual.path)
    session = cloudtrail.session(today.seat, granted, time)
    yield session.call(time + 30 * MINUTE, Call("athena", "StartQueryExecution", "query"), "primary")


def new_role_chain(scene: Scene) -> Deeds:
    """A role assumed through another, which this person never did, and used where their own role does not reach."""
    role = scene.rng.choice(CHAINED_ROLES)
    name = scene.person.email if scene.hard else f"botocore-session-{scene.start // 1_000_000}"
    first = scene.aws(scene.usual())
    assumed, session = first.assume(scene.start, Access(ACCOUNTS["data"], role, name))
    yield assumed
    if not scene.hard:
        yield session.call(scene.start + MINUTE, WHO_AM_I)
        for moment, call in zip(scene.times(len(_ELSEWHERE), 20, scene.start + 2 * MINUTE), _ELSEWHERE, strict=True):
            yield session.call(moment, call, "", "AccessDenied" if scene.rng.random() < 0.2 else "")
    squad = _other_squad(scene)
    for number, moment in enumerate(scene.times(10 if scene.hard else 40, 30, scene.start + 6 * MINUTE)):
        yield session.call(moment, GET_OBJECT, f"acorn-{squad}-exports/invoices/{number:04d}.csv")


def snapshot_sharing(scene: Scene) -> Deeds:
    """Snapshots opened to a stranger's account, who copies them at leisure; nothing is downloaded."""
    session, squad = scene.aws(scene.usual()), _other_squad(scene)
    snapshots = [f"snap-0{scene.rng.getrandbits(64):016x}" for _ in range(1 if scene.hard else 3)]
    if not scene.hard:
        yield session.call(scene.start, Call("rds", "DescribeDBSnapshots"))
        volume = things(squad)["volume"][0]
        yield session.call(scene.start + MINUTE, Call("ec2", "CreateSnapshot", "disk"), volume)
    for moment, snapshot in zip(scene.times(len(snapshots), 60, scene.start + 3 * MINUTE), snapshots, strict=True):
        yield session.call(moment, Call("ec2", "ModifySnapshotAttribute", "share"), f"{snapshot}={STRANGE_ACCOUNT}")


def data_destruction(scene: Scene) -> Deeds:
    """Databases, their snapshots and buckets deleted one after the other."""
    session, squad = scene.aws(scene.usual()), scene.rng.choice(squads(len(scene.stage.company.people)))
    owned = things(squad)
    deeds = [(Call("rds", "DeleteDBSnapshot", "snapshot"), f"{name}-nightly") for name in owned["database"]]
    deeds += [(Call("rds", "DeleteDBInstance", "database"), name) for name in owned["database"]]
    deeds += [(Call("s3", "DeleteBucket", "bucket"), name) for name in owned["bucket"]]
    deeds += [(Call("logs", "DeleteLogGroup", "log"), name) for name in owned["log"]]
    for moment, (call, thing) in zip(scene.times(len(deeds), 25), deeds, strict=True):
        yield session.call(moment, call, thing)


def cluster_backdoor(scene: Scene) -> Deeds:
    """A service account of one's own in the cluster, bound to a strong role, and a token that outlives the job."""
    session = kubernetes.session(scene.inside())
    space = _other_squad(scene) if scene.hard else "kube-system"
    role, kind = ("edit", "rolebindings") if scene.hard else ("cluster-admin", "clusterrolebindings")
    name = scene.rng.choice(("metrics-helper", "log-shipper", "node-check"))
    account = Object("serviceaccounts", space, name)
    binding = Object(kind, space if scene.hard else "", name)
    yield session.request(scene.start, "create", account)
    yield session.request(scene.start + MINUTE, "create", binding, body=_bound(role, space, name))
    yield session.request(scene.start + 3 * MINUTE, "create", Object("serviceaccounts", space, name, "token"))
    if not scene.hard:
        yield session.request(scene.start + 5 * MINUTE, "list", Object("secrets", space))


def _bound(role: str, namespace: str, name: str) -> dict[str, Any]:
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}


def _aws(scene: Scene, today: Today) -> cloudtrail.Session:
    return cloudtrail.session(today.seat, scene.person.accesses[0], today.shift.start)


def _colleague(scene: Scene, time: int, team: str) -> Person:
    """Somebody of a team, of those at work at a moment where there are any."""
    people = [person for person in scene.stage.company.team(team) if person.id != scene.person.id]
    return scene.rng.choice([person for person in people if scene.stage.at_work(person, time)] or people)


def _other_squad(scene: Scene) -> str:
    return scene.rng.choice([s for s in squads(len(scene.stage.company.people)) if s != scene.person.squad])
