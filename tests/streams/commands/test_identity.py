from __future__ import annotations

from pathlib import Path

import pytest

from audit.context import load_context
from tests.streams.commands.conftest import Run, lines


@pytest.fixture
def words(organisation: Path) -> list[str]:
    return [f"{name}={organisation / name}.jsonl.gz" for name in ("okta", "cloudtrail", "github", "kubernetes")]


def test_with_a_context_nearly_all_is_of_somebody(run: Run, words: list[str], organisation: Path) -> None:
    done = run("identity", "report", *words, "--context", organisation / "context.yml")
    assert done.exit_code == 0, done.stderr
    share = float(done.stdout.split("accounts; ")[1].split("%")[0])
    assert share >= 99
    accounts = lines(run("identity", "report", *words, "--context", organisation / "context.yml", "--json").stdout)
    assert sum(each["events"] for each in accounts) == int(done.stdout.split()[0])
    assert all(each["how"] for each in accounts)


def test_without_one_it_proposes_rows_that_load(run: Run, place: Path, words: list[str]) -> None:
    assert "0.0% are of somebody declared" in run("identity", "report", *words).stdout
    (place / "new.yml").write_text(run("identity", "report", *words, "--propose").stdout)
    users = load_context(place / "new.yml").declared.users
    assert {"service", "human"} == {person.kind for person in users}
    resolved = run("identity", "report", *words, "--context", "new.yml").stdout
    assert float(resolved.split("accounts; ")[1].split("%")[0]) > 95


def test_an_account_is_explained(run: Run, words: list[str], organisation: Path) -> None:
    person = next(
        one for one in load_context(organisation / "context.yml").declared.users if "github" in one.identities
    )
    done = run("identity", "explain", person.id, *words, "--context", organisation / "context.yml")
    login = person.identities["github"][0]
    assert f"name {login} in github: {person.id}" in done.stdout
    assert f"({person.kind}, verified)" in done.stdout
    nobody = run("identity", "explain", "nobody-such", *words)
    assert nobody.exit_code == 2
    assert "auditwatch identity report" in nobody.stderr
