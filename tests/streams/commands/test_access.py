from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.rules.accessing import COMPANY
from tests.streams.commands.conftest import Run, lines

SOURCES = ("okta", "cloudtrail", "github", "kubernetes")


@pytest.fixture
def words(organisation: Path) -> list[str]:
    files = [f"{name}={organisation / name}.jsonl.gz" for name in SOURCES]
    return [*files, "--context", str(organisation / "context.yml")]


@pytest.fixture
def company(tmp_path: Path) -> str:
    grant = {"user": "ada", "system": "aws", "role": "aws-admin", "start": "2026-03-02", "expires": "2026-03-05",
             "ticket": "A-1"}  # fmt: skip
    path = tmp_path / "context.json"
    path.write_bytes(orjson.dumps({**COMPANY, "temporary_grants": [grant]}))
    return str(path)


class TestReport:
    def test_the_organisations_attacks_show_and_its_ordinary_life_does_not(
        self, run: Run, words: list[str], organisation: Path
    ) -> None:
        done = run("access", "report", *words, "--json")
        assert done.exit_code == 0, done.stderr
        (report,) = lines(done.stdout)
        attacked = {name for line in lines(organisation / "attacks.jsonl") for name in line["event_ids"]}
        assert {change["event_id"] for change in report["changes"]} & attacked
        assert report["decisions"]["permitted"] > 0.9 * report["events"]
        assert not any(use["gap"] for use in report["uses"])

    def test_it_is_shown_and_written_as_a_page(self, run: Run, words: list[str], tmp_path: Path) -> None:
        page = tmp_path / "access.html"
        done = run("access", "report", *words, "--html", str(page))
        assert done.exit_code == 0, done.stderr
        assert "Shadow access" in done.stdout
        assert "Shadow access" in page.read_text()

    def test_the_page_alone_on_standard_output(self, run: Run, words: list[str]) -> None:
        done = run("access", "report", *words, "--html", "-")
        assert done.stdout.startswith("<!doctype html>")
        assert done.stdout.rstrip().endswith("</html>")

    def test_without_roles_it_says_how_to_begin(self, run: Run, words: list[str], tmp_path: Path) -> None:
        path = tmp_path / "empty.yml"
        path.write_text("users: [{id: ada}]\n")
        done = run("access", "report", words[0], "--context", str(path))
        assert done.exit_code == 2
        assert "docs/authorization.md" in done.stderr

    def test_without_events_there_is_none(self, run: Run, words: list[str]) -> None:
        done = run("access", "report", *words, "--since", "2040-01-01")
        assert done.exit_code == 2
        assert "no events" in done.stderr


class TestExplain:
    def test_a_role_that_permits_is_named(self, run: Run, company: str) -> None:
        done = run("access", "explain", "ada", "s3:GetObject", "acorn-web-x", "--context", company, "--account", "prod")
        assert (done.exit_code, done.stdout.splitlines()) == (0, ["permitted", "  role aws-web-prod, held"])

    def test_what_is_not_permitted_names_the_nearest(self, run: Run, company: str) -> None:
        done = run("access", "explain", "ada", "get pods/log", "payments", "--context", company)
        assert done.exit_code == 1
        assert done.stdout.splitlines()[0] == "undeclared"
        assert "nearest: k8s-web allows it on web" in done.stdout

    @pytest.mark.parametrize(
        ("at", "kind", "code"),
        [("2026-03-04", "permitted", 0), ("2026-03-07", "expired", 1), ("2026-03-01", "undeclared", 1)],
    )
    def test_as_of_a_time(self, run: Run, company: str, at: str, kind: str, code: int) -> None:
        done = run("access", "explain", "ada", "s3:PutObject", "q", "--context", company, "--at", at, "--json")
        (line,) = lines(done.stdout)
        assert (line["decision"], done.exit_code) == (kind, code)
        assert any("aws-admin" in why for why in line["why"])

    def test_applications(self, run: Run, company: str) -> None:
        assert run("access", "explain", "ada", "app", "Jira", "--context", company).exit_code == 0
        assert run("access", "explain", "ada", "app", "NetSuite", "--context", company).exit_code == 1

    def test_who_has_left_may_do_nothing(self, run: Run, company: str) -> None:
        words = ["access", "explain", "cy", "s3:GetObject", "web", "--context", company]
        done = run(*words, "--at", "2026-03-04")
        assert (done.exit_code, done.stdout.splitlines()) == (1, ["after_end", "  cy has left by then"])
        assert run(*words, "--at", "2026-02-04").exit_code == 0

    def test_nobody_and_no_system(self, run: Run, company: str) -> None:
        done = run("access", "explain", "mallory", "s3:GetObject", "--context", company)
        assert done.exit_code == 2
        assert "mallory" in done.stderr
        done = run("access", "explain", "ada", "sudo", "--system", "linux", "--context", company)
        assert done.exit_code == 1
        assert "no role of linux is declared" in done.stdout


