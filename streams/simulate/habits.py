"""What people of a team do in a day, and what one person does again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

import msgspec

from audit.finding import stable_id
from streams.simulate.cloudtrail import Call
from streams.simulate.model import Person
from streams.simulate.words import SERVICES

T = TypeVar("T")
Verb = tuple[str, str, str]
"""verb, resource, subresource"""

_DEVELOPER = """
s3:GetObject:object:9 s3:ListObjects:bucket:3 s3:PutObject:object:2 s3:GetBucketLocation:bucket:1
logs:FilterLogEvents:log:8 logs:DescribeLogGroups::3 logs:GetQueryResults::3 logs:StartQuery:log:2
lambda:GetFunction20150331v2:function:4 lambda:ListFunctions20150331::2
lambda:UpdateFunctionCode20150331v2:function:1
cloudwatch:DescribeAlarms::3 cloudwatch:GetMetricData::4 dynamodb:DescribeTable:table:2 sqs:GetQueueAttributes:queue:2
secretsmanager:GetSecretValue:secret:.5 ssm:GetParameter:parameter:2 ecr:DescribeImages:repository:2
ecr:GetAuthorizationToken::1 sts:GetCallerIdentity::2 ec2:DescribeInstances:instance:1 cloudformation:DescribeStacks::1
kms:Decrypt:key:1
"""
_CALLS = {
    "engineering": _DEVELOPER,
    "sre": _DEVELOPER
    + """
ec2:DescribeSecurityGroups::4 ec2:DescribeVolumes:volume:3 ec2:DescribeVpcs::2 eks:DescribeCluster:cluster:5
eks:ListClusters::2 rds:DescribeDBInstances:database:4 autoscaling:DescribeAutoScalingGroups::3 iam:GetRole:role:2
ssm:StartSession:target:1 ec2:AuthorizeSecurityGroupIngress:ingress:.05 rds:CreateDBSnapshot:database:.1
route53:ListHostedZones::1 ec2:CreateTags:instance:1
""",
    "data": """
athena:StartQueryExecution:query:8 athena:GetQueryResults:query:8 athena:GetQueryExecution::6 glue:GetTables::5
glue:GetDatabases::2 s3:GetObject:object:12 s3:ListObjects:bucket:6 s3:PutObject:object:2 s3:GetBucketLocation:bucket:2
kms:Decrypt:key:3 sts:GetCallerIdentity::1 redshift:DescribeClusters::1 sagemaker:ListNotebookInstances::1
""",
    "security": """
cloudtrail:LookupEvents::6 cloudtrail:DescribeTrails::2 guardduty:ListFindings:detector:5
guardduty:GetFindings:detector:4
iam:ListUsers::3 iam:ListRoles::3 iam:GetRole:role:3 iam:ListAttachedRolePolicies:role:2 iam:ListAccessKeys:user:2
securityhub:GetFindings::4 config:DescribeConfigRules::2 s3:GetBucketPolicy:bucket:2
ec2:DescribeSecurityGroups::2 sts:GetCallerIdentity::1
iam:GenerateCredentialReport::.5 access-analyzer:ListFindings::2
""",
    "finance": """
ce:GetCostAndUsage::6 ce:GetCostForecast::2 organizations:ListAccounts::1 s3:GetObject:object:2 s3:ListObjects:bucket:1
""",
}
_GITHUB = {
    "developer": """
git.fetch:14 git.push:7 git.clone:1 pull_request.create:1.6 pull_request_review.submit:1.8 pull_request.merge:1.5
pull_request_review_comment.create:2.2 pull_request.ready_for_review:.4 pull_request.create_review_request:1
repo.actions_enabled:.02 issue_comment.update:.4
""",
    "security": "git.fetch:6 git.clone:2 pull_request_review.submit:2 repository_vulnerability_alert.dismiss:1",
}
_KUBERNETES = {
    "engineering": """
list:pods::9 get:pods::7 get:pods:log:8 list:deployments::3 get:deployments::3 list:events::3 get:configmaps::1.5
list:services::1 patch:deployments::.6 create:pods:portforward:.6 create:pods:exec:.03 list:replicasets::1
""",
    "sre": """
