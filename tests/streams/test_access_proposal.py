from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from audit.context import load_context
from streams.access_proposal import proposal
from streams.access_unused import State, Unused

YAML = """\
users:
  - id: ada
    roles: [read, "write", admin]
  - id: bob
    roles:
      - read
      - aws:admin   # for now
  - id: cy
    roles: [admin]
roles:
  - {name: read, system: aws, actions: ["ec2:Describe*", "sqs:List*"]}
  - {name: write, system: aws, actions: ["ec2:*"]}
  - name: admin
    system: aws
    actions:
      - iam:*
      - "s3:*"
"""


def unused(role: str, *users: str, action: str = "", state: State = "unused") -> Unused:
    return Unused(role, "aws", action, state, [*users], "2026-03-01")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "context.yml"
    path.write_text(YAML)
    return path


def changed(path: Path, *rows: Unused) -> list[str]:
    return [line for line in proposal(path, rows) if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_an_item_of_a_list_in_one_line_goes_out_of_it(path: Path) -> None:
    assert changed(path, unused("write", "ada")) == [
        '-    roles: [read, "write", admin]', "+    roles: [read, admin]"
    ]  # fmt: skip
    assert changed(path, unused("admin", "ada", "cy")) == [
        '-    roles: [read, "write", admin]', '+    roles: [read, "write"]', "-    roles: [admin]", "+    roles: []"
    ]  # fmt: skip


def test_an_item_on_a_line_of_its_own_goes_with_it(path: Path) -> None:
    assert changed(path, unused("admin", "bob")) == ["-      - aws:admin   # for now"]
    assert changed(path, unused("admin", action="s3:*")) == ['-      - "s3:*"']


def test_several_items_of_one_line_go_together(path: Path) -> None:
    rows = [unused("read", "ada"), unused("write", "ada"), unused("read", action="sqs:List*")]
    assert changed(path, *rows) == [
        '-    roles: [read, "write", admin]', "+    roles: [admin]",
        '-  - {name: read, system: aws, actions: ["ec2:Describe*", "sqs:List*"]}',
        '+  - {name: read, system: aws, actions: ["ec2:Describe*"]}',
    ]  # fmt: skip


def test_what_comes_of_it_is_a_context_still(path: Path) -> None:
    rows = [unused("write", "ada"), unused("admin", "bob"), unused("read", action="sqs:List*")]
    lines = path.read_text().splitlines()
    for line in changed(path, *rows):
        if line.startswith("-"):
            at = lines.index(line[1:])
            lines.pop(at)
        else:
            lines.insert(at, line[1:])
    path.write_text("\n".join(lines))
    known = load_context(path)
    assert [person.roles for person in known.declared.users] == [("read", "admin"), ("read",), ("admin",)]


def test_what_the_logs_cannot_tell_stays(path: Path) -> None:
    assert (
        proposal(path, [unused("write", "ada", state="not_observable"), unused("read", "bob", state="too_young")]) == []
    )


def test_a_name_that_stands_for_several_roles_goes_only_with_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text(
        "users:\n  - id: ada\n    roles:\n      - ro\n"
        "roles:\n  - {name: ro, system: aws, account: '1', actions: [a]}\n"
        "  - {name: ro, system: aws, account: '2', actions: [a]}\n"
    )
    assert changed(path, unused("ro", "ada")) == []
    assert changed(path, unused("ro", "ada"), unused("ro", "ada")) == ["-      - ro"]
    assert changed(path, unused("ro", action="a")) == []


def test_a_file_in_one_line_has_no_diff(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    users = [{"id": f"user-{number}", "roles": ["r"]} for number in range(200)]
    path.write_bytes(orjson.dumps({"users": users, "roles": [{"name": "r", "system": "aws"}]}))
    (line,) = proposal(path, [unused("r", "user-7")])
    assert "too long" in line


def test_laid_out_json_has_one(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    text = {"users": [{"id": "ada", "roles": ["r", "q"]}], "roles": [{"name": n, "system": "aws"} for n in "rq"]}
    path.write_bytes(orjson.dumps(text, option=orjson.OPT_INDENT_2))
    assert any(line.startswith("-") and '"r"' in line for line in proposal(path, [unused("r", "ada")]))
