from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rules import access_foreign
from rules.access import Access
from rules.access_asked import Asked, asked
from rules.access_foreign import is_foreign
from tests.rules.accessing import call, context, git, request, sso

OTHERS = [
    {
        "name": "aws-shop",
        "system": "aws",
        "account": "prod",
        "actions": ["s3:GetObject"],
        "resources": ["acorn-shop-*"],
    },
    {"name": "k8s-shop", "system": "k8s", "verbs": ["get"], "resources": ["pods"], "namespaces": ["shop"]},
    {"name": "github-shop", "system": "github", "repos": ["shop-*"], "permission": "read"},
    {"name": "okta-shop", "system": "okta", "apps": ["Till"]},
]


def judged(tmp_path: Path, seen: Any, **more: Any) -> bool:
    access = Access(context(tmp_path, plus_roles=[*OTHERS, *more.get("roles", [])]))
    what = asked(*seen)
    assert what is not None
    return is_foreign(access, seen[0].actor.id, what)


@pytest.mark.parametrize(
    ("seen", "foreign"),
    [
        (call(on="acorn-shop-assets"), True),
        (call(action="kms:Decrypt", on="acorn-shop-assets"), True),
        (call(on="acorn-web-assets"), False),
        (call(action="s3:DeleteObject", on="acorn-web-assets"), False),
        (call(on="acorn-nobodys"), False),
        (call(on="acorn-shop-assets", account="999900001111"), False),
        (call(action="ec2:DescribeVpcs", on=""), False),
        (call(action="iam:AttachUserPolicy", on="ada"), False),
        (request("ada", "get", "pods", "shop/x"), True),
        (request("ada", "delete", "pods", "web/x"), False),
        (request("ada", "list", "nodes", "x"), False),
        (git("ada", "git.clone", "acorn/shop-api"), True),
        (git("ada", "git.clone", "acorn/shared"), False),
        (sso("ada", "Till"), False),
        (call("bob", on="acorn-shop-assets"), False),
        (call("eve", on="acorn-shop-assets"), False),
        (call("aws:stranger", on="acorn-shop-assets"), False),
    ],
)
def test_a_place_is_foreign_that_others_have_and_they_have_not(tmp_path: Path, seen: Any, foreign: bool) -> None:
    assert judged(tmp_path, seen) is foreign


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_foreign, "REMEMBERED", 3)
    access = Access(context(tmp_path, plus_roles=OTHERS))
    for number in range(10):
        assert is_foreign(access, "ada", Asked("aws", "111122223333", "s3:getobject", f"acorn-shop-{number}"))
    assert len(access.foreign) <= 3
