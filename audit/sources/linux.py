"""Linux: lines of syslog, of the journal (journalctl -o json) and of the audit daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from msgspec.structs import replace

from audit.event import MICROSECONDS, AuditEvent, Outcome, Principal, Resource, rfc3339
from audit.sources import auditd, linux_messages, syslog
from audit.sources.deed import Deed
from audit.sources.fields import LAST_SECOND, NOBODY, UNTIMED, Unreadable, address, instant, mapping, record_id, text

_OURS = frozenset(
    ("message", "timestamp", "host", "program", "action", "outcome", "user", "target", "source_ip", "session")
) | {"resource", "authenticated", "repeated"}
"""Keys a line's own key=value pairs do not set: their author could call himself anybody."""

_OUTCOMES: dict[object, Outcome] = {"success": "success", "failure": "failure", "denied": "denied"}


def opened(line: str, arrival: int) -> dict[str, Any]:
    """The record a line becomes: `message` is the line, the rest what could be read from it.

    timestamp (RFC 3339), host, program, pid, action, outcome, user, target, resource {type, name}, source_ip,
    session, authenticated (false: `user` is only a claim), repeated; and the fields of an audit line as they are
    called there (type, auid, exe, ...). `arrival` (microseconds) lends its year to times that bear none.

    Raises:
        Unreadable: when it is blank, or bears a time that is none.
    """
    if not line.strip():
        raise Unreadable("it is a blank line")
    return _record(line, syslog.parse(line, arrival))


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of a record as `opened` gives it, or of a shipper's JSON with the line in `message` or MESSAGE.

    Raises:
        Unreadable: when there is no line in it.
    """
    if type(record.get("action")) is not str or type(record.get("message")) is not str:
        record = _shipped(record)
        raw = orjson.dumps(record)
    event = _event(record, raw)
    times = record.get("repeated")
    if type(times) is not int or not 1 < times <= linux_messages.MOST_REPEATED:
        return [event]
    return [_numbered(event, number) for number in range(times)]


def _record(line: str, parts: syslog.Line) -> dict[str, Any]:
    time, host = parts.time, parts.host
    found: dict[str, Any] = {}
    if auditd.is_audit(parts.text):
        stamp, node, fields = auditd.fields(parts.text)
        time = time if stamp == UNTIMED else stamp
        host = node or host
        deed = auditd.deed(fields, host)
        found.update(fields)
        for key in fields.keys() & _OURS:
            del found[key]
    else:
        deed = linux_messages.interpret(parts.program, parts.module, parts.text)
    found["message"] = line
    if time != UNTIMED:
        found["timestamp"] = rfc3339(time)
    if host is not None:
        found["host"] = host
    if parts.program is not None:
        found["program"] = parts.program
    if parts.pid is not None:
        found["pid"] = parts.pid
    _tell(found, deed)
    return found


def _tell(found: dict[str, Any], deed: Deed) -> None:
    action, outcome, user, target, resource, source_ip, session, authenticated, repeated = deed
    found["action"], found["outcome"] = action, outcome
    if user is not None:
        found["user"] = user
    if target is not None:
        found["target"] = target
    if source_ip is not None:
        found["source_ip"] = source_ip
    if session is not None:
        found["session"] = session
    if resource is not None:
        found["resource"] = {"type": resource[0], "name": resource[1]}
    if not authenticated:
        found["authenticated"] = False
    if repeated > 1:
        found["repeated"] = repeated


def _shipped(record: Mapping[str, Any]) -> dict[str, Any]:
    """A line inside a shipper's JSON, opened: its own fields are kept where the line has none."""
    if mapping(record.get("agent")).get("type") == "auditbeat":
        raise Unreadable("it is an Auditbeat document, not a log line: ship the audit log itself")
    line = record.get("MESSAGE")
    if type(line) is str and line.strip():
        return {**record, **_record(line, _journal(record, line))}
    line = record.get("message")
    if type(line) is not str or not line.strip():
        raise Unreadable("it has no message: not a log line")
    written = record.get("@timestamp")
    shipped = instant(record.get("timestamp") if written is None else written)
    parts = syslog.parse(line, shipped)
    return {**record, **_record(line, parts._replace(time=shipped) if parts.time == UNTIMED else parts)}


def _journal(record: Mapping[str, Any], line: str) -> syslog.Line:
    written = record.get("__REALTIME_TIMESTAMP")
    digits = type(written) is str and written.isascii() and written.isdecimal() and len(written) < 18
    time = int(str(written)) if digits else UNTIMED
    if time >= LAST_SECOND * MICROSECONDS:
        raise Unreadable(f"its time is outside the years 1970 to 9999: {written!r:.60}")
    program = text(record.get("SYSLOG_IDENTIFIER")) or text(record.get("_COMM"))
    return syslog.Line(time, text(record.get("_HOSTNAME")), program, None, text(record.get("_PID")), line.strip())


def _event(record: Mapping[str, Any], raw: bytes) -> AuditEvent:
    host, target = text(record.get("host")), text(record.get("target"))
    outcome = record.get("outcome")
    thing = mapping(record.get("resource"))
    kind, name = text(thing.get("type")), text(thing.get("name"))
    actor = _actor(text(record.get("user")), record.get("authenticated") is not False)
    return AuditEvent(
        id=record_id(None, raw),
        time=instant(record.get("timestamp")),
        source="linux",
        action=text(record.get("action")) or "linux.message",
        outcome=_OUTCOMES.get(outcome, "unknown") if type(outcome) is str else "unknown",
        actor=actor,
        target=Principal(target, target) if target and target != actor.id else None,
        resource=Resource(kind, name) if kind and name else Resource("host", host) if host else None,
        source_ip=address(record.get("source_ip")),
        session_id=text(record.get("session")),
        account=host,
        raw=raw,
    )


def _actor(user: str | None, authenticated: bool) -> Principal:
    if user is None:
        return NOBODY
    return Principal(user, user, "unknown", "asserted" if authenticated else "anonymous")


def _numbered(event: AuditEvent, number: int) -> AuditEvent:
    return replace(event, id=f"{event.id}#{number}")
