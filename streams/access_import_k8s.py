"""Kubernetes RBAC objects as declared roles: of `kubectl get roles,clusterroles,rolebindings,clusterrolebindings -A`.

A row is made for each rule of a bound role: verbs on resources in the namespace of the binding, or in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.context_people import People
from streams.access_import_aws import Imported

Tree = Mapping[str, Any]


def from_k8s(document: Any, people: People, made: Imported) -> None:
    """Adds the roles that are bound to somebody but the cluster's own parts.

    Raises:
        ValueError: it holds no RBAC objects.
    """
    objects = list(_objects(document))
    rules = {
        (_kind(one), _meta(one, "namespace"), _meta(one, "name")): _listed(one.get("rules"))
        for one in objects
        if _kind(one) in ("Role", "ClusterRole")
    }
    bindings = [one for one in objects if _kind(one) in ("RoleBinding", "ClusterRoleBinding")]
    if not rules and not bindings:
        raise ValueError("holds no Role, ClusterRole or binding: give the output of kubectl get ... -A -o json")
    for binding in bindings:
        _add(made, binding, rules, people)


def _add(made: Imported, binding: Tree, rules: Mapping[tuple[str, str, str], list[Tree]], people: People) -> None:
    subjects = [one for one in _listed(binding.get("subjects")) if not _clusters_own(one)]
    reference = binding.get("roleRef")
    if not subjects or not isinstance(reference, dict):
        return
    space = _meta(binding, "namespace") if _kind(binding) == "RoleBinding" else ""
    name, kind = _text(reference, "name"), _text(reference, "kind")
    title = f"{name}@{space}" if space else name
    found = rules.get((kind, space if kind == "Role" else "", name))
    if found is None:
        made.remarks.append(f"{title}: {kind} {name} is bound, and not among the objects given")
        return
    for rule in found:
        _add_rule(made, title, space, rule)
    for subject in subjects:
        _hold(made, title, subject, people)


def _add_rule(made: Imported, title: str, space: str, rule: Tree) -> None:
    named = _texts(rule, "resources") or _texts(rule, "nonResourceURLs")
    if _texts(rule, "resourceNames"):
        made.remarks.append(f"{title}: resourceNames are not carried over")
    if named and _texts(rule, "verbs"):
        row = {"name": title, "system": "k8s", "verbs": _texts(rule, "verbs"), "resources": named}
        made.add(row | {"namespaces": [space or "*"]})


def _hold(made: Imported, title: str, subject: Tree, people: People) -> None:
    kind, name = _text(subject, "kind"), _text(subject, "name")
    if kind == "ServiceAccount":
        name = f"system:serviceaccount:{_text(subject, 'namespace') or 'default'}:{name}"
    owners = people.named("k8s", name) if kind != "Group" else frozenset()
    for person in sorted(owners):
        made.hold(person, "k8s", title)
    if not owners:
        made.remarks.append(f"{title}: {kind} {name} is nobody the context declares: say who holds it")


def _clusters_own(subject: Tree) -> bool:
    name = _text(subject, "name")
    if _text(subject, "kind") == "ServiceAccount":
        return _text(subject, "namespace") == "kube-system"
    return name.startswith("system:") and not name.startswith("system:serviceaccount:")


def _objects(document: Any) -> Iterator[Tree]:
    rows = document if isinstance(document, list) else [document]
    for row in rows:
        if isinstance(row, dict):
            yield from _listed(row.get("items")) if "items" in row else (row,)


def _kind(row: Tree) -> str:
    return _text(row, "kind")


def _meta(row: Tree, key: str) -> str:
    metadata = row.get("metadata")
    return _text(metadata, key) if isinstance(metadata, dict) else ""


def _listed(value: Any) -> list[Tree]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _texts(row: Tree, key: str) -> list[str]:
    value = row.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _text(row: Tree, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
