"""The context file: everything the simulated company declares about itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from streams.simulate.company import PERMISSION_SETS, squads
from streams.simulate.habits import CALLS, REQUESTS, repos
from streams.simulate.model import Person
from streams.simulate.places import NETWORKS
from streams.simulate.scene import Stage
from streams.simulate.words import ACCOUNTS, APPS, AWS_APP, COMPANY, DOMAIN, GITHUB_APP, KUBERNETES_APP

Row = dict[str, Any]

SENSITIVE = {
    "buckets": ["acorn-finance-*", "acorn-payments-exports", "acorn-data-exports", "acorn-backups"],
    "repos": [f"{COMPANY}/payments-*", f"{COMPANY}/*-infra"],
    "namespaces": ["payments", "kube-system", "ingress"],
}
RESTORE = f"arn:aws:iam::{ACCOUNTS['data']}:role/acorn-restore"
_CHANGES = ["iam:AttachRolePolicy", "ec2:AuthorizeSecurityGroupIngress", "rds:ModifyDBInstance", "rds:CreateDBSnapshot"]
_MORE = {"sre": _CHANGES, "data": ["secretsmanager:GetSecretValue"]}
"""What a team may do that its ordinary work does not need."""
_HELPDESK = [
    "user.mfa.factor.reset_all", "user.account.reset_password", "user.account.unlock", "user.lifecycle.*",
    "group.user_membership.*",
]  # fmt: skip
_DEVELOPERS = ["repo.actions_enabled"]
_LEADS = ["integration_installation.*", "team.add_member", "team.remove_member"]
_OWN_KEYS = ["iam:ListAccessKeys", "iam:CreateAccessKey", "iam:DeleteAccessKey"]
_SERVICE_ROLES: tuple[Row, ...] = (
    {"name": "aws-ci", "system": "aws", "account": "prod", "actions": ["ecr:*"], "resources": ["*"]},
    {"name": "github-ci", "system": "github", "repos": [f"{COMPANY}/*"], "permission": "write"},
    {"name": "k8s-ci", "system": "k8s", "verbs": ["get", "patch"], "resources": ["deployments"], "namespaces": ["*"]},
    {"name": "aws-terraform", "system": "aws", "account": "prod", "actions": ["*:Describe*", "*:Get*", "*:List*"],
     "resources": ["*"]},
    {"name": "aws-backup", "system": "aws", "account": "prod",
     "actions": ["rds:CreateDBSnapshot", "s3:ListObjects", "s3:PutObject"], "resources": ["*"]},
    {"name": "aws-reports", "system": "aws", "account": "data", "actions": ["athena:*", "s3:GetObject", "s3:PutObject"],
     "resources": ["*"]},
    {"name": "aws-watchtower", "system": "aws", "account": "prod",
     "actions": ["*:Describe*", "*:Get*", "*:List*"], "resources": ["*"]},
    {"name": "github-dependabot", "system": "github", "repos": [f"{COMPANY}/*"], "permission": "write"},
    {"name": "k8s-argocd", "system": "k8s", "verbs": ["get", "list", "watch", "patch"], "resources": ["*"],
     "namespaces": ["*"]},
    {"name": "k8s-cert-manager", "system": "k8s", "verbs": ["get", "list", "update"], "resources": ["secrets"],
     "namespaces": ["*"]},
    {"name": "k8s-autoscaler", "system": "k8s", "verbs": ["get", "list", "update"], "resources": ["nodes", "leases"],
     "namespaces": ["*"]},
    {"name": "aws-autoscaler", "system": "aws", "account": "prod", "actions": ["autoscaling:*"], "resources": ["*"]},
)  # fmt: skip


def context(stage: Stage) -> Row:
    """The context file as a dictionary of lists, dictionaries and strings; its form is the README's."""
    paper = stage.paper
    apart: Row = {"separation_of_duties": paper.separation_of_duties} if paper.separation_of_duties else {}
    everybody = [*stage.company.people, *stage.company.services.values()]
    return {
        "company": {"domain": DOMAIN, "github_org": COMPANY, "aws_accounts": dict(ACCOUNTS), "sensitive": SENSITIVE},
        "users": [_user(stage, person) for person in everybody],
        "roles": [*_roles(len(stage.company.people)), *paper.roles],
        "temporary_grants": paper.temporary_grants,
        "tickets": sorted(paper.tickets, key=lambda row: (row["opened"], row["id"])),
        "role_changes": paper.role_changes,
        **apart,
        "oncall": paper.oncall,
        "pentest_windows": paper.pentest_windows,
        "ip_ranges": [
            {"cidr": network.cidr, "kind": network.kind, "site": network.city.name}
            for network in NETWORKS
            if network.kind in ("office", "vpn", "internal")
        ],
        "ip_geo": [
            {"prefix": network.cidr, "country": network.city.country, "city": network.city.name,
             "lat": network.city.lat, "lon": network.city.lon, "asn": network.asn, "as_org": network.org}
            for network in NETWORKS
        ],
    }  # fmt: skip


def roles_of(person: Person, squad: str) -> list[str]:
    """The names of the roles a person of a squad holds."""
    if person.kind == "service":
        return [str(role["name"]) for role in _SERVICE_ROLES if str(role["name"]).partition("-")[2] == person.id]
    names = [f"okta-{person.team}"]
    names += [f"aws-{squad}-{account}" for account, _ in PERMISSION_SETS.get(person.team, ())]
    if person.iam_user:
        names += ["aws-own-keys", *(["aws-data-prod"] if person.team == "data" else [])]
    if person.github:
        names += ["github-read", f"github-{squad}-write"]
        names += ["github-lead"] if person.title.endswith("Lead") else []
    if person.kubernetes:
        names.append(f"k8s-{squad}")
    return names


