"""People who go round a decision: an ended grant, a refused ticket, rights nobody declared or given to oneself, duties
that are to be kept apart.

Opt-in, and drawn from a generator of their own: the organisation is the same without them. Computers, networks and
hours are the person's own, so that nothing but who was allowed what can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from audit.event import rfc3339
from streams.simulate import cloudtrail, github, kubernetes, okta
from streams.simulate.attacks import Kind
from streams.simulate.cloudtrail import GET_OBJECT, Call
from streams.simulate.company import squads
from streams.simulate.habits import things
from streams.simulate.kubernetes import Object
from streams.simulate.life import pod
from streams.simulate.model import DAY, HOUR, MINUTE, Person, Seat, SimEvent
from streams.simulate.scene import Casting, Scene, Stage
from streams.simulate.stories import Told, labelled
from streams.simulate.words import ACCOUNTS, COMPANY

Deeds = Iterator[SimEvent]
PER_HUNDRED = 1
"""How often each story is played for a hundred people; at least once."""
_ENTRY, _RELEASE = "payment-entry", "payment-release"
"""Two duties that are kept apart."""
_RUN = "acorn-payments-exports/runs/today.csv"
_PUT_OBJECT = Call("s3", "PutObject", "object")
_ATTACH = Call("iam", "AttachRolePolicy", "role_grant")


def add(stage: Stage, told: Told, attack_after: int) -> None:
    """Plays every story on the days from `attack_after` on, rather with people no attack is played with."""
    rng = Random(f"{stage.plan.seed}/bypasses")  # noqa: S311
    rounds = max(1, round(len(stage.company.people) * PER_HUNDRED / 100))
    used = {attack.principal for attack in told.attacks}
    for turn, story in enumerate([*CATALOGUE] * rounds):
        scene = story.casting.cast(stage, (attack_after, stage.plan.days), rng, used)
        if scene is None:
            continue
        scene.rng = Random(f"{stage.plan.seed}/bypass/{turn}")  # noqa: S311
        name = f"bypass-{turn + 1:03d}"
        events = [msgspec.structs.replace(event, attack=name) for event in story.play(scene)]
        told.attacks.append(labelled(name, story, story.difficulties[0], scene.person.id, events))
        told.events += events
    told.events.sort(key=lambda event: event.time)
    told.attacks.sort(key=lambda attack: attack.start)


def expired_administrator(scene: Scene) -> Deeds:
    """The administrator's role of a grant that ended hours ago, used for what the own role does not reach."""
    window = (scene.start - 9 * HOUR, scene.start - 4 * HOUR)
    ticket = _ticket(scene, "access", window, system="aws", resource="aws-administrator-prod")
    access = scene.stage.paper.administrator(scene.person, scene.stage.lead("sre"), window, ticket)
    session = cloudtrail.session(_seat(scene), access, window[0])
    owned = things(_foreign(scene))
    yield session.call(scene.start, Call("rds", "DescribeDBInstances", "database"), owned["database"][0])
    yield session.call(scene.start + MINUTE, Call("rds", "ModifyDBInstance", "database"), owned["database"][0])
    for moment, thing in zip(scene.times(3, 60, scene.start + 3 * MINUTE), owned["object"], strict=False):
        yield session.call(moment, GET_OBJECT, thing)


def expired_repository(scene: Scene) -> Deeds:
    """Another squad's repository pushed to two hours after the loan of its role had ended."""
    squad = _foreign(scene)
    _granted(scene, "github", f"github-{squad}-write", (scene.start - 6 * HOUR, scene.start - 2 * HOUR))
    session = github.session(_seat(scene))
    yield session.event(scene.start, "git.push", f"{squad}-api")
    yield session.event(scene.start + 9 * MINUTE, "git.push", f"{squad}-api")


def expired_namespace(scene: Scene) -> Deeds:
    """Pods of another squad's namespace read the evening after the loan of its role had ended."""
    squad = _foreign(scene)
    _granted(scene, "k8s", f"k8s-{squad}", (scene.start - 12 * HOUR, scene.start - 5 * HOUR))
    yield from _look_around(scene, squad)


def used_though_refused(scene: Scene) -> Deeds:
    """A grant entered although its ticket had been rejected, and used."""
    squad = _foreign(scene)
    _granted(scene, "k8s", f"k8s-{squad}", (scene.start - HOUR, scene.start + 3 * HOUR))
    _reject(scene)
    yield from _look_around(scene, squad)


