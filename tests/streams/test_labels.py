from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.case import Case, transition
from alerting.label import Label
from alerting.store_redis import RedisAlertStore
from audit.finding import Version
from rules.health import Verdicts
from streams.embedded import RedisServer
from streams.files import FileError
from streams.labels import COLUMNS, fetch_if_any, known, read, rows, to_lines, verdicts, write_parquet
from streams.settings import Settings
from tests.alerting.conftest import NOON, an_alert

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
times = st.integers(0, 4_000_000_000_000_000)
made = st.builds(
    Label,
    alert_id=text,
    verdict=st.sampled_from(["true_positive", "benign", "false_positive"]),
    by=text,
    at=times,
    how=st.sampled_from(["case", "asked", "check"]),
    time=times,
    principal=text,
    severity=st.sampled_from(["low", "medium", "high", "critical"]),
    title=text,
    detections=st.lists(text, max_size=4).map(tuple),
    event_ids=st.lists(text, max_size=4).map(tuple),
    version=st.builds(Version, text, text, text),
    case_version=st.just(0),
)


def a_label(number: int = 1, verdict: str = "benign", *detections: str) -> Label:
    version = Version("rules1", "models1", "context1")
    ids = (f"e{number}",)
    about = ("alice", "high", "Root login", detections or ("r1",), ids, version)
    return Label(f"a{number}", verdict, "carol", NOON + number, "case", NOON, *about)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.lists(made, max_size=8, unique_by=lambda label: label.alert_id))
def test_a_file_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, labels: list[Label]) -> None:
    folder = tmp_path_factory.mktemp("labels")
    lines, table = folder / "labels.jsonl", folder / "labels.parquet"
    lines.write_bytes(b"".join(line + b"\n" for line in to_lines(labels)))
    write_parquet(labels, table)
    assert read(lines) == labels
    assert sorted(read(table), key=str) == sorted(labels, key=str)


def test_a_table_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    write_parquet([a_label(1), a_label(2, "true_positive", "r1", "r2")], file)
    types = {name: kind for name, kind, *_ in duckdb.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()}
    assert types == COLUMNS
    each = "read_parquet(?), unnest(detections) AS one(detection)"
    query = f'SELECT verdict, detection, "at" FROM {each} ORDER BY alert_id, 2'
    found = duckdb.execute(query, [str(file)]).fetchall()
    assert [row[:2] for row in found] == [("benign", "r1"), ("true_positive", "r1"), ("true_positive", "r2")]
    assert found[0][2].isoformat() == "2026-01-31T12:00:00.000001"


def test_rows_name_every_column_and_versions() -> None:
    (row,) = rows([a_label()])
    assert list(row) == list(COLUMNS)
    assert (row["rules"], row["models"], row["context"], row["at"]) == ("rules1", "models1", "context1", NOON + 1)


def test_verdicts_by_detection() -> None:
    labels = [
        a_label(1, "true_positive", "r1", "r2"),
        a_label(2, "false_positive", "r1"),
        a_label(3, "benign", "r1"),
        a_label(4, "false_positive", "r3"),
    ]
    assert verdicts(labels) == {"r1": Verdicts(1, 1, 1), "r2": Verdicts(1, 0, 0), "r3": Verdicts(0, 0, 1)}
    assert verdicts([]) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "maybe"},
        {"how": "guess"},
        {"severity": "huge"},
        {"at": "yesterday"},
        {"at": 5},
        {"detections": "r1"},
        {"alert_id": None},
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "labels.jsonl"
    (line,) = to_lines([a_label()])
    bad = msgspec.json.encode(msgspec.json.decode(line) | change)
    file.write_bytes(line + b"\n" + bad)
    with pytest.raises(FileError, match=r"labels\.jsonl:2: no label"):
        read(file)


@pytest.mark.parametrize("content", [b"{", b"[]", b"PAR1nothing", b'{"alert_id": "a"}', b"\xff\xfe"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(FileError, match="label"):
        read(file)


def test_another_parquet_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.parquet"
    duckdb.execute(f"COPY (SELECT 1 AS one) TO '{file}' (FORMAT parquet)")
    with pytest.raises(FileError, match="these are no labels"):
        read(file)
    with pytest.raises(FileError, match="these are no labels"):
        read(tmp_path / "nowhere")


def test_what_somebody_who_knows_the_truth_would_say() -> None:
    real, not_real, nothing = an_alert(1), an_alert(2, event_ids=("x",)), an_alert(3, event_ids=())
    told = {label.alert_id: label.verdict for label in known([real, not_real, nothing], {"e2"})}
    assert told == {real.id: "true_positive", not_real.id: "false_positive", nothing.id: "false_positive"}


async def test_without_redis_there_are_none_and_redis_is_read(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert await fetch_if_any(Settings()) == []
    url = redis_server.url.removesuffix("/0") + "/9"
    store = RedisAlertStore.connect(url)
    await store.put(an_alert())
    case = transition(Case(an_alert().id), "benign", "carol", NOON)
    assert isinstance(case, Case)
    await store.save_case(case)
    assert [label.verdict for label in await fetch_if_any(Settings(redis=url))] == ["benign"]
    assert await fetch_if_any(Settings(redis=url), NOON + 1) == []
    await store._client.flushdb()
    await store.close()
