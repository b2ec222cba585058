"""Decisions against an engine that knows nothing of ours: casbin, with globs by fnmatch and expiry by its own hand."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.context import Context
from audit.context_schema import Declared, End, Grant, Moment, Person, Role
from audit.event import AuditEvent, Principal, Resource
from rules.access import Access

casbin = pytest.importorskip("casbin", reason="needs the dev dependency casbin")

MODEL = """
[request_definition]
r = sub, act, obj, now

[policy_definition]
p = role, act, obj

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = held(r.sub, p.role, r.now) && glob(r.act, p.act) && glob(r.obj, p.obj)
"""
USERS, ROLES = ("ada", "bob", "cy"), ("one", "two", "three", "four")
SECOND = 1_000_000
TIMES = st.integers(1, 30).map(lambda hours: hours * 3_600 * SECOND)

_pattern = st.text("ab*", min_size=1, max_size=4)
_actions = st.lists(st.builds("{}:{}".format, st.sampled_from(["s", "t", "*"]), _pattern), min_size=1, max_size=4)
_resources = st.lists(_pattern, min_size=1, max_size=3)
_roles = st.fixed_dictionaries({name: st.tuples(_actions, _resources) for name in ROLES})
_held = st.sets(st.tuples(st.sampled_from(USERS), st.sampled_from(ROLES)), max_size=6)
_grants = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from(ROLES), TIMES, TIMES).map(
        lambda row: (row[0], row[1], min(row[2:]), max(row[2:]))
    ),
    max_size=6,
)
_requests = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.builds("{}:{}".format, st.sampled_from(["s", "t"]), st.text("ab", max_size=4)),
        st.text("ab", min_size=1, max_size=4),
        TIMES,
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_roles, _held, _grants, _requests)
def test_what_is_permitted_is_what_casbin_permits(roles, held, grants, requests) -> None:
    access = Access(_context(roles, held, grants))
    oracle = _oracle(roles, held, grants)
    for who, action, thing, now in [*requests, *requests]:
        service, _, name = action.partition(":")
        event = AuditEvent(
            "e", now, "cloudtrail", name, "success", Principal(who, who), resource=Resource("AWS::Thing", thing)
        )
        decision = access.decide(event, {"eventSource": f"{service}.amazonaws.com"})
        assert (decision.kind == "permitted") == oracle.enforce(who, action, thing, now), (who, action, thing, now)
        if decision.kind == "expired":
            assert any(
                end < now and oracle.enforce(who, action, thing, end) for user, _, _, end in grants if user == who
            )


def _context(roles, held, grants) -> Context:
    return Context(
        Declared(
            users=tuple(
                Person(id=who, roles=tuple(role for user, role in sorted(held) if user == who)) for who in USERS
            ),
            roles=tuple(
                Role(name=name, system="aws", actions=tuple(actions), resources=tuple(things))
                for name, (actions, things) in roles.items()
            ),
            temporary_grants=tuple(
                Grant(user=who, system="aws", role=role, start=Moment(start), expires=End(end))
                for who, role, start, end in grants
            ),
        )
    )


def _oracle(roles, held, grants):
    model = casbin.Enforcer.new_model(text=MODEL)
    enforcer = casbin.Enforcer(model)
    for name, (actions, things) in roles.items():
        for action in actions:
            for thing in things:
                enforcer.add_policy(name, action, thing)
    enforcer.add_function("glob", fnmatchcase)
    enforcer.add_function(
        "held",
        lambda who, role, now: (
            (who, role) in held
            or any(user == who and each == role and start <= now <= end for user, each, start, end in grants)
        ),
    )
    return enforcer