def used_on_own_approval(scene: Scene) -> Deeds:
    """A grant on a ticket that its requester approved, and used."""
    squad = _foreign(scene)
    _granted(scene, "github", f"github-{squad}-write", (scene.start - HOUR, scene.start + 3 * HOUR))
    _approved_by(scene, scene.person.id)
    yield github.session(_seat(scene)).event(scene.start, "git.push", f"{squad}-api")


def changed_on_own_approval(scene: Scene) -> Deeds:
    """A role's policies changed on a change ticket that the operator approved for themselves."""
    yield from _change(scene)
    _approved_by(scene, scene.person.id)


def changed_though_refused(scene: Scene) -> Deeds:
    """A role's policies changed all the same after the change had been rejected."""
    yield from _change(scene)
    _reject(scene)


def let_in_on_own_approval(scene: Scene) -> Deeds:
    """Somebody put into a group on a request which that somebody had approved."""
    asking = scene.rng.choice([p for p in scene.stage.employed(scene.day) if p.id != scene.person.id])
    group = f"aws-{_foreign(scene)}-readers"
    window = (scene.start - 15 * MINUTE, scene.start + 2 * HOUR)
    scene.stage.paper.ticket(
        "access", asking.id, asking.id, window, subject=asking.id, system="okta", resource=group
    )  # fmt: skip
    yield _joined(scene, asking, group)


def undeclared_policy(scene: Scene) -> Deeds:
    """Secrets and objects of another squad, which a policy nobody declared opens."""
    session, owned = scene.aws(_seat(scene)), things(_foreign(scene))
    for moment, secret in zip(scene.times(2, 90), owned["secret"], strict=True):
        yield session.call(moment, Call("secretsmanager", "GetSecretValue", "secret"), secret)
    yield session.call(scene.start + 8 * MINUTE, GET_OBJECT, owned["object"][0])


def undeclared_namespace(scene: Scene) -> Deeds:
    """A shell in a pod of another squad's namespace, through a binding nobody declared."""
    squad = _foreign(scene)
    yield from _look_around(scene, squad)
    shell = Object("pods", squad, pod(squad, "api", 0), "exec")
    yield kubernetes.session(scene.inside()).request(scene.start + 15 * MINUTE, "create", shell)


def undeclared_reading(scene: Scene) -> Deeds:
    """Another squad's pods, logs and settings read through a binding nobody declared; no shell, no secret."""
    yield from _look_around(scene, _foreign(scene))


def undeclared_administration(scene: Scene) -> Deeds:
    """A repository's administration, in the hands of somebody who may only write."""
    session, repo = github.session(_seat(scene)), f"{scene.person.squad}-api"
    yield session.event(scene.start, "protected_branch.policy_override", repo)
    yield session.event(scene.start + 4 * MINUTE, "repo.update_actions_settings", repo)


def own_group(scene: Scene) -> Deeds:
    """Somebody of the helpdesk puts themselves into a group."""
    yield _joined(scene, scene.person, f"aws-{_foreign(scene)}-admins")


def own_team(scene: Scene) -> Deeds:
    """A squad's lead adds themselves to another squad's team, and clones."""
    squad, session = _foreign(scene), github.session(_seat(scene))
    yield session.event(scene.start, "team.add_member", team=f"{COMPANY}/{squad}", user=scene.person.github)
    yield session.event(scene.start + 12 * MINUTE, "git.clone", f"{squad}-api")


def own_policy(scene: Scene) -> Deeds:
    """A policy attached to the own IAM user, with that user's key."""
    session = cloudtrail.key_session(_seat(scene), ACCOUNTS["prod"])
    grant = f"{scene.person.iam_user}=AmazonS3FullAccess"
    yield session.call(scene.start, Call("iam", "AttachUserPolicy", "grant"), grant)


def own_binding(scene: Scene) -> Deeds:
    """An operator binds the admin's role of a squad's namespace to themselves."""
    space = scene.rng.choice(squads(len(scene.stage.company.people)))
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": scene.person.kubernetes}
    body = {"metadata": {"name": "break-glass"}, "roleRef": reference, "subjects": [subject]}
    about = Object("rolebindings", space, "break-glass")
    yield kubernetes.session(scene.inside()).request(scene.start, "create", about, body=body)


