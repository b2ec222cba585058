import pytest

from audit.context_read import read_rows


def problems(tmp_path, text, name="c.yml"):
    path = tmp_path / name
    path.write_text(text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in read_rows(path).problems]


def test_every_mistake_of_a_file_is_told_with_its_line(tmp_path):
    text = """\
company: {domian: x.com}
user: []
users:
  - id: ada
    nmae: Ada
    kind: humman
    roles: engineer
    leave:
      - {start: 2026-01-01, ende: 2026-01-02, end: 2026-01-03}
  - name: nobody
    start_date: soon
  - just text
roles: engineer
ip_geo:
  - {prefix: 10.0.0.0/8, lat: north}
tickets:
  - {id: T-1, type: acess, opened: 2026-01-01}
observe_only: perhaps
"""
    assert sorted(problems(tmp_path, text), key=lambda told: int(told.split(":")[1])) == [
        "c.yml:1: company: unknown key 'domian': did you mean 'domain'?",
        "c.yml:2: the file: unknown key 'user': did you mean 'users'?",
        "c.yml:5: users: unknown key 'nmae': did you mean 'name'?",
        "c.yml:6: users.kind: 'humman' is not known: write one of human, service, contractor",
        "c.yml:7: users.roles: expected a list, got text",
        "c.yml:9: users.leave: unknown key 'ende': did you mean 'end'?",
        "c.yml:10: users: 'id' is missing: add it",
        "c.yml:11: users.start_date: 'soon' is no time: write 2026-03-31 or 2026-03-31T09:00:00Z",
        "c.yml:12: users: expected keys and values, found 'just text'",
        "c.yml:13: roles: expected a list of rows, each '- key: value'",
        "c.yml:15: ip_geo.lat: expected a number, got text",
        "c.yml:17: tickets.type: 'acess' is not known: write one of access, change, helpdesk, incident, pentest",
        "c.yml:18: observe_only: expected true or false",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("users: {ada: {}}", "expected a list of rows"),
        ("users: [[]]", "found a list"),
        ("- users", "not a mapping of sections"),
        ("users: [{id: [a]}]", "users.id: expected text, got a list"),
        ("users: [{id: a, identities: {okta: a@x}}]", "users.identities: expected a list, got text"),
        ("users: [{id: a, identities: [x]}]", "users.identities: expected keys and values, got a list"),
        ("users: [{id: a, roles: [~]}]", "users.roles: expected text, got nothing"),
        ("ip_geo: 5.mmdb", "no MaxMind database"),
        ("ip_geo: {a: b}", "expected a list of rows"),
        ("company: x", "company: expected keys and values, found 'x'"),
        ("observe_only: {a: b}", "expected true or false"),
        ("a: ]", "not YAML"),
        ("temporary_grants: [{user: a}]", "'system' is missing"),
        ("users: [{id: a, leave: [{start: 2026-01-01}]}]", "missing required field `end`"),
    ],
)
def test_wrong_shapes_are_told(tmp_path, text, what):
    (problem, *_) = problems(tmp_path, text)
    assert what in problem
    assert problem.startswith("c.yml:1: ")


def test_lines_in_json_are_told_too(tmp_path):
    assert problems(tmp_path, '{"users": [\n  {"id": "a"},\n  {"id": "b",\n   "nam": "B"}]}', "c.json") == [
        "c.json:4: users: unknown key 'nam': did you mean 'name'?"
    ]


def test_a_directory_is_merged_and_rows_know_where_they_come_from(tmp_path):
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "people.json").write_text('{"users": [{"id": "b"}, {"id": "c"}]}')
    (tmp_path / "a.yml").write_text("company: {domain: x.com}\nusers:\n- id: a\nobserve_only: true\n")
    (tmp_path / "z.yaml").write_text("company: {github_org: x, domain: x.com}\nobserve_only: false\n")
    (tmp_path / "notes.txt").write_text("users: [")
    rows = read_rows(tmp_path)
    assert rows.problems == []
    assert [person.id for person in rows.sections["users"]] == ["a", "b", "c"]
    file, place = rows.at("users", 2, "id")
    assert (file.path.name, place) == ("people.json", ("users", 1, "id"))
    declared = rows.declared()
    assert (declared.company.domain, declared.company.github_org, declared.observe_only) == ("x.com", "x", True)


def test_files_that_contradict_each_other_are_told(tmp_path):
    (tmp_path / "a.yml").write_text("company: {domain: x.com}\n")
    (tmp_path / "b.yml").write_text("company:\n  domain: y.com\n")
    (problem,) = read_rows(tmp_path).problems
    assert str(problem).endswith("b.yml:2: company.domain is declared differently in another file: keep one")


def test_missing_files_and_empty_directories_are_told(tmp_path):
    (problem,) = read_rows(tmp_path / "gone.yml").problems
    assert "cannot be read (No such file or directory)" in problem.what
    (problem,) = read_rows(tmp_path).problems
    assert "holds no .yml, .yaml or .json file" in problem.what


def test_numbers_booleans_and_accounts_get_their_types(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(
        "users: [{id: 1042, country: NO}]\n"
        "company: {aws_accounts: {old: 012345670123}}\n"
        "ip_geo: [{prefix: 10.0.0.0/8, lat: 52, lon: -1.5, asn: 64496}]\n"
    )
    declared = read_rows(path).declared()
    assert (declared.users[0].id, declared.users[0].country) == ("1042", "NO")
    assert declared.company.aws_accounts == {"old": "012345670123"}
    assert (declared.ip_geo[0].lat, declared.ip_geo[0].lon, declared.ip_geo[0].asn) == (52.0, -1.5, 64496)
