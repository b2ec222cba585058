from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.event import AuditEvent, from_line, parse_rfc3339, to_line
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.mapping import LONGEST_JSON, Normaliser, lazily, load_mapping
from audit.sources.mapping_spec import MappingError
from tests.audit.sources.golden import plain

MAPPING = """\
source: acme
inside: data
required: [type]
id: [log_id, uuid]
time: [date, {from: ts, format: epoch_ms}, {from: at.seconds, format: epoch_s, nanoseconds: at.nanos}]
action: [{from: type, values: {l: login}}, type]
outcome:
  from: [ok, result]
  values: {"true": success, "false": failure, deny*: denied, "*_failed": failure, denied: unknown}
actor:
  id: [{from: user.email, lower: true}, user.id]
  name: user.name
  kind: {from: user.id, values: {"*": human}, otherwise: service}
  identity: {from: result, values: {"*_failed": anonymous}}
target: {id: to.0.email, name: to.0.name}
resource: {type: {constant: item}, name: item}
source_ip: [details.ip, ip]
country: country
asn: asn
user_agent: ua
session_id: session
account: tenant
"""
RECORD: dict[str, Any] = {
    "type": "l",
    "log_id": "1",
    "date": "2026-03-02 08:15:30 UTC",
    "ok": True,
    "user": {"email": "Ada@Acme.example", "id": 7, "name": "Ada"},
    "to": [{"email": "bob@acme.example"}],
    "item": "Plan",
    "details": '{"ip": "198.51.100.7:443"}',
    "ip": "192.0.2.1",
    "country": "at",
    "asn": "AS64500",
    "ua": "curl",
    "session": 5,
    "tenant": "t",
}


@pytest.fixture(scope="module")
def normalise(tmp_path_factory: pytest.TempPathFactory) -> Normaliser:
    path = tmp_path_factory.mktemp("maps") / "acme.yml"
    path.write_text(MAPPING)
    name, loaded = load_mapping(path)
    assert name == "acme"
    return loaded


def one(normalise: Normaliser, record: dict[str, Any]) -> AuditEvent:
    [event] = normalise(record, orjson.dumps(record))
    assert event.raw == orjson.dumps(record)
    return event


def test_every_field(normalise: Normaliser) -> None:
    event = one(normalise, {"data": RECORD})
    assert {name: plain(getattr(event, name)) for name in event.__struct_fields__ if name not in ("raw", "marks")} == {
        "id": "1",
        "time": parse_rfc3339("2026-03-02T08:15:30Z"),
        "source": "acme",
        "action": "login",
        "outcome": "success",
        "actor": ("ada@acme.example", "Ada", "human", "asserted"),
        "target": ("bob@acme.example", "bob@acme.example", "unknown", "asserted"),
        "resource": ("item", "Plan"),
        "source_ip": "198.51.100.7",
        "country": "AT",
        "asn": 64500,
        "user_agent": "curl",
        "session_id": "5",
        "account": "t",
    }
    assert from_line(to_line(event)) == event


def changed(**fields: Any) -> dict[str, Any]:
    return {"data": RECORD | fields}


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"type": "other"}, "action", "other"),
        ({"ok": None, "result": "denyall"}, "outcome", "denied"),
        ({"ok": None, "result": "denied"}, "outcome", "unknown"),  # the whole word before its beginning
        ({"ok": None, "result": "login_failed"}, "outcome", "failure"),
        ({"ok": None, "result": "perhaps"}, "outcome", "unknown"),
        ({"ok": None, "result": {}}, "outcome", "unknown"),
        ({"result": "x_failed"}, "actor", ("ada@acme.example", "Ada", "human", "anonymous")),
        ({"user": {"id": 7}}, "actor", ("7", "7", "human", "asserted")),
        ({"user": {"email": "A@b"}}, "actor", ("a@b", "a@b", "service", "asserted")),
        ({"user": None}, "actor", ("unknown", "unknown", "unknown", "anonymous")),
        ({"to": [{"email": "ADA@acme.example"}]}, "target", None),
        ({"to": []}, "target", None),
        ({"to": {"0": {"email": "b@c"}}}, "target", ("b@c", "b@c", "unknown", "asserted")),
        ({"item": ""}, "resource", None),
        ({"details": "{"}, "source_ip", "192.0.2.1"),
        ({"details": "[]"}, "source_ip", "192.0.2.1"),
        ({"details": '{"ip": "' + " " * LONGEST_JSON + '"}'}, "source_ip", "192.0.2.1"),
        ({"details": {"ip": "mail.example"}}, "source_ip", None),
        ({"asn": "AS4294967296"}, "asn", None),
        ({"asn": "9" * 5000}, "asn", None),
        ({"country": "Austria"}, "country", None),
        ({"log_id": None, "uuid": "u"}, "id", "u"),
        ({"date": None, "ts": 1772439330123}, "time", 1772439330123000),
        ({"date": None, "ts": "1772439330123"}, "time", 1772439330123000),
        ({"date": "soon", "ts": 1772439330123}, "time", 1772439330123000),
        ({"date": None, "at": {"seconds": 5, "nanos": 37_000_000}}, "time", 5_037_000),
        ({"date": None, "at": {"seconds": 5.5, "nanos": "x"}}, "time", 5_500_000),
        ({"date": None}, "time", UNTIMED),
        ({"date": ""}, "time", UNTIMED),
    ],
)
def test_fields(normalise: Normaliser, fields: dict[str, Any], name: str, value: Any) -> None:
    assert plain(getattr(one(normalise, changed(**fields)), name)) == value


def test_a_record_that_is_not_wrapped_is_read_as_it_is(normalise: Normaliser) -> None:
    assert one(normalise, RECORD).actor == one(normalise, {"data": RECORD}).actor


def test_a_record_without_an_id_is_known_by_its_hash(normalise: Normaliser) -> None:
    first, second = (one(normalise, changed(log_id=None, item=item)) for item in ("a", "b"))
    assert first.id.startswith("sha256:")
    assert first.id != second.id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": None}, "it has no type: not a record of acme"),
        ({"type": []}, "it names no action"),
        ({"date": "soon"}, "its time cannot be read"),
        ({"date": None, "ts": -1}, "no count of milliseconds"),
        ({"date": None, "ts": "9" * 5000}, "no count of milliseconds"),
        ({"date": None, "at": {"seconds": 10**13}}, "no count of milliseconds"),
        ({"date": None, "at": {"seconds": "x"}}, "no count of milliseconds"),
    ],
)
def test_unreadable_records(normalise: Normaliser, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        one(normalise, changed(**fields))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ip", "0", "email"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(RECORD)), values, max_size=8))
def test_nothing_but_unreadable_is_raised(normalise: Normaliser, fields: dict[str, Any]) -> None:
    try:
        [event] = normalise({"data": RECORD | fields}, b"{}")
    except Unreadable:
        return
    assert from_line(to_line(event)) == event


def test_a_file_that_ships_is_read_with_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "late.yml"
    normalise = lazily(path)
    path.write_text(MAPPING)
    assert one(normalise, RECORD).action == "login"
    path.unlink()
    assert one(normalise, RECORD).action == "login"  # and not again


def test_a_wrong_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "acme.yml"
    path.write_text(MAPPING + "adress: ip\n")
    with pytest.raises(MappingError, match=f"{path}:{MAPPING.count(chr(10)) + 1}: `adress` is not known here"):
        load_mapping(path)
