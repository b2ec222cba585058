from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.event import Principal
from rules.compile import RuleSet
from rules.condition import Leaf, Not, Or
from rules.document import RuleError, read
from rules.logsource import LogSource
from rules.mapping import FieldMapping, lens, read_mapping, shipped
from tests.rules.conftest import view
from tests.rules.test_sigma import errors_of

RuleSetOf = Callable[..., RuleSet]

MAPPING = """mapping: Ours
logsource: {product: acme}
sources: [okta]
fields:
  User: actor.name
  Result:
    paths: [outcome.code, auditwatch.outcome]
    values: {Good: ['0', 'done*'], Bad: '1'}
  data.*: body.*
  Tag: 'tags[key=Owner].value'
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Callable[[str], tuple[list[FieldMapping], list[str]]]:
    def make(text: str) -> tuple[list[FieldMapping], list[str]]:
        path = tmp_path / "mapping.yml"
        path.write_text(text)
        errors: list[RuleError] = []
        found = [one for document in read(path)[0] for one in read_mapping(document, errors)]
        return found, [str(error).removeprefix(f"{path}:") for error in errors]

    return make


MappingOf = Callable[[str], tuple[list[FieldMapping], list[str]]]


def test_a_field_means_itself_and_what_it_is_mapped_to(mapping: MappingOf) -> None:
    found, errors = mapping(MAPPING)
    sight = lens(found, LogSource("acme", "audit"))
    assert errors == []
    assert sight is not None
    assert sight.sources == ("okta",)
    assert sight.name("User") == "User|actor.name"
    assert sight.name("user") == "user|actor.name"
    assert sight.name("actor.name") == "actor.name"
    assert sight.name("data.request.id") == "data.request.id|body.request.id"
    assert sight.name("datum.x") == "datum.x"
    assert sight.name("auditwatch.action") == "auditwatch.action"
    with pytest.raises(KeyError, match="actoin"):
        sight.name("auditwatch.actoin")


def test_values_have_other_names_too_where_equality_is_asked(mapping: MappingOf) -> None:
    sight = lens(mapping(MAPPING)[0], LogSource("acme"))
    assert sight is not None
    name = "Result|outcome.code|auditwatch.outcome"
    assert sight.see(Not(Leaf("Result", "equals", "gOOd"))) == Not(
        Or((Leaf(name, "equals", "gOOd"), Leaf(name, "equals", "0"), Leaf(name, "glob", "done*")))
    )
    assert sight.see(Leaf("Result", "equals", "else")) == Leaf(name, "equals", "else")
    assert sight.see(Leaf("Result", "contains", "Good")) == Leaf(name, "contains", "Good")
    assert sight.see(Leaf("x", "fieldref", "User")) == Leaf("x", "fieldref", "User|actor.name")
    assert sight.see(Leaf(None, "contains", "User")) == Leaf(None, "contains", "User")


def test_the_more_specific_mapping_wins_and_says_the_sources(mapping: MappingOf) -> None:
    special = MAPPING.replace("product: acme", "product: acme, service: vpn").replace("actor.name", "login")
    found, _ = mapping(f"{special.replace('[okta]', '[github, gcp]')}---\n{MAPPING}")
    vpn, other = lens(found, LogSource("acme", "vpn")), lens(found, LogSource("acme", "x"))
    assert vpn is not None
    assert other is not None
    assert (vpn.sources, vpn.name("User")) == (("github", "gcp"), "User|login")
    assert (other.sources, other.name("User")) == (("okta",), "User|actor.name")


def test_without_a_mapping_the_product_is_the_source(mapping: MappingOf) -> None:
    plain, anything, nothing = (lens([], one) for one in (LogSource("okta"), LogSource("auditwatch"), LogSource()))
    assert plain is not None
    assert (plain.sources, plain.fields) == (("okta",), {})
    assert anything is not None
    assert anything.sources == ()
    assert nothing is None
    assert lens([], LogSource(category="process_creation")) is None


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("sources:", "source:", "3:1: unknown key 'source': did you mean 'sources'?"),
        ("{product: acme}", "{}", "2:1: a mapping says whose fields these are: logsource: with product:"),
        ("[okta]", "[1]", "3:1: sources must be a list of names: sources: [entra]"),
        ("actor.name", "'[]x'", "5:3: '[]x' is no path"),
        ("actor.name", "auditwatch.actoin", "5:3: no field 'actoin' in the normalised event: did you mean 'action'?"),
        ("actor.name", "[1]", "5:3: User has no path: a path in the record, or a list of them"),
        ("paths:", "path:", "7:5: unknown key 'path' in fields.Result: did you mean 'paths'?"),
        ("body.*", "body", "9:3: data.* and body do not fit: end both with .* or neither"),
        ("Bad: '1'", "Bad: 1", "8:5: values of Result must be a mapping"),
        ("tags[key=Owner].value", "tags[key=Owner", "10:3: 'tags[key=Owner' is no path"),
    ],
)
def test_what_is_wrong_has_a_place(mapping: MappingOf, old: str, new: str, error: str) -> None:
    assert old in MAPPING
    found, errors = mapping(MAPPING.replace(old, new, 1))
    assert found == []
    assert any(one.startswith(error) for one in errors), errors


RULE = """title: A rule
id: 11111111-1111-4111-8111-111111111111
logsource: {product: acme}
detection: {s: {User: bob, Tag: red}, condition: s}
"""


def test_a_mapping_beside_the_rules_counts(rule_set: RuleSetOf) -> None:
    (rule,) = rule_set(RULE, MAPPING).rules
    assert rule.sources == ("okta",)
    tags = [{"key": "x", "value": "red"}, {"key": "owner", "value": "Red"}]
    assert rule.matches(view({"actor": {"name": "Bob"}, "tags": tags}))
    assert not rule.matches(view({"actor": {"name": "Bob"}, "tags": tags[:1]}))
    assert rule.matches(view({"User": "bob", "Tag": "RED"}))
    assert [said for said, _ in rule.evidence] == ["User is bob", "Tag is red"]


def test_the_content_of_a_mapping_is_in_the_hash(rule_set: RuleSetOf) -> None:
    assert rule_set(RULE, MAPPING).hash != rule_set(RULE, MAPPING.replace("actor.name", "login")).hash


def test_a_broken_mapping_keeps_the_rules_from_loading(rule_set: RuleSetOf) -> None:
    assert errors_of(rule_set, RULE, MAPPING.replace("sources:", "source:")) == [
        "3:1: unknown key 'source': did you mean 'sources'?"
    ]


NATIVE: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "{product: azure, service: signinlogs}",
        "{ResultType: 50057, ResultDescription: Failure}",
        {
            "resultType": "50057",
            "properties": {
                "status": {
                    "failureReason": "User account is disabled. The account has been disabled by an administrator."
                }
            },
        },
        {"resultType": "50057", "properties": {"status": {"failureReason": "Other."}}},
    ),
    (
        "{product: azure, service: signinlogs}",
        "{properties.message: Device Code, Status: Success}",
        {"properties": {"authenticationProtocol": "deviceCode"}},
        {"properties": {"authenticationProtocol": "oAuth2"}},
    ),
    (
        "{product: azure, service: auditlogs}",
        "{ConsentContext.IsAdminConsent: 'false'}",
        {
            "targetResources": [
                {
                    "modifiedProperties": [
                        {"displayName": "ConsentContext.IsAppOnly", "newValue": '"True"'},
                        {"displayName": "ConsentContext.IsAdminConsent", "newValue": '"False"'},
                    ]
                }
            ]
        },
        {
            "targetResources": [
                {
                    "modifiedProperties": [
                        {"displayName": "ConsentContext.IsAppOnly", "newValue": '"False"'},
                        {"displayName": "ConsentContext.IsAdminConsent", "newValue": '"True"'},
                    ]
                }
            ]
        },
    ),
    (
        "{product: gcp, service: gcp.audit}",
        "{gcp.audit.method_name|endswith: Accounts.delete, data.protoPayload.authorizationInfo.granted: 'true'}",
        {"protoPayload": {"methodName": "v1.serviceAccounts.delete", "authorizationInfo": [{"granted": True}]}},
        {"protoPayload": {"methodName": "v1.serviceAccounts.delete", "authorizationInfo": [{"granted": False}]}},
    ),
    (
        "{product: gcp, service: google_workspace.admin}",
        "{eventService: admin.googleapis.com, eventName: CHANGE, setting_name|startswith: Context}",
        {
            "id": {"applicationName": "admin"},
            "events": [{"name": "CHANGE", "parameters": [{"name": "SETTING_NAME", "value": "ContextAware"}]}],
        },
        {
            "id": {"applicationName": "admin"},
            "events": [{"name": "CHANGE", "parameters": [{"name": "NEW_VALUE", "value": "ContextAware"}]}],
        },
    ),
    (
        "{product: m365, service: threat_management}",
        "{eventSource: SecurityComplianceCenter, eventName: Impossible travel activity, status: success}",
        {"Workload": "SecurityComplianceCenter", "Operation": "AlertTriggered", "Name": "Impossible travel activity"},
        {"Workload": "SecurityComplianceCenter", "Operation": "AlertTriggered", "Name": "Other"},
    ),
    (
        "{product: m365, service: audit}",
        "{RequestType: 'Cmsi:Cmsi'}",
        {"ExtendedProperties": [{"Name": "UserAgent", "Value": "x"}, {"Name": "RequestType", "Value": "Cmsi:Cmsi"}]},
        {"ExtendedProperties": [{"Name": "UserAgent", "Value": "Cmsi:Cmsi"}]},
    ),
]


@pytest.mark.parametrize(("logsource", "selection", "hit", "miss"), NATIVE)
def test_rules_written_for_other_products_match_native_records(
    rule_set: RuleSetOf, logsource: str, selection: str, hit: dict[str, Any], miss: dict[str, Any]
) -> None:
    text = f"title: x\nlogsource: {logsource}\ndetection: {{s: {selection}, condition: s}}\n"
    (rule,) = rule_set(text).rules
    assert rule.matches(view(hit))
    assert not rule.matches(view(miss))


def test_the_target_of_an_entra_audit_event_may_be_normalised(rule_set: RuleSetOf) -> None:
    text = (
        "title: x\nlogsource: {product: azure, service: auditlogs}\n"
        "detection: {s: {Target|contains: bob}, condition: s}\n"
    )
    assert rule_set(text).rules[0].matches(view({}, target=Principal("b", "Bob@example.com")))


def test_the_mappings_that_ship_name_only_sources_there_are() -> None:
    assert len(shipped()) > 10
    assert {source for one in shipped() for source in one.sources} == {
        *("cloudtrail", "entra", "gcp", "google_workspace", "kubernetes", "o365", "atlassian", "duo"),
    }
