"""What to take out of the context files, as a diff: roles and actions that nobody was seen using."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import unified_diff
from pathlib import Path

from audit.context_read import File, Rows, read_rows
from audit.yaml_lines import Place
from streams.access_unused import Unused

LONGEST_LINE = 2_000
"""A file with longer lines (JSON without line breaks) has no diff that anybody could read."""
MOST_LINES = 2_000

Cut = tuple[Place, str]


def proposal(path: Path, unused: Sequence[Unused]) -> list[str]:
    """The lines of a unified diff of the context's files; [] where there is nothing to take out.

    Whatever logs do not show, or have not shown for long enough, stays.
    """
    rows = read_rows(path)
    cuts: defaultdict[int, list[Cut]] = defaultdict(list)
    files: dict[int, File] = {}
    for section, index, place, word in _cuts(rows, [each for each in unused if each.state == "unused"]):
        file, where = rows.at(section, index, *place)
        files[id(file)] = file
        cuts[id(file)].append((where, word))
    lines: list[str] = []
    for key, file in files.items():
        lines += _diff(file, cuts[key])
    return lines[:MOST_LINES]


def _cuts(rows: Rows, unused: Iterable[Unused]) -> Iterator[tuple[str, int, tuple[str | int, ...], str]]:
    idle = Counter((user, each.role) for each in unused if not each.action for user in each.users)
    rows_called = Counter(role.name for role in rows.sections["roles"])
    actions = {(each.role, each.action) for each in unused if each.action}
    for index, person in enumerate(rows.sections["users"]):
        for at, name in enumerate(person.roles):
            bare = name.rpartition(":")[2]
            if idle[person.id, bare] >= rows_called[bare] > 0:  # a name may stand for roles in several accounts
                yield "users", index, ("roles", at), name
    for index, role in enumerate(rows.sections["roles"]):
        for at, action in enumerate(role.actions):
            if (role.name, action) in actions and rows_called[role.name] == 1:
                yield "roles", index, ("actions", at), action


def _diff(file: File, cuts: list[Cut]) -> Iterator[str]:
    before = file.text.decode("utf-8", "replace").splitlines()
    if any(len(line) > LONGEST_LINE for line in before):
        yield f"{file.path}: its lines are too long for a diff: lay it out first (one key a line)"
        return
    after: list[str | None] = [*before]
    places = [(*file.lines.position(place), word) for place, word in cuts]
    for line, column, word in sorted(places, reverse=True):
        after[line - 1] = _without(after[line - 1] or "", column - 1, word)
    kept = [line for line in after if line is not None]
    yield from unified_diff(before, kept, str(file.path), str(file.path), lineterm="", n=1)


def _without(line: str, column: int, word: str) -> str | None:
    """A line without a list's item; None where nothing else stands in it."""
    head, tail = line[:column], line[column:]
    if head.strip() in ("", "-"):
        return None
    end = tail.find(word) + len(word)
    if end < len(word):
        return line
    rest = tail[end:].lstrip("\"'")
    if rest.lstrip().startswith(","):
        return head + rest.lstrip()[1:].lstrip()
    return head.rstrip().rstrip(",") + rest