def _user(stage: Stage, person: Person) -> Row:
    row: Row = {"id": person.id, "name": person.name, "team": person.team}
    if person.kind != "service":
        row |= {"squad": person.squad, "title": person.title, "city": person.city.name}
        row |= {"country": person.city.country, "timezone": person.city.timezone}
        row["last_login"] = _last_login(stage, person).isoformat()
    row |= {"kind": person.kind, "start_date": person.started.isoformat()}
    optional = {"manager": person.manager, "owner": person.owner, "end_date": person.ended and person.ended.isoformat()}
    row |= {key: value for key, value in optional.items() if value}
    if person.started > stage.plan.date(0):
        row.pop("last_login")
    row |= {"roles": roles_of(person, person.squad), "identities": _identities(stage, person)}
    if person.access_key:
        row["access_keys"] = [person.access_key]
    leave = [e for e in stage.plan.episodes.get(person.id, ()) if e.kind == "leave"]
    if leave:
        days = [(stage.plan.date(e.first), stage.plan.date(e.last)) for e in leave]
        row["leave"] = [{"start": first.isoformat(), "end": last.isoformat()} for first, last in days]
    return row


def _last_login(stage: Stage, person: Person) -> date:
    away = stage.plan.during(person, -1, "leave")
    return person.dormant_since or stage.plan.date(away.first - 1 if away else -1)


def _identities(stage: Stage, person: Person) -> dict[str, list[str]]:
    arns = [access.arn for access in (*person.accesses, *stage.paper.accesses.get(person.id, ()))]
    if person.iam_user:
        arns.append(f"arn:aws:iam::{ACCOUNTS['prod']}:user/{person.iam_user}")
    names = {
        "okta": [person.email, *(["sysacorn1system"] if person.id == "okta-system" else [])],
        "aws": list(dict.fromkeys(arns)),
        "github": [person.github],
        "k8s": [person.kubernetes],
        "slack": [person.slack],
    }
    return {system: ids for system, ids in names.items() if ids and ids[0]}


@cache
def _actions(team: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*sorted(call.action for call in CALLS[team]), "signin:ConsoleLogin")))


def _roles(users: int) -> Iterator[Row]:
    for team in APPS:
        if team != "everyone":
            yield _okta_role(team)
    yield {"name": "github-read", "system": "github", "repos": [f"{COMPANY}/*"], "permission": "read"}
    yield {"name": "github-lead", "system": "github", "repos": [f"{COMPANY}/*"], "actions": list(_LEADS)}
    yield _aws_role("aws-own-keys", "prod", _OWN_KEYS, "${user}")
    yield _aws_role("acorn-restore", "data", ["rds:DescribeDBSnapshots", "s3:GetObject"], "acorn-backups")
    for squad in squads(users):
        yield from _squad_roles(squad, "engineering", [squad])
    yield from _squad_roles("sre", "sre", ["*"])
    for team in ("data", "security", "finance"):
        yield from _squad_roles(team, team, [])
    yield {"name": "aws-administrator-prod", "system": "aws", "account": "prod", "actions": ["*"], "resources": ["*"]}
    yield from ({**role} for role in _SERVICE_ROLES)


def _aws_role(name: str, account: str, actions: list[str], resource: str) -> Row:
    return {"name": name, "system": "aws", "account": account, "actions": list(actions), "resources": [resource]}


def _okta_role(team: str) -> Row:
    apps = [*APPS["everyone"], *APPS[team], AWS_APP, GITHUB_APP, KUBERNETES_APP]
    row: Row = {"name": f"okta-{team}", "system": "okta", "apps": apps, "teams": [team]}
    return row | {"actions": list(_HELPDESK)} if team == "it-helpdesk" else row


def _squad_roles(squad: str, team: str, namespaces: list[str]) -> Iterator[Row]:
    everywhere = team in ("sre", "security")
    resources = ["*"] if everywhere else [f"*{squad}*", "i-*", "vol-*", "sg-*", "primary"]
    actions = [*_actions(team), *_MORE.get(team, [])]
    accounts = [account for account, _ in PERMISSION_SETS[team]] + (["prod"] if team == "data" else [])
    for account in accounts:  # of the data team some have an old key in production
        row: Row = {"name": f"aws-{squad}-{account}", "system": "aws", "account": account, "squad": squad}
        row |= {"actions": actions[:], "resources": resources[:]}
        yield row | {"may_assume": [RESTORE]} if team == "sre" and account == "prod" else row
    own = [f"{COMPANY}/{repo}" for repo in repos(squad)]
    if team != "finance":
        writing: Row = {"name": f"github-{squad}-write", "system": "github", "repos": own, "permission": "write"}
        yield writing | {"actions": list(_DEVELOPERS), "squad": squad}
    if namespaces:
        verbs = sorted({verb for verb, _, _ in REQUESTS[team]})
        resources = sorted({resource + (f"/{sub}" if sub else "") for _, resource, sub in REQUESTS[team]})
        cluster: Row = {"name": f"k8s-{squad}", "system": "k8s", "verbs": verbs, "resources": resources}
        yield cluster | {"namespaces": namespaces, "squad": squad}