def own_grant(scene: Scene) -> Deeds:
    """A temporary role that somebody entered for themselves, and used."""
    squad = _foreign(scene)
    span = (scene.start - HOUR, scene.start + 7 * HOUR)
    _granted(scene, "github", f"github-{squad}-write", span, granted_by=scene.person.id)
    yield github.session(_seat(scene)).event(scene.start, "git.push", f"{squad}-infra")


def second_duty(scene: Scene) -> Deeds:
    """An accountant who enters payments is let into the group that releases them, on an approved request."""
    asking = scene.rng.choice(_accountants(scene.stage, scene.day))
    _entrusted(scene, asking)
    window = (scene.start - 15 * MINUTE, scene.start + 2 * HOUR)
    scene.stage.paper.ticket(
        "access", asking.id, _lead(scene, asking), window, subject=asking.id, system="okta", resource=_RELEASE
    )  # fmt: skip
    yield _joined(scene, asking, _RELEASE)


def both_duties(scene: Scene) -> Deeds:
    """Payments entered in Okta and released in AWS by one accountant, who was lent the second role on a ticket."""
    _entrusted(scene, scene.person)
    _granted(scene, "aws", _RELEASE, (scene.start - HOUR, scene.start + 7 * HOUR))
    yield okta.session(_seat(scene)).sso(scene.start, scene.person, "Payment Entry")
    yield scene.aws(_seat(scene)).call(scene.start + 7 * MINUTE, _PUT_OBJECT, _RUN)


def _entrusted(scene: Scene, person: Person) -> None:
    """Somebody has entered payments for a month; who does is not to release them."""
    paper, since = scene.stage.paper, scene.start - 30 * DAY
    if not paper.separation_of_duties:
        paper.roles.append({"name": _ENTRY, "system": "okta", "apps": ["Payment Entry"]})
        release = {"name": _RELEASE, "system": "aws", "account": "prod", "actions": [_PUT_OBJECT.action]}
        paper.roles.append(release | {"resources": [_RUN.partition("/")[0]]})
        row = {"name": "payments", "roles": [_ENTRY, _RELEASE], "reason": "nobody releases what they entered"}
        paper.separation_of_duties.append(row)
    if any((row["user"], row["role"]) == (person.id, _ENTRY) for row in paper.role_changes):
        return
    more = {"subject": person.id, "system": "okta", "resource": _ENTRY}
    ticket = paper.ticket("access", person.id, _lead(scene, person), (since, since + DAY), **more)
    row = {"user": person.id, "system": "okta", "role": _ENTRY, "effective": rfc3339(since), "ticket": ticket}
    paper.role_changes.append(row)


def _seat(scene: Scene) -> Seat:
    """The usual place in working hours, else home."""
    return scene.usual() if scene.stage.at_work(scene.person, scene.start) else scene.home()


def _foreign(scene: Scene) -> str:
    """A squad the person is not of, and does not move to either."""
    return scene.rng.choice(_foreign_squads(scene.stage, scene.person))


def _foreign_squads(stage: Stage, person: Person) -> list[str]:
    own = {person.squad, *(episode.squad for episode in stage.plan.episodes.get(person.id, ()))}
    return [squad for squad in squads(len(stage.company.people)) if squad not in own]


def _look_around(scene: Scene, space: str) -> Deeds:
    session = kubernetes.session(scene.inside())
    name = pod(space, "api", 0)
    looks = (
        ("list", Object("pods", space)),
        ("get", Object("pods", space, name)),
        ("get", Object("pods", space, name, "log")),
        ("get", Object("configmaps", space, "api")),
    )
    for moment, (verb, about) in zip(scene.times(len(looks), 100), looks, strict=True):
        yield session.request(moment, verb, about)


def _change(scene: Scene) -> Deeds:
    role = f"acorn-{scene.rng.choice(squads(len(scene.stage.company.people)))}-worker-role"
    _ticket(scene, "change", (scene.start - 15 * MINUTE, scene.start + 2 * HOUR), system="aws", resource=role)
    session = scene.aws(_seat(scene))
    yield session.call(scene.start, _ATTACH, f"{role}=AmazonSQSFullAccess")
    yield session.call(scene.start + 5 * MINUTE, _ATTACH, f"{role}=AmazonDynamoDBFullAccess")


