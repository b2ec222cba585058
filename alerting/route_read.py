"""The routes file: YAML into Routes, with every mistake and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from alerting.mute import LONGEST
from alerting.route import HOUR, Route, Routes
from alerting.route_time import decode
from alerting.when import When
from audit.context_schema import DAY
from audit.event import MICROSECONDS
from audit.yaml_lines import BadText, Lines, Place, Tree, read_yaml

MINUTE = 60 * MICROSECONDS
MOST_BYTES = 4_000_000


class RouteErrors(Exception):
    """Every mistake in a routes file, a line each: `path:line:column: what: what to do`."""


def load_routes(path: Path, now: int) -> Routes:
    """The routes of a file; `now` (microseconds since the epoch) bounds how long a mute may last.

    Raises:
        RouteErrors: with everything that is wrong.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RouteErrors(f"{path}: cannot be read ({error.strerror}): check AUDITWATCH_ROUTES") from error
    return read_routes(text, str(path), now)


def read_routes(text: bytes, name: str, now: int) -> Routes:
    """The routes of a text; `name` is what errors call it.

    Raises:
        RouteErrors: with everything that is wrong.
    """
    if len(text) > MOST_BYTES:
        raise RouteErrors(f"{name}:1:1: larger than {MOST_BYTES:,} bytes: that is no routes file")
    try:
        tree = read_yaml(text)
    except BadText as error:
        raise RouteErrors(f"{name}:{error.line}:1: {error.what}") from error
    reader = _Reader()
    routes = reader.struct(Routes, tree, (), _FILE)
    found = reader.problems or list(_contradictions(routes, now))
    if found:
        lines = Lines(text)
        placed = sorted((*lines.position(place), what) for place, what in found)
        raise RouteErrors("\n".join(f"{name}:{line}:{column}: {what}" for line, column, what in placed))
    return _named(routes)


class _Reader:
    """Gives a tree the types of a struct; goes on after a mistake, so that all are found."""

    def __init__(self) -> None:
        self.problems: list[tuple[Place, str]] = []

    def struct(self, kind: type[msgspec.Struct], tree: Tree, place: Place, label: str) -> Any:
        """The struct, or None where anything in it is wrong."""
        if not isinstance(tree, dict):
            return self._wrong(place, f"{label}: expected keys and values, found {_found(tree)}")
        before = len(self.problems)
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        given = {}
        for key, value in tree.items():
            if key in known:
                given[known[key].name] = self._value(known[key].type, value, (*place, key), f"{label}.{key}")
            else:
                self._wrong((*place, key), f"{label}: unknown key '{key}': {_did_you_mean(key, known)}")
        for key, field in known.items():
            if field.required and key not in tree:
                self._wrong(place, f"{label}: '{key}' is missing: add it")
        return kind(**given) if len(self.problems) == before else None

    def _value(self, kind: Any, tree: Tree, place: Place, label: str) -> Any:
        kind = next((one for one in get_args(kind) if type(None) in get_args(kind)), kind)  # X of X | None
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind, tree, place, label)
        if get_origin(kind) is tuple:
            return self._list(get_args(kind)[0], tree, place, label)
        try:
            return msgspec.convert(tree, kind, strict=False, dec_hook=decode)
        except msgspec.ValidationError as error:
            return self._wrong(place, f"{label}: {_plain(str(error), kind, tree)}")

    def _list(self, kind: Any, tree: Tree, place: Place, label: str) -> Any:
        if kind is str and isinstance(tree, str):
            return (tree,)
        if not isinstance(tree, list):
            return self._wrong(place, f"{label}: expected a list, found {_found(tree)}")
        return tuple(self._value(kind, one, (*place, index), label) for index, one in enumerate(tree))

    def _wrong(self, place: Place, what: str) -> None:
        self.problems.append((place, what.removeprefix(f"{_FILE}.")))


def _contradictions(routes: Routes, now: int) -> Iterator[tuple[Place, str]]:
    if routes.late and not HOUR <= routes.late.after <= LONGEST:
        yield ("late", "after"), "late: an alert is late after 1h to 90d"
    for index, route in enumerate(routes.routes):
        yield from _route(route, ("routes", index), index < len(routes.routes) - 1)
    for index, asking in enumerate(routes.ask):
        if not MINUTE <= asking.wait <= 7 * DAY:
            yield ("ask", index, "wait"), "ask: each person has 1m to 7d to answer"
    for index, mute in enumerate(routes.mutes):
        place: Place = ("mutes", index)
        if mute.when == When():
            yield (*place, "when"), "mute: it silences everything: write what it is about"
        for key in ("owner", "reason"):
            if not getattr(mute, key).strip():
                yield (*place, key), f"mute: an empty {key}: a mute without one cannot be judged later"
        if mute.expires > now + LONGEST:
            days = LONGEST // DAY
            yield (*place, "expires"), f"mute: lasts longer than {days} days: write an earlier day and renew it"


def _route(route: Route, place: Place, followed: bool) -> Iterator[tuple[Place, str]]:
    if not route.channel.strip():
        yield (*place, "channel"), "route: an empty channel: write its name or id"
    if followed and route.when == When():
        yield place, "route: takes every alert, so none reaches the routes below: move it to the end"
    if route.budget is not None and route.budget < 1:
        yield (*place, "budget"), "route: a budget is 1 or more messages a day"
    if route.digest and not MINUTE <= route.digest.every <= DAY:
        yield (*place, "digest", "every"), "route: a digest comes every 1m to 1d"
    if route.quiet and route.quiet.start == route.quiet.end:
        yield (*place, "quiet", "to"), "route: quiet hours from and to the same time: write when they end"
    for index, step in enumerate(route.escalate):
        if not MINUTE <= step.after <= 7 * DAY or not step.to.strip():
            yield (*place, "escalate", index), "route: a step escalates to a channel or user after 1m to 7d"


def _named(routes: Routes) -> Routes:
    """With a name for whatever has none, and the time zone of the file where quiet hours name none."""
    made = []
    for number, route in enumerate(routes.routes, start=1):
        quiet = route.quiet
        if quiet and not quiet.timezone:
            quiet = msgspec.structs.replace(quiet, timezone=routes.timezone)
        made.append(msgspec.structs.replace(route, name=route.name or f"route {number}", quiet=quiet))
    mutes = (
        msgspec.structs.replace(mute, name=mute.name or f"mute {number}")
        for number, mute in enumerate(routes.mutes, start=1)
    )
    return msgspec.structs.replace(routes, routes=tuple(made), mutes=tuple(mutes))


def _plain(message: str, kind: Any, tree: Tree) -> str:
    choices = [str(one) for one in get_args(kind)]
    if choices and isinstance(tree, str):
        return f"'{tree[:40]}' is not known: {_did_you_mean(tree, choices)}"
    expected = _EXPECTED.match(message)
    return f"expected {_WORDS.get(expected[1], expected[1])}, found {_found(tree)}" if expected else message


def _did_you_mean(word: str, known: Any) -> str:
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"


def _found(tree: Tree) -> str:
    if isinstance(tree, dict | list):
        return "a list" if isinstance(tree, list) else "keys and values"
    return "nothing" if tree is None else f"'{str(tree)[:40]}'"


_FILE = "routes file"
_EXPECTED = re.compile(r"Expected `([a-z]+)[^`]*`, got")
_WORDS = {"str": "text", "int": "a whole number"}
