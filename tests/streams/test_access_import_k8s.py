from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from audit.context import load_context
from audit.context_people import People
from audit.context_schema import Person
from rules.access import Access
from streams.access_import_aws import Imported
from streams.access_import_k8s import from_k8s
from tests.rules.accessing import request

PEOPLE = People(
    [
        Person(id="ada", identities={"k8s": ("ada@x.com",)}),
        Person(id="ci", identities={"k8s": ("system:serviceaccount:ci:deployer",)}),
    ]
)
RULES = [
    {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
    {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
]


def role(kind: str, name: str, rules: Any, namespace: str = "") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, "rules": rules}


def binding(kind: str, ref: tuple[str, str], *subjects: dict[str, str], namespace: str = "") -> dict[str, Any]:
    row = role(kind, "b", None, namespace)
    return row | {"roleRef": {"kind": ref[0], "name": ref[1]}, "subjects": list(subjects)}


ADA = {"kind": "User", "name": "ada@x.com"}
CI = {"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"}


def imported(*objects: Any) -> Imported:
    made = Imported()
    from_k8s({"kind": "List", "items": list(objects)}, PEOPLE, made)
    return made


def test_a_cluster_role_bound_in_a_namespace_counts_there() -> None:
    made = imported(
        role("ClusterRole", "edit", RULES[:2]),
        binding("RoleBinding", ("ClusterRole", "edit"), ADA, CI, namespace="web"),
    )
    assert made.roles == [
        {
            "name": "edit@web",
            "system": "k8s",
            "verbs": ["get", "list"],
            "resources": ["pods", "pods/log"],
            "namespaces": ["web"],
        },
        {"name": "edit@web", "system": "k8s", "verbs": ["patch"], "resources": ["deployments"], "namespaces": ["web"]},
    ]
    assert [(row["user"], row["role"]) for row in made.changes] == [("ada", "edit@web"), ("ci", "edit@web")]


def test_a_cluster_binding_counts_everywhere_and_a_role_of_another_namespace_nowhere() -> None:
    made = imported(
        role("ClusterRole", "view", RULES),
        role("Role", "view", RULES[:1], namespace="web"),
        binding("ClusterRoleBinding", ("ClusterRole", "view"), ADA),
        binding("RoleBinding", ("Role", "view"), ADA, namespace="api"),
    )
    assert {(row["name"], *row["namespaces"]) for row in made.roles} == {("view", "*")}
    assert made.remarks == ["view@api: Role view is bound, and not among the objects given"]


def test_the_clusters_own_are_left_out_and_strangers_are_told() -> None:
    own = [{"kind": "User", "name": "system:kube-scheduler"}, {"kind": "Group", "name": "system:masters"},
           {"kind": "ServiceAccount", "name": "x", "namespace": "kube-system"}]  # fmt: skip
    made = imported(
        role("ClusterRole", "r", RULES),
        binding("ClusterRoleBinding", ("ClusterRole", "r"), *own),
        binding("RoleBinding", ("ClusterRole", "r"), {"kind": "Group", "name": "oidc:devs"}, namespace="web"),
    )
    assert {row["name"] for row in made.roles} == {"r@web"}
    assert made.changes == []
    assert made.remarks == ["r@web: Group oidc:devs is nobody the context declares: say who holds it"]


def test_names_of_single_objects_are_not_carried_over() -> None:
    rule = {"resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]}
    made = imported(role("Role", "r", [rule], "web"), binding("RoleBinding", ("Role", "r"), ADA, namespace="web"))
    assert made.roles[0]["resources"] == ["secrets"]
    assert made.remarks == ["r@web: resourceNames are not carried over"]


@pytest.mark.parametrize("document", [{}, [], {"kind": "List", "items": []}, {"kind": "Pod"}, "text", {"items": "x"}])
def test_what_holds_no_rbac_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="kubectl get"):
        from_k8s(document, PEOPLE, Imported())


def test_what_comes_of_it_permits_what_rbac_permits(tmp_path: Path) -> None:
    made = imported(
        role("ClusterRole", "edit", RULES),
        binding("RoleBinding", ("ClusterRole", "edit"), ADA, namespace="web"),
        binding("ClusterRoleBinding", ("ClusterRole", "edit"), CI),
    )
    path = tmp_path / "c.json"
    path.write_bytes(
        orjson.dumps({"users": [{"id": "ada"}, {"id": "ci"}], "roles": made.roles, "role_changes": made.changes})
    )
    access = Access(load_context(path))

    def kind(who: str, verb: str, thing: str, name: str) -> str:
        return access.decide(*request(who, verb, thing, name)).kind

    assert kind("ada", "get", "pods/log", "web/api") == "permitted"
    assert kind("ada", "patch", "pods", "web/api") == "undeclared"  # no product over rules
    assert kind("ada", "get", "pods", "api/x") == "undeclared"
    assert kind("ci", "patch", "deployments", "api/x") == "permitted"
    assert kind("ci", "get", "path", "/metrics") == "permitted"
