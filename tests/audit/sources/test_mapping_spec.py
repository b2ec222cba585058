from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.sources.mapping_spec import FIELDS, Alternative, MappingError, Moment, Spec, read_spec

WHOLE = """\
source: acme
inside: data
required: [type, user.id]
id: [log_id, uuid]
time: [date, {from: ts, format: epoch_s, nanoseconds: nanos}]
action: type
outcome:
  from: [result, status]
  values: {ok: success, deny*: denied, denyall*: failure, "*_failed": failure, "*": unknown}
  otherwise: unknown
actor:
  id: {from: user.email, lower: true}
  kind: {constant: human}
target: {id: to}
resource: {type: {constant: item}, name: item.0.name}
source_ip: ip
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "acme.yml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(MappingError) as raised:
        read_spec(written(folder, text))
    return [problem.removeprefix(f"{folder}/") for problem in raised.value.problems]


def test_everything_a_file_can_say(tmp_path: Path) -> None:
    assert read_spec(written(tmp_path, WHOLE)) == Spec(
        source="acme",
        inside=("data",),
        required=(("type",), ("user", "id")),
        time=(Moment(("date",)), Moment(("ts",), "epoch_s", ("nanos",))),
        fields={
            "id": (Alternative((("log_id",),)), Alternative((("uuid",),))),
            "action": (Alternative((("type",),)),),
            "outcome": (
                Alternative(
                    paths=(("result",), ("status",)),
                    values={"ok": "success"},
                    starts=(("denyall", "failure"), ("deny", "denied"), ("", "unknown")),
                    ends=(("_failed", "failure"),),
                    otherwise="unknown",
                ),
            ),
            "source_ip": (Alternative((("ip",),)),),
            "actor.id": (Alternative((("user", "email"),), lower=True),),
            "actor.kind": (Alternative(constant="human"),),
            "target.id": (Alternative((("to",),)),),
            "resource.type": (Alternative(constant="item"),),
            "resource.name": (Alternative((("item", "0", "name"),)),),
        },
    )


BASE = "source: acme\ntime: date\naction: type\nactor: {id: user}\n"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (BASE + "sourceip: ip\n", ["acme.yml:5: `sourceip` is not known here: did you mean `source_ip`?"]),
        (
            BASE + "outcome: {from: r, values: {ok: sucess}}\n",
            ["acme.yml:5: `sucess` is no outcome: did you mean `success`?"],
        ),
        (BASE + "outcome: {from: r, otherwise: maybe}\n", ["known are success, failure, denied, unknown"]),
        (BASE + "target:\n  id: to\n  king: x\n", ["acme.yml:7: `king` is not known here: did you mean `kind`?"]),
        (
            "source: acme\naction: type\nactor: {id: user}\ntime: {from: t, format: epoch}\n",
            ["acme.yml:4: `epoch` is no format of a time: did you mean `epoch_s`?"],
        ),
        ("source: acme\n", ["`action` is missing", "`time` is missing", "`actor` is missing"]),
        ("source: acme\ntime: d\naction: t\nactor: {name: n}\n", ["acme.yml:4: `actor` has no `id`"]),
        (BASE.replace("acme", "Acme-1"), ["acme.yml:1: `source` must be a name of small letters"]),
        (BASE.replace("action: type", "action: a..b"), ["acme.yml:3: a path must stand here"]),
        (BASE.replace("action: type", "action: []"), ["acme.yml:3: a list of 1 to 16 must stand here: it has 0"]),
        (BASE + f"id: [{', '.join('a' * 17)}]\n", ["acme.yml:5: a list of 1 to 16 must stand here: it has 17"]),
        (BASE + "id: {values: {a: b}}\n", ["acme.yml:5: say `from: PATH`, or `constant: TEXT`"]),
        (BASE + "id: {from: a, values: {x*y: b}}\n", ["acme.yml:5: `x*y`: one * is allowed"]),
        (BASE + "id: {from: a, values: {'*y*': b}}\n", ["acme.yml:5: `*y*`: one * is allowed"]),
        (BASE + "id: {from: a, values: [b]}\n", ["acme.yml:5: `values` is a table"]),
        (BASE + "id: {from: a, values: {x: [b]}}\n", ["acme.yml:5: a text must stand here"]),
        (BASE + "id: {from: a, lower: yes}\n", ["acme.yml:5: `lower` is true or false"]),
        (BASE + "resource: item\n", ["acme.yml:5: a mapping must stand here, with type, name"]),
        ("- a\n", ["acme.yml:1: a mapping must stand here"]),
        ("source: [\n", ["acme.yml:2: not YAML"]),
        ("source: a\nsource: b\n", ["acme.yml:2: key 'source' is written twice"]),
        ("source: !!python/object/apply:os.system [id]\n", ["acme.yml:1:"]),
        ("", ["`action` is missing"]),
    ],
)
def test_mistakes_come_with_their_line(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    found = problems(tmp_path, text)
    for mistake in mistakes:
        assert any(mistake in problem for problem in found), found


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, BASE + "ide: x\nuser_agents: y\n")
    assert [problem.split(":")[1] for problem in found] == ["5", "6"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot be read"):
        read_spec(tmp_path / "missing.yml")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.sampled_from([WHOLE.encode()]).flatmap(lambda text: broken(text)))
def test_any_file_is_read_or_told_what_is_wrong(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(text)
    told: list[str] = []
    try:
        assert set(read_spec(path).fields) <= set(FIELDS)
    except MappingError as error:
        told = error.problems
    assert all(problem.startswith(f"{path}:") for problem in told)


def broken(text: bytes) -> st.SearchStrategy[bytes]:
    return st.tuples(
        st.integers(0, len(text) - 1), st.sampled_from([b"", b"[", b": ", b"\n", b"\xff", b"*a", b"- "])
    ).map(lambda cut: text[: cut[0]] + cut[1] + text[cut[0] + 1 :])
