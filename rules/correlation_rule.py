"""Correlation documents made into correlations: tied to the rules and correlations they count, their fields found."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.finding import stable_id
from rules.correlation import SCALE, Correlation, Feed, Parent, Timing
from rules.correlation_entity import Kept, entity_of, kept_by
from rules.correlation_measure import least
from rules.correlation_section import MEASURES, TEMPORAL, Section
from rules.document import Document, Key, RuleError, did_you_mean
from rules.fields import EITHER, NORMALISED, getter
from rules.mapping import Lens
from rules.parsed import identity
from rules.rule import Stage


@dataclass(frozen=True, slots=True)
class ParsedCorrelation:
    """A document that is a correlation, its section read."""

    document: Document
    section: Section

    @property
    def id(self) -> str:
        """The correlation's id."""
        return identity(self.document)

    @property
    def names(self) -> tuple[str, ...]:
        """What other documents may call it: its name, and its id."""
        name = self.document.data.get("name")
        return (str(name), self.id) if name else (self.id,)

    @property
    def counts(self) -> tuple[str, ...]:
        """The rules it speaks of, as written."""
        absent = self.section.absent
        return (*self.section.rules, absent) if absent else self.section.rules


Shared = Callable[[Document], tuple[dict[str, Any], Stage] | None]
"""What a document shares with rules, and its stage; None where something is wrong with it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to be counted: ids by name or id, and how each rule sees events, by id."""

    ids: Mapping[str, str]
    lenses: Mapping[str, Lens]


def counted(correlations: Sequence[ParsedCorrelation], ids: Mapping[str, str], humble: Container[str]) -> set[str]:
    """The ids that make no findings of their own because a correlation counts them.

    `humble` are rules that do so even where the correlation lets its rules speak: those of level informational.
    """
    return {
        ids[name]
        for one in correlations
        for name in one.counts
        if name in ids and (not one.section.generate or ids[name] in humble)
    }


def correlated(
    correlations: Mapping[str, ParsedCorrelation], known: Known, shared: Shared, errors: list[RuleError]
) -> list[Correlation]:
    """The correlations of parsed documents by id."""
    silent = counted(list(correlations.values()), known.ids, ())
    planner = _Planner(correlations, known, errors)
    made: list[Correlation] = []
    for name, parsed in correlations.items():
        common, plan = shared(parsed.document), planner.plan(name, ())
        if common is not None and plan is not None:
            maker = _Maker(known, *common, kept_by(list(_tops(plan, range(len(parsed.section.group_by))))))
            made.append(maker.make(plan, name in silent))
    return made


