"""A source from one YAML file and no code: see mapping_spec.py for the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson

from audit.event import MICROSECONDS, ActorKind, AuditEvent, Identity, Outcome, Principal, Resource
from audit.sources.fields import (
    LONGEST_TEXT,
    NOBODY,
    UNTIMED,
    Unreadable,
    country_code,
    endpoint,
    instant,
    mapping,
    milliseconds,
    record_id,
    text,
)
from audit.sources.mapping_spec import Alternative, Moment, Spec, Steps, read_spec

LONGEST_JSON = 32_768
"""Characters of a text that a path may enter as JSON."""

Record = Mapping[str, Any]
Normaliser = Callable[[Record, bytes], list[AuditEvent]]
Getter = Callable[[Record], str | None]


def load_mapping(path: Path) -> tuple[str, Normaliser]:
    """The name of the source a file declares, and its normaliser, which raises Unreadable and nothing else.

    Raises:
        MappingError: when the file is wrong: all its mistakes, each with path and line.
    """
    spec = read_spec(path)
    return spec.source, normaliser(spec)


def lazily(path: Path) -> Normaliser:
    """The normaliser of a file that is read with the first record: for the files that ship."""

    @cache
    def loaded() -> Normaliser:
        return load_mapping(path)[1]

    return lambda record, raw: loaded()(record, raw)


def normaliser(spec: Spec) -> Normaliser:
    """The function a spec stands for."""
    get = {name: _getter(alternatives) for name, alternatives in spec.fields.items()}
    nothing: Getter = lambda record: None  # noqa: E731
    (identifier, action, outcome, source_ip, country, asn, agent, session, account) = (
        get.get(name, nothing)
        for name in ("id", "action", "outcome", "source_ip", "country", "asn", "user_agent", "session_id", "account")
    )
    actor, target, resource = _principal(get, "actor"), _principal(get, "target"), _resource(get)

    def normalise(record: Record, raw: bytes) -> list[AuditEvent]:
        body = mapping(_reach(record, spec.inside)) or record if spec.inside else record
        for steps in spec.required:
            if _reach(body, steps) is None:
                raise Unreadable(f"it has no {'.'.join(steps)}: not a record of {spec.source}")
        done = action(body)
        if done is None:
            raise Unreadable(f"it names no action: not a record of {spec.source}")
        who = actor(body) or NOBODY
        whom = target(body)
        return [
            AuditEvent(
                id=record_id(identifier(body), raw),
                time=_time(body, spec.time),
                source=spec.source,
                action=done,
                outcome=cast(Outcome, outcome(body) or "unknown"),
                actor=who,
                target=whom if whom is not None and whom.id.lower() != who.id.lower() else None,
                resource=resource(body),
                source_ip=endpoint(source_ip(body)),
                country=country_code(country(body)),
                asn=_asn(asn(body)),
                user_agent=agent(body),
                session_id=session(body),
                account=account(body),
                raw=raw,
            )
        ]

    return normalise


def _reach(record: object, steps: Steps) -> object:
    for step in steps:
        if type(record) is dict:
            record = record.get(step)
        elif type(record) is list:
            record = record[int(step)] if step.isdecimal() and len(step) < 5 and int(step) < len(record) else None
        elif type(record) is str:
            record = _opened(record).get(step)
        else:
            return None
    return record


def _opened(written: str) -> Record:
    if not written.startswith("{") or len(written) > LONGEST_JSON:
        return {}
    try:
        return mapping(orjson.loads(written))
    except orjson.JSONDecodeError:
        return {}


def _getter(alternatives: tuple[Alternative, ...]) -> Getter:
    """Reads the first alternative that a record holds; the plain case, one path, is kept short."""
    if len(alternatives) == 1 and alternatives[0] == Alternative(alternatives[0].paths) and alternatives[0].paths:
        (steps,) = alternatives[0].paths
        return lambda record: _word(_reach(record, steps))

    def get(record: Record) -> str | None:
        for alternative in alternatives:
            found = _found(record, alternative)
            if found is not None:
                return found
        return None

    return get


def _found(record: Record, alternative: Alternative) -> str | None:
    if alternative.constant is not None:
        return alternative.constant
    for steps in alternative.paths:
        value = _word(_reach(record, steps))
        if value is not None:
            break
    else:
        return alternative.otherwise
    if alternative.values is not None:
        return _translated(value, alternative)
    return value.lower() if alternative.lower else value


def _word(value: object) -> str | None:
    if type(value) is bool:
        return "true" if value else "false"
    return text(value)


def _translated(value: str, alternative: Alternative) -> str | None:
    """What the table says of a value: of the whole of it, else of its beginning, else of its end."""
    if alternative.values and value in alternative.values:
        return alternative.values[value]
    for start, meaning in alternative.starts:
        if value.startswith(start):
            return meaning
    for end, meaning in alternative.ends:
        if value.endswith(end):
            return meaning
    return alternative.otherwise


def _principal(get: Mapping[str, Getter], group: str) -> Callable[[Record], Principal | None]:
    key = get.get(f"{group}.id")
    name, kind, identity = (get.get(f"{group}.{part}") for part in ("name", "kind", "identity"))

    def principal(record: Record) -> Principal | None:
        found = key(record) if key else None
        if found is None:
            return None
        return Principal(
            found,
            (name and name(record)) or found,
            cast(ActorKind, (kind and kind(record)) or "unknown"),
            cast(Identity, (identity and identity(record)) or "asserted"),
        )

    return principal


def _resource(get: Mapping[str, Getter]) -> Callable[[Record], Resource | None]:
    name, kind = get.get("resource.name"), get.get("resource.type")

    def resource(record: Record) -> Resource | None:
        found = name(record) if name else None
        return Resource((kind and kind(record)) or "unknown", found) if found else None

    return resource


def _time(record: Record, moments: tuple[Moment, ...]) -> int:
    """The first moment that can be read; UNTIMED where there is none at all."""
    broken = None
    for moment in moments:
        value = _reach(record, moment.path)
        if value is None or value == "":
            continue
        try:
            return _instant(value, moment.format) + _fraction(record, moment.nanoseconds)
        except Unreadable as error:
            broken = error
    if broken is not None:
        raise broken
    return UNTIMED


def _instant(value: object, written: str) -> int:
    if written == "rfc3339":
        return instant(value.removesuffix(" UTC") if type(value) is str else value)
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) < 18:
        value = int(value)
    if written == "epoch_s" and (type(value) is int or type(value) is float):
        value = value * 1000
    return milliseconds(value)


def _fraction(record: Record, steps: Steps) -> int:
    value = _reach(record, steps) if steps else None
    return value // 1000 if type(value) is int and 0 <= value < 1000 * MICROSECONDS else 0


def _asn(number: str | None) -> int | None:
    plain = (number or "")[:LONGEST_TEXT].removeprefix("AS")
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 11 and 0 < int(plain) < 2**32 else None
