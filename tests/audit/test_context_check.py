import pytest

from audit import context_check
from audit.context_read import read_rows

CONTRADICTIONS = """\
users:
  - id: ada
    identities: {okta: [ada@x.com], github: [ada], aws: ["arn:aws:sts::1:assumed-role/Eng/*"]}
    access_keys: [AKIA1]
    roles: [eng, "aws:eng", enge]
  - id: Ada
  - id: bob
    identities: {okta: [ADA@x.com], aws: ["arn:aws:sts::1:assumed-role/Eng/*", "*"], gihub: [bob], kubernetes: [""]}
    access_keys: [AKIA1]
    leave: [{start: 2026-02-02, end: 2026-02-01}]
    manager: carol
  - {id: ' '}
roles:
  - {name: eng, system: aws}
  - {name: eng, system: aws}
temporary_grants:
  - {user: adda, system: okta, role: eng, start: 2026-02-02, expires: 2026-02-01, ticket: T-2}
oncall:
  - {user: ada, start: 2026-02-02, end: 2026-02-02}
tickets:
  - {id: T-1, type: change, opened: 2026-01-01, approver: zoe}
  - {id: T-1, type: change, opened: 2026-01-01}
pentest_windows:
  - {id: P, start: 2026-01-01, end: 2026-01-02, source_ranges: [10.0.0.0/8, nowhere]}
ip_ranges:
  - {cidr: 10.0.0.1/8, kind: office}
  - {cidr: 10.0.0.0/8, kind: office}
  - {cidr: 10.0.0.0/8, kind: vpn}
ip_geo:
  - {prefix: 10.0.0.0/8, country: Germany, lat: 99}
"""


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(CONTRADICTIONS)
    rows = read_rows(path)
    assert rows.problems == []
    return rows


def test_every_contradiction_is_told_with_its_line(rows, tmp_path):
    told = sorted(str(one).replace(f"{tmp_path}/", "") for one in context_check.errors(rows))
    assert told == sorted(
        [
            "c.yml:6: users: user 'Ada' is declared already at c.yml:2: keep one",
            "c.yml:12: users: a user with an empty id: give it one",
            "c.yml:22: tickets: ticket 'T-1' is declared already at c.yml:21: keep one",
            "c.yml:8: users: okta 'ada@x.com' belongs already to 'ada' (c.yml:2): give it to one person",
            "c.yml:9: users: access key 'AKIA1' belongs already to 'ada' (c.yml:2): give it to one person",
            "c.yml:8: users: an empty identity of 'bob': remove it",
            "c.yml:8: users: '*' matches everybody: name a role, an account or a person in it",
            "c.yml:8: users: unknown system 'gihub': did you mean 'github'?",
            "c.yml:15: roles: role 'eng' of aws is declared already at c.yml:14: keep one",
            "c.yml:5: users: 'ada' has role 'enge', which is not declared: did you mean 'eng'?",
            "c.yml:17: temporary_grants: role 'eng' is declared for aws, not for 'okta': correct it",
            "c.yml:17: temporary_grants: user 'adda' is not declared: did you mean 'ada'?",
            "c.yml:17: temporary_grants: expires is before start: correct one",
            "c.yml:10: users: leave ends before it starts: correct one",
            "c.yml:24: pentest_windows: 'nowhere' is no network ('nowhere' does not appear to be an IPv4 or IPv6 "
            "network): write one such as 10.0.0.0/8",
            "c.yml:26: ip_ranges: '10.0.0.1/8' is no network (10.0.0.1/8 has host bits set): write "
            "one such as 10.0.0.0/8",
            "c.yml:28: ip_ranges: '10.0.0.0/8' is declared already at c.yml:27: keep one",
            "c.yml:30: ip_geo: 'Germany' is no country: write two letters such as DE (ISO 3166-1)",
            "c.yml:30: ip_geo: lat 99.0 is outside -90 to 90 degrees: correct it",
        ]
    )


def test_references_beyond_the_files_are_warnings(rows):
    assert [one.what for one in context_check.warnings(rows)] == [
        "users: manager 'carol' is not declared: declare it or correct the name",
        "tickets: approver 'zoe' is not declared: declare it or correct the name",
        "temporary_grants: ticket 'T-2' is not declared: declare it or correct the name",
    ]


def test_roles_may_be_named_before_any_are_declared(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("users: [{id: ada, roles: [eng]}]\n")
    assert context_check.errors(read_rows(path)) == []


@pytest.mark.parametrize("pattern", ["*", "**", "arn:aws:iam::*:*", "arn:aws:sts::*:assumed-role/*/*", "*/*"])
def test_patterns_that_match_everybody_are_refused(tmp_path, pattern):
    path = tmp_path / "c.yml"
    path.write_text(f"users: [{{id: ada, identities: {{aws: ['{pattern}']}}}}]\n")
    (problem,) = context_check.errors(read_rows(path))
    assert "matches everybody" in problem.what


@pytest.mark.parametrize("pattern", ["arn:aws:sts::1:assumed-role/*", "*/ada@x.com", "arn:aws:iam::*:role/Eng*"])
def test_patterns_that_name_something_are_taken(tmp_path, pattern):
    path = tmp_path / "c.yml"
    path.write_text(f"users: [{{id: ada, identities: {{aws: ['{pattern}']}}}}]\n")
    assert context_check.errors(read_rows(path)) == []


def test_one_person_may_bear_a_name_twice(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("users: [{id: ada, identities: {k8s: [ada], kubernetes: [Ada]}}]\n")
    assert context_check.errors(read_rows(path)) == []


def test_conditions_of_roles_are_checked_with_their_lines(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(
        "roles:\n  - name: eng\n    system: aws\n    conditions:\n      hours: 8-18\n      weekdays: [mon, monday]\n"
        "      networks: [office, 10.0.0.0/8, nowhere]\n"
    )
    told = [(one.line, one.what) for one in context_check.errors(read_rows(path))]
    assert [line for line, _ in told] == [5, 6, 7]
    assert "write 08:00-18:00" in told[0][1]
    assert "'monday'" in told[1][1]
    assert "office, vpn, internal" in told[2][1]


def test_conditions_are_read_and_unknown_ones_are_errors(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(
        "roles:\n  - {name: eng, system: aws, break_glass: true, conditions: {mfa: true, hours: '22:00-06:00'}}\n"
    )
    rows = read_rows(path)
    assert (rows.problems, context_check.errors(rows)) == ([], [])
    (role,) = rows.declared().roles
    assert role.break_glass
    assert (role.conditions.mfa, role.conditions.hours, role.conditions.sensitive) == (True, "22:00-06:00", True)
    path.write_text("roles:\n  - name: eng\n    system: aws\n    conditions: {mfaa: true}\n")
    (problem,) = read_rows(path).problems
    assert (problem.line, "did you mean 'mfa'" in problem.what) == (4, True)