@dataclass(frozen=True, slots=True)
class _Direct:
    """A rule counted: its place, the fields it is grouped by, the fields that are counted or measured."""

    rule_id: str
    place: int
    fields: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A correlation with everything it counts resolved; `nested` are (place, picks, plan)."""

    identity: str
    parsed: ParsedCorrelation
    rule_ids: tuple[str, ...]
    direct: tuple[_Direct, ...]
    nested: tuple[tuple[int, tuple[int, ...], _Plan], ...]


class _Planner:
    """Resolves names and fields; what is wrong is said once, where it is written."""

    def __init__(self, correlations: Mapping[str, ParsedCorrelation], known: Known, errors: list[RuleError]) -> None:
        self._correlations = correlations
        self._known = known
        self._errors = errors
        self._plans: dict[str, _Plan | None] = {}

    def plan(self, name: str, above: tuple[str, ...]) -> _Plan | None:
        """The plan of a correlation, None if something in it or below it is wrong."""
        if name not in self._plans:
            before = len(self._errors)
            plan = self._plan(name, (*above, name))
            self._plans[name] = plan if len(self._errors) == before else None
        return self._plans[name]

    def _plan(self, own: str, above: tuple[str, ...]) -> _Plan | None:
        parsed = self._correlations[own]
        section = parsed.section
        direct: list[_Direct] = []
        nested: list[tuple[int, tuple[int, ...], _Plan]] = []
        rule_ids: list[str] = []
        for place, name in enumerate(parsed.counts):
            at: tuple[Key, ...] = ("correlation", "rules") if place < len(section.rules) else ("auditwatch", "absent")
            found = self._counted(parsed, name, at, above)
            if found in self._correlations:
                if below := self._nested(parsed, name, at, self.plan(found, above)):
                    nested.append((place, *below))
            elif found in self._known.lenses:
                direct.append(self._direct(parsed, name, found, place))
            if found and place < len(section.rules):
                rule_ids.append(found)
        self._check(parsed, bool(nested))
        return _Plan(own, parsed, tuple(rule_ids), tuple(direct), tuple(nested))

    def _counted(self, parsed: ParsedCorrelation, name: str, at: tuple[Key, ...], above: tuple[str, ...]) -> str:
        """The id of what is counted; "", and the reason among the errors, where that cannot be."""
        found = self._known.ids.get(name, "")
        if not found:
            known = [one for one in self._known.ids if len(one) != 36] or list(self._known.ids)
            self._errors.append(parsed.document.error(f"no rule called {name!r}", did_you_mean(name, known), at))
        elif found in above:
            self._errors.append(parsed.document.error(f"{name!r} counts itself in the end", "break the circle", at))
            return ""
        return found

    def _direct(self, parsed: ParsedCorrelation, name: str, rule_id: str, place: int) -> _Direct:
        section = parsed.section
        fields = self._fields(parsed, section.group_by, ("group-by",), name, rule_id)
        counts = place < len(section.rules)
        values = self._fields(parsed, section.fields, ("condition", "field"), name, rule_id) if counts else ()
        return _Direct(rule_id, place, fields, values)

    def _fields(
        self, parsed: ParsedCorrelation, fields: Sequence[str], at: tuple[str, ...], name: str, rule_id: str
    ) -> tuple[str, ...]:
        """The canonical names the fields have in a rule's events."""
        lens = self._known.lenses[rule_id]
        found: list[str] = []
        for field in fields:
            alias = parsed.section.aliases.get(field)
            written = field if alias is None else (alias.get(name) or alias.get(rule_id))
            if written is None:
                message = f"alias {field!r} names no field of {name!r}"
                self._errors.append(
                    parsed.document.error(message, f"add {name}: FIELD", ("correlation", "aliases", field))
                )
                continue
            try:
                found.append(lens.name(written))
            except KeyError as error:
                missing = str(error.args[0])
                message, hint = f"no field {missing!r} in the normalised event", did_you_mean(missing, NORMALISED)
                place = ("correlation", *at) if alias is None else ("correlation", "aliases", field)
                self._errors.append(parsed.document.error(message, hint, place))
        return tuple(found)

    def _nested(
        self, parsed: ParsedCorrelation, name: str, at: tuple[Key, ...], plan: _Plan | None
    ) -> tuple[tuple[int, ...], _Plan] | None:
        """Which parts of the nested correlation's group the group of the outer one is made of."""
        if plan is None:
            return None
        section, inner = parsed.section, plan.parsed.section.group_by
        if at[0] == "auditwatch":
            message = f"absent names {name!r}, which is a correlation"
            self._errors.append(parsed.document.error(message, "name a rule", at))
        picks: list[int] = []
        for field in section.group_by:
            alias = section.aliases.get(field)
            written = field if alias is None else alias.get(name, "")
            bare = written.removeprefix("auditwatch.")
            place = next((at for at, one in enumerate(inner) if one.removeprefix("auditwatch.") == bare), None)
            if place is None:
                hint = f"group {name} by it, too, or name the field it has there in aliases"
                message = f"{name!r} is not grouped by {field!r}"
                self._errors.append(parsed.document.error(message, hint, ("correlation", "group-by")))
            else:
                picks.append(place)
        return tuple(picks), plan

    def _check(self, parsed: ParsedCorrelation, nested: bool) -> None:
        section, document = parsed.section, parsed.document
        timing = _timing(section)
        if section.kind == "temporal_ordered" and timing == "complete":
            message = "temporal_ordered compares with gte or gt"
            self._errors.append(document.error(message, "use temporal", ("correlation", "condition")))
        if nested and (section.kind in MEASURES or section.kind == "value_count"):
            message = f"{section.kind} reads a field of events, a correlation has none"
            hint = "count rules, or use event_count, temporal or temporal_ordered"
            self._errors.append(document.error(message, hint, ("correlation", "rules")))
        if section.absent and timing != "prompt":
            message = "absent needs a condition that is met at once"
            hint = "gte, gt, or a temporal condition without not"
            self._errors.append(document.error(message, hint, ("auditwatch", "absent")))


def _timing(section: Section) -> Timing:
    """When the condition can be judged."""
    if section.kind in ("value_avg", "value_percentile", "value_median"):
        return "settled"
    if any(clause.negative for clause in section.clauses):
        return "forward"
    return "prompt" if all(op in ("gte", "gt") for op, _ in section.bounds) else "complete"


