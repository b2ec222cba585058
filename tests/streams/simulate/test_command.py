from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from streams.commands.simulate import command


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, words)
    return result.exit_code, result.stdout, result.stderr


def test_it_writes_and_says_how_much_on_stderr_alone(tmp_path: Path) -> None:
    code, out, err = run("--out", str(tmp_path / "o"), "--users", "12", "--days", "2", "--seed", "3")
    assert (code, out) == (0, "")
    assert "events of 12 people over 2 days" in err
    assert len(err.splitlines()) == 1
    assert (tmp_path / "o" / "okta.jsonl.gz").stat().st_size > 0


def test_the_start_and_the_first_day_of_attacks_can_be_chosen(tmp_path: Path) -> None:
    code, _, _ = run(
        "--out", str(tmp_path / "o"), "--users", "12", "--days", "3", "--start", "2026-06-01", "--attack-after", "2"
    )
    assert code == 0
    assert "3 days from 2026-06-01" in (tmp_path / "o" / "README.md").read_text()
    assert '"start":"2026-06-03' in (tmp_path / "o" / "attacks.jsonl").read_text()


def test_people_who_go_round_decisions_are_added_on_request(tmp_path: Path) -> None:
    for name, more in (("plain", ()), ("more", ("--bypasses",))):
        assert run("--out", str(tmp_path / name), "--users", "12", "--days", "2", *more)[0] == 0
    plain, more_ = ((tmp_path / name / "attacks.jsonl").read_text() for name in ("plain", "more"))
    assert "self_grant" in more_
    assert "self_grant" not in plain


def test_a_foreign_folder_is_unusable_input(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    code, _, err = run("--out", str(tmp_path), "--users", "12", "--days", "1")
    assert code == 2
    assert "choose another folder" in err
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_impossible_numbers_are_unusable_input(tmp_path: Path) -> None:
    assert run("--out", str(tmp_path / "o"), "--users", "3")[0] == 2
    code, _, err = run("--out", str(tmp_path / "o"), "--users", "12", "--days", "2", "--attack-after", "5")
    assert code == 2
    assert "choose 0 to 1" in err
    assert not (tmp_path / "o").exists()
