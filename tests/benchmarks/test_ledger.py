from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from alerting.ledger import keys_of
from benchmarks import ledger as benchmark

(KEY,) = keys_of("0123456789abcdef" * 2)


def test_the_records_are_as_many_as_it_says_and_all_are_checked(tmp_path: Path) -> None:
    benchmark.write(file := tmp_path / "ledger.jsonl", 2_000, KEY)
    report, seconds = benchmark.measured(file, KEY)
    assert report.sound
    assert (report.records, report.keyed, report.last.seq) == (2_000, 2_000, 2_000)
    assert seconds > 0
    file.write_bytes(file.read_bytes().replace(b'"severity":"high"', b'"severity":"lowe"', 1))
    assert benchmark.measured(file, KEY)[0].problems == [
        "record 1 is not as it was written, or follows another than it did"
    ]


@pytest.mark.parametrize(("goal", "code"), [(10_000.0, 0), (0.0, 1)])
def test_it_says_what_it_took_and_whether_that_is_too_much(
    goal: float, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "GOAL", goal)
    done = CliRunner().invoke(benchmark.main, ["--records", "2000"])
    assert done.exit_code == code
    assert done.output.startswith("2000 records, 1 MB: ")


def test_a_ledger_that_does_not_verify_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    write = benchmark.write
    monkeypatch.setattr(benchmark, "write", lambda file, count, key: write(file, count - 1, key))
    done = CliRunner().invoke(benchmark.main, ["--records", "2000"])
    assert done.exit_code == 1
    assert "1999 of 2000 records verified" in done.output