def _tops(plan: _Plan, picks: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """For each rule counted anywhere below, its fields that make the group of the outermost correlation."""
    for direct in plan.direct:
        yield tuple(direct.fields[at] for at in picks)
    for _, inner, below in plan.nested:
        yield from _tops(below, [inner[at] for at in picks])


class _Maker:
    """Makes the correlations of one plan, which all keep their windows by the same entity."""

    def __init__(self, known: Known, common: dict[str, Any], stage: Stage, kept: Kept) -> None:
        self._known = known
        self._common = common
        self._stage = stage
        self._kept = kept

    def make(self, plan: _Plan, silent: bool) -> Correlation:
        """The correlation of the plan."""
        picks = tuple(range(len(plan.parsed.section.group_by)))
        return self._make(plan, self._common | {"silent": silent, "stage": self._stage}, picks)

    def _below(self, plan: _Plan, above: str, parent: Parent, picks: tuple[int, ...]) -> Correlation:
        """A private copy of a correlation that another one counts."""
        name = str(plan.parsed.document.data.get("name") or plan.identity)
        common = self._common | {"id": f"{above}/{plan.identity}", "name": name, "tests": ()}
        return self._make(plan, common | {"silent": True, "parent": parent}, picks)

    def _make(self, plan: _Plan, common: dict[str, Any], picks: tuple[int, ...]) -> Correlation:
        """`picks` are the parts of its group that make the group of the outermost correlation."""
        section, own = plan.parsed.section, common["id"]
        nested = tuple(
            self._below(below, own, Parent(own, _place(section, place), inner), tuple(inner[at] for at in picks))
            for place, inner, below in plan.nested
        )
        feeds = tuple(self._feed(own, section, direct, picks) for direct in plan.direct)
        scale = SCALE if section.kind in MEASURES else 1
        bounds = tuple((op, round(number * scale)) for op, number in section.bounds)
        lows = [least(op, number, scale) for op, number in section.bounds if op in ("gte", "gt")]
        return Correlation(
            **common,
            rule_ids=plan.rule_ids,
            group_by=_shown(section, plan),
            timespan=section.timespan,
            kind=section.kind,
            timing=_timing(section),
            bounds=bounds,
            need=max(1, *lows) if lows else 1,
            fields=tuple(_first(field) for field in plan.direct[0].values) if plan.direct else (),
            percentile=section.percentile,
            clauses=section.clauses,
            distinct=bool(nested) and section.kind == "event_count",
            absent=len(section.rules) if section.absent else -1,
            absent_name=section.absent,
            within=section.within if section.absent else 0,
            lateness=section.lateness + max((one.delay + one.lateness for one in nested), default=0),
            sources=self._sources(plan),
            feeds=feeds,
            nested=nested,
            stamp=stable_id(section, plan.rule_ids, [one.stamp for one in nested])[:8],
        )

    def _feed(self, own: str, section: Section, direct: _Direct, picks: tuple[int, ...]) -> Feed:
        return Feed(
            correlation=own,
            rule_id=direct.rule_id,
            rule=_place(section, direct.place),
            groups=tuple(map(getter, direct.fields)),
            values=tuple(map(getter, direct.values)),
            numeric=section.kind in MEASURES,
            entity=entity_of(self._kept, direct.fields, picks),
            concerns=tuple(own.split("/")),
        )

    def _sources(self, plan: _Plan) -> frozenset[str]:
        """Where its matches come from; empty where that can be anywhere."""
        found = [frozenset(self._known.lenses[direct.rule_id].sources) for direct in plan.direct]
        found += [self._sources(below) for _, _, below in plan.nested]
        return frozenset().union(*found) if all(found) else frozenset()


def _place(section: Section, place: int) -> int:
    """The number of a rule in the entries of a window: its place, or 0 where all count alike."""
    return place if section.kind in TEMPORAL or place >= len(section.rules) else 0


def _shown(section: Section, plan: _Plan) -> tuple[str, ...]:
    """The group's fields as findings call them."""
    if not plan.direct:
        return section.group_by
    names = zip(section.group_by, plan.direct[0].fields, strict=True)
    return tuple(written if written in section.aliases else _first(field) for written, field in names)


def _first(field: str) -> str:
    return field.partition(EITHER)[0]
