"""Whose name is this? The declared people, indexed by every name they bear."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

from audit.context_schema import Person

Ids = frozenset[str]
Key = TypeVar("Key", bound=Hashable)
NOBODY: Ids = frozenset()
CACHED_NAMES = 32_768
LONGEST_NAME = 1_024
"""Longer names are nobody's: a name in a log must not fill the cache."""

SYSTEM_OF = {
    "cloudtrail": "aws",
    "kubernetes": "k8s",
    "o365": "entra",
    "azure": "entra",
    "google_workspace": "google",
    "gcp": "google",
}
"""The system whose names a source's records bear; a source that is not listed is its own system."""


def system_of(source: str) -> str:
    """The system of identities a source speaks of; under `identities:` both words may be written."""
    return SYSTEM_OF.get(source, source)


def fold(name: str) -> str:
    """A name in lower case, letter by letter: KELVIN SIGN is no k, or it would be taken for somebody else's."""
    return name.lower() if name.isascii() else name.translate(_SIGNS).lower()


class People:
    """Dictionaries from names to person ids. A name may belong to several people: then all are given."""

    def __init__(self, persons: Iterable[Person], accounts: Iterable[str] = ()) -> None:
        """`accounts` are the numbers of the company's own AWS accounts, as far as they are declared."""
        self.accounts = frozenset(accounts)
        self.by_id = {person.id: person for person in persons}
        self._exact: dict[tuple[str, str], Ids] = {}
        self._keys: dict[str, Ids] = {}
        self._names: dict[str, Ids] = {}
        globs: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for person in self.by_id.values():
            one = frozenset({person.id})
            _file(self._names, fold(person.id), one)
            for key in person.access_keys:
                _file(self._keys, key, one)
            for system, name in _names_of(person):
                if "*" in name:
                    globs[system].append((name, person.id))
                    continue
                _file(self._exact, (system, name), one)
                if "@" in name:
                    _file(self._names, name, one)
        self._globs = {system: Globs(rows) for system, rows in globs.items()}
        self._cached = lru_cache(CACHED_NAMES)(self._named)

    def named(self, system: str, name: str) -> Ids:
        """Whose a name is in a system: as declared, else by a declared pattern, else as somebody's e-mail."""
        return self._cached(system, name) if len(name) <= LONGEST_NAME else NOBODY

    def exact(self, system: str, name: str) -> Ids:
        """Whose identity in a system this name is, letter case aside."""
        return self._exact.get((system, fold(name)), NOBODY)

    def of_access_key(self, key: str) -> Ids:
        """Whose access key this is."""
        return self._keys.get(key, NOBODY)

    def called(self, name: str) -> Ids:
        """Whose id, or whose e-mail in any system, this name is."""
        return self._names.get(fold(name), NOBODY)

    def _named(self, system: str, name: str) -> Ids:
        if name.startswith("arn:aws"):  # clusters on AWS call their users so
            system = "aws"
        globs = self._globs.get(system)
        found = self.exact(system, name) or (globs.owners(fold(name)) if globs else NOBODY)
        return found or (self.called(name) if "@" in name else NOBODY)


def _names_of(person: Person) -> Iterator[tuple[str, str]]:
    for source, names in person.identities.items():
        for name in names:
            yield system_of(source), fold(name)


def _file(index: dict[Key, Ids], key: Key, one: Ids) -> None:
    earlier = index.get(key)
    index[key] = one if earlier is None else earlier | one


class Globs:
    """Patterns in which * stands for any run of characters, found through one literal word that a match must contain.

    A word is what stands between colons and slashes; each pattern is filed under its rarest, so that 50,000 patterns
    "...assumed-role/Engineer_*/NAME" cost one look-up a word of the name asked for.
    """

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        patterns = [(tuple(pattern.split("*")), _words(pattern), owner) for pattern, owner in rows]
        common = Counter(word for _, words, _ in patterns for word in words if "*" not in word)
        self._filed: defaultdict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        for parts, words, owner in patterns:
            literal = [word for word in words if "*" not in word]
            rarest = min(literal, key=lambda word: (common[word], -len(word)), default="*")
            self._filed[rarest].append((parts, owner))

    def owners(self, name: str) -> Ids:
        """Whose patterns match a name, both in lower case."""
        rows = (row for word in {*_words(name), "*"} for row in self._filed.get(word, ()))
        return frozenset(owner for parts, owner in rows if glob_matches(parts, name))


def glob_matches(parts: tuple[str, ...], text: str) -> bool:
    """Whether a text matches a pattern split at its stars; linear, no backtracking."""
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _words(name: str) -> list[str]:
    return name.replace("/", ":").split(":")


_SIGNS = {0x212A: "\ufffd"}
"""The one sign outside ASCII whose lower case lies in it."""