class TestImport:
    def test_rows_for_the_context_out_of_both(self, run: Run, tmp_path: Path) -> None:
        statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
        (tmp_path / "reader.json").write_bytes(orjson.dumps({"Statement": [statement, {"Effect": "Deny"}]}))
        (tmp_path / "rbac.yml").write_text(
            "items:\n- {kind: Role, metadata: {name: r, namespace: web}, rules: [{resources: [pods], verbs: [get]}]}\n"
            "- {kind: RoleBinding, metadata: {name: b, namespace: web}, roleRef: {kind: Role, name: r},\n"
            "   subjects: [{kind: User, name: ada@x.com}]}\n"
        )
        people = tmp_path / "people.yml"
        people.write_text("users: [{id: ada, identities: {k8s: [ada@x.com]}}]\n")
        out = tmp_path / "context" / "roles.yml"
        out.parent.mkdir()
        words = [f"aws={tmp_path / 'reader.json'}", f"k8s={tmp_path / 'rbac.yml'}", "--context", str(people)]
        done = run("access", "import", *words, "--out", str(out))
        assert done.exit_code == 0, done.stderr
        assert "Deny is left out" in done.stderr
        people.rename(out.parent / "people.yml")
        assert run("access", "explain", "ada", "get pods", "web", "--context", str(out.parent)).exit_code == 0
        assert run("access", "explain", "ada", "get pods", "api", "--context", str(out.parent)).exit_code == 1

    @pytest.mark.parametrize("text", ["{}", "{", "[1]"])
    def test_a_file_that_is_neither_is_named(self, run: Run, tmp_path: Path, text: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        done = run("access", "import", f"aws={path}")
        assert done.exit_code == 2
        assert str(path) in done.stderr


def test_explain_mentions_duties_that_are_kept_apart(run: Run, tmp_path: Path) -> None:
    apart = {"name": "web", "roles": ["aws-web-prod", "aws:aws-admin"], "reason": "four eyes"}
    grant = {"user": "ada", "system": "aws", "role": "aws-admin", "start": "2026-03-02", "expires": "2026-03-05",
             "ticket": "A-1"}  # fmt: skip
    path = tmp_path / "context.json"
    path.write_bytes(orjson.dumps({**COMPANY, "temporary_grants": [grant], "separation_of_duties": [apart]}))
    words = ["access", "explain", "ada", "s3:GetObject", "acorn-web-x", "--context", str(path), "--at"]
    within = run(*words, "2026-03-03T12:00:00Z")
    assert within.exit_code == 0
    assert "separation of duties: aws-web-prod and aws:aws-admin are to be kept apart (web: four eyes)" in within.stdout
    assert "granted on A-1 since 2026-03-02 00:00 UTC until 2026-03-05 23:59 UTC" in within.stdout
    assert "separation of duties" not in run(*words, "2026-03-08T12:00:00Z").stdout