def _joined(scene: Scene, who: Person, group: str) -> SimEvent:
    targets = [okta.user(who), okta.group(group)]
    return okta.session(_seat(scene)).event(
        scene.start, "group.user_membership.add", targets, uri="/api/v1/groups"
    )  # fmt: skip


def _granted(scene: Scene, system: str, role: str, span: tuple[int, int], granted_by: str = "") -> None:
    """A temporary grant of a role, on an approved ticket."""
    ticket = _ticket(scene, "access", span, system=system, resource=role)
    row = {"user": scene.person.id, "system": system, "role": role, "ticket": ticket}
    times = {"start": rfc3339(span[0]), "expires": rfc3339(span[1])}
    scene.stage.paper.temporary_grants.append(row | {"granted_by": granted_by or scene.stage.lead("sre")} | times)


def _ticket(scene: Scene, type_: str, window: tuple[int, int], **more: str) -> str:
    approver = _lead(scene, scene.person)
    return scene.stage.paper.ticket(type_, scene.person.id, approver, window, subject=scene.person.id, **more)


def _lead(scene: Scene, person: Person) -> str:
    """Who approves what somebody asks for."""
    return next(p.id for p in scene.stage.company.people if p.id != person.id and p.title.endswith("Lead"))


def _reject(scene: Scene) -> None:
    """The ticket opened last was rejected."""
    scene.stage.paper.tickets[-1]["status"] = "rejected"
    del scene.stage.paper.tickets[-1]["approved_at"]


def _approved_by(scene: Scene, approver: str) -> None:
    """The ticket opened last was approved by somebody else than it should have been."""
    scene.stage.paper.tickets[-1]["approver"] = approver


def _engineers(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.employed(day, "engineering") if _foreign_squads(stage, person)]


def _operators(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "sre")


def _helpdesk(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "it-helpdesk")


def _accountants(stage: Stage, day: int) -> list[Person]:
    return stage.employed(day, "finance")


def _leads(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.employed(day, "engineering") if person.title.endswith("Lead")]


def _key_holders(stage: Stage, day: int) -> list[Person]:
    return [person for person in stage.employed(day) if person.iam_user]


CATALOGUE: tuple[Kind, ...] = (
    Kind("expired_grant", "T1078", ("medium",), expired_administrator, Casting(_engineers)),
    Kind("expired_grant", "T1078", ("hard",), expired_repository, Casting(_engineers)),
    Kind("expired_grant", "T1078", ("hard",), expired_namespace, Casting(_engineers, "night")),
    Kind("approval_bypass", "T1078", ("medium",), used_though_refused, Casting(_engineers)),
    Kind("approval_bypass", "T1078", ("hard",), used_on_own_approval, Casting(_engineers)),
    Kind("approval_bypass", "T1098", ("hard",), changed_on_own_approval, Casting(_operators)),
    Kind("approval_bypass", "T1098", ("hard",), changed_though_refused, Casting(_operators)),
    Kind("approval_bypass", "T1098", ("hard",), let_in_on_own_approval, Casting(_helpdesk)),
    Kind("shadow_access", "T1078", ("medium",), undeclared_policy, Casting(_engineers)),
    Kind("shadow_access", "T1078", ("medium",), undeclared_namespace, Casting(_engineers, "night")),
    Kind("shadow_access", "T1078", ("hard",), undeclared_reading, Casting(_engineers)),
    Kind("shadow_access", "T1078", ("hard",), undeclared_administration, Casting(_engineers)),
    Kind("self_grant", "T1098", ("medium",), own_group, Casting(_helpdesk)),
    Kind("self_grant", "T1098", ("medium",), own_team, Casting(_leads)),
    Kind("self_grant", "T1098.003", ("hard",), own_policy, Casting(_key_holders)),
    Kind("self_grant", "T1098.006", ("medium",), own_binding, Casting(_operators)),
    Kind("self_grant", "T1098", ("hard",), own_grant, Casting(_engineers)),
    Kind("separation_broken", "T1098", ("hard",), second_duty, Casting(_helpdesk)),
    Kind("separation_broken", "T1078", ("hard",), both_duties, Casting(_accountants)),
)
