"""Attacks that leave a way back in: keys and apps that outlive the password they were made with."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from streams.simulate import cloudtrail, github
from streams.simulate.cloudtrail import GET_OBJECT, WHO_AM_I, calls
from streams.simulate.company import squads
from streams.simulate.habits import repos, things
from streams.simulate.model import DAY, HOUR, MINUTE, SimEvent
from streams.simulate.scene import Scene
from streams.simulate.words import ACCOUNTS

Deeds = Iterator[SimEvent]
_LOOKING = calls(
    "s3:ListBuckets iam:ListUsers ec2:DescribeInstances secretsmanager:ListSecrets rds:DescribeDBInstances"
)


def access_key_persistence(scene: Scene) -> Deeds:
    """A second access key made for the person's own IAM user, then used from a hosting provider (hard: a day later)."""
    made = cloudtrail.key_session(scene.usual(), ACCOUNTS["prod"])
    creation = made.created_key(scene.start, scene.person.iam_user)
    yield creation
    key = creation.record["responseElements"]["accessKey"]["accessKeyId"]
    abroad = cloudtrail.key_session(scene.away(), ACCOUNTS["prod"], key)
    later = scene.start + (DAY if scene.hard and scene.room(DAY) else 12 * MINUTE)
    yield abroad.call(later, WHO_AM_I)
    if not scene.hard:
        for moment, call in zip(scene.times(len(_LOOKING), 15, later + MINUTE), _LOOKING, strict=True):
            yield abroad.call(moment, call, "", "AccessDenied" if scene.rng.random() < 0.4 else "")
    objects = things(scene.person.squad)["object"]
    for moment in scene.times(8 if scene.hard else 25, 40, later + 3 * MINUTE):
        yield abroad.call(moment, GET_OBJECT, scene.rng.choice(objects))


def rogue_app(scene: Scene) -> Deeds:
    """An engineer is talked into installing an app, which then reads the code on its own, from its maker's servers."""
    person, seat = scene.person, scene.usual()
    app = scene.rng.choice(("pull-request-insights", "release-notes-helper", "coverage-badges"))
    every = [repo for squad in squads(len(scene.stage.company.people)) for repo in repos(squad)[:6]]
    own = [repo for repo in repos(person.squad) if repo.startswith(person.squad)]
    taken = own if scene.hard else scene.rng.sample(every, min(len(every), 30))
    which = "selected" if scene.hard else "all"
    more = {"name": app, "integration": app, "repository_selection": which, "version": "1.0"}
    yield github.session(seat).event(scene.start, "integration_installation.create", **more)
    bot = msgspec.structs.replace(person, id=app, github=f"{app}[bot]", email="", index=900_000 + scene.day)
    session = github.session(msgspec.structs.replace(scene.away(), person=bot))
    begun = scene.start + (4 * HOUR if scene.hard else 20 * MINUTE)
    access = {"programmatic_access_type": "GitHub App server-to-server token", "transport_protocol_name": "http"}
    for moment, repo in zip(scene.times(len(taken), 600 if scene.hard else 10, begun), taken, strict=True):
        yield session.event(moment, "git.clone", repo, **access)