list:pods::9 get:pods::6 get:pods:log:5 list:deployments::4 get:deployments::3 list:events::5 list:nodes::4 get:nodes::2
patch:deployments::1.5 get:configmaps::2 patch:configmaps::.3 create:pods:exec:.2 delete:pods::.5 list:services::2
get:secrets::.1 list:statefulsets::1 patch:statefulsets::.2
""",
}


class Rhythm(msgspec.Struct, frozen=True):
    """Mean number of events on a working day, by source."""

    okta: float
    aws: float = 0.0
    github: float = 0.0
    kubernetes: float = 0.0


RHYTHMS = {
    "engineering": Rhythm(okta=12, aws=20, github=22, kubernetes=13),
    "sre": Rhythm(okta=12, aws=29, github=10, kubernetes=24),
    "data": Rhythm(okta=12, aws=37, github=10),
    "security": Rhythm(okta=14, aws=27, github=7),
    "it-helpdesk": Rhythm(okta=29),
    "finance": Rhythm(okta=24, aws=7),
    "support": Rhythm(okta=30),
}
KUBERNETES_TEAMS = frozenset(_KUBERNETES)
GITHUB_TEAMS = frozenset({"engineering", "sre", "data", "security"})
CLUSTER_WIDE = frozenset({"nodes"})


class Weighted(Generic[T]):
    """Things and how often each is chosen."""

    __slots__ = ("items", "weights")

    def __init__(self, items: Sequence[T], weights: Iterable[float]) -> None:
        self.items = items
        self.weights = list(accumulate(weights))

    def draw(self, rng: Random, count: int) -> list[T]:
        """`count` things, drawn with replacement."""
        return rng.choices(self.items, cum_weights=self.weights, k=count)


class Habits(msgspec.Struct, frozen=True):
    """What one person uses: their own shares of the team's actions, and their own few things out of the squad's."""

    calls: Weighted[Call]
    things: dict[str, tuple[str, ...]]
    git: Weighted[str]
    repos: Weighted[str]
    requests: Weighted[Verb]
    namespaces: tuple[str, ...]


def habits(person: Person, squad: str) -> Habits:
    """The habits of a person in a squad; the same in every process for the same person, squad and company."""
    rng = Random(f"{person.id}/{squad}/{person.device.fingerprint}")  # noqa: S311
    developer = "security" if person.team == "security" else "developer"
    return Habits(
        calls=_own(rng, CALLS.get(person.team, {})),
        things={about: _few(rng, names) for about, names in things(squad).items()},
        git=_own(rng, GIT[developer]),
        repos=_ranked(rng, repos(squad)),
        requests=_own(rng, REQUESTS.get(person.team, {})),
        namespaces=(squad,) if squad != "sre" else ("payments", "checkout", "ingress", "monitoring"),
    )


def repos(squad: str) -> tuple[str, ...]:
    """A squad's repositories."""
    return (*(f"{squad}-{service}" for service in SERVICES), f"{squad}-infra", "shared-libraries", "handbook")


def things(squad: str) -> dict[str, tuple[str, ...]]:
    """What a squad owns in AWS, by the sort that a call's `about` names."""
    base = f"acorn-{squad}"
    services = [f"{base}-{service}" for service in SERVICES]
    return {
        "": ("",),
        "bucket": (f"{base}-assets", f"{base}-exports", f"{base}-logs"),
        "object": tuple(f"{base}-{kind}/{year}/{part:04d}.json.gz"
                        for kind in ("assets", "exports", "logs") for year in (2024, 2025) for part in range(12)),
        "function": tuple(services),
        "log": tuple(f"/aws/lambda/{name}" for name in services),
        "table": (f"{base}-records", f"{base}-sessions"),
        "queue": (f"{base}-inbox", f"{base}-retry"),
        "secret": (f"{base}/database", f"{base}/api-token"),
        "parameter": (f"{base}/config", f"{base}/flags", f"{base}/limits"),
        "key": (f"alias/{base}",),
        "repository": tuple(f"{squad}/{service}" for service in SERVICES),
        "instance": _hex("i-", squad, 6),
        "volume": _hex("vol-", squad, 4),
        "ingress": tuple(f"{group}=10.20.0.0/16" for group in _hex("sg-", squad, 3)),
        "target": _hex("i-", squad, 6),
        "role": tuple(f"{name}-role" for name in services),
        "user": ("legacy-deploy", "legacy-reports"),
        "cluster": ("production", "staging"),
        "database": (f"{base}-primary", f"{base}-replica"),
        "detector": ("12abc34d567e8fa901bc2d34eexample",),
        "query": (f"{squad}-reports", "primary"),
    }  # fmt: skip


def _table(text: str) -> dict[Call, float]:
    rows = [word.rsplit(":", 1) for word in text.split()]
    return {Call(*name.split(":")): float(weight) for name, weight in rows}


def _verbs(text: str) -> dict[Verb, float]:
    rows = [word.split(":") for word in text.split()]
    return {(verb, resource, sub): float(weight) for verb, resource, sub, weight in rows}


CALLS = {team: _table(text) for team, text in _CALLS.items()}
REQUESTS = {team: _verbs(text) for team, text in _KUBERNETES.items()}
GIT = {role: {word.split(":")[0]: float(word.split(":")[1]) for word in text.split()} for role, text in _GITHUB.items()}


def _own(rng: Random, shares: Mapping[T, float]) -> Weighted[T]:
    # A person keeps about two thirds of a team's actions and has their own taste among those.
    kept = [item for item in shares if rng.random() < 0.65] or list(shares)
    return Weighted(kept, [shares[item] * rng.lognormvariate(0, 0.7) for item in kept])


def _ranked(rng: Random, names: Sequence[str]) -> Weighted[str]:
    order = rng.sample(names, len(names))
    return Weighted(order, [1 / (rank + 1) ** 1.5 for rank in range(len(order))])


def _few(rng: Random, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(rng.sample(names, min(len(names), rng.randint(2, 6))))


def _hex(prefix: str, squad: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}0{stable_id(prefix, squad, number)}" for number in range(count))
