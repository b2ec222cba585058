"""A vector for every modifier, every trap: (detection, record, must it match). Shared by two tests."""

from __future__ import annotations

from typing import Any

Vector = tuple[str, dict[str, Any], bool]


def _about(item: str, *cases: tuple[Any, bool], field: str = "f") -> list[Vector]:
    """Vectors of one selection with a single item; a case whose value is ... lacks the field."""
    detection = f"s:\n  {item}\ncondition: s"
    return [(detection, {} if value is ... else {field: value}, wanted) for value, wanted in cases]


NONE: Any = None

VECTORS: list[Vector] = [
    # case: values insensitive, cased and regex sensitive
    *_about("f: Admin", ("admin", True), ("ADMIN", True), ("admins", False), ("", False), (..., False), (NONE, False)),
    *_about("f|cased: Admin", ("Admin", True), ("admin", False)),
    *_about("f|contains|cased: dmI", ("admIn", True), ("admin", False)),
    *_about("f|startswith|cased: Ad", ("Admin", True), ("admin", False)),
    *_about("f|endswith|cased: iN", ("admiN", True), ("admin", False)),
    *_about("f|cased: 'A*n'", ("Admin", True), ("admin", False), ("AdmiN", False)),
    # position
    *_about("f|contains: key", ("AccessKey1", True), ("ke y", False), (..., False)),
    *_about("f|startswith: Put", ("putObject", True), ("Input", False)),
    *_about("f|endswith: Key", ("DeleteKEY", True), ("Keys", False)),
    *_about("f|contains: [a1, b2]", ("xb2x", True), ("xc3x", False)),
    *_about("f|startswith: [a1, b2]", ("b2x", True), ("xb2", False)),
    *_about("f|endswith: [a1, b2]", ("xa1", True), ("a1x", False)),
    *_about("f|contains|all: [a1, b2]", ("b2-a1", True), ("a1", False)),
    # wildcards and their escapes
    *_about("f: 'a*z'", ("abcz", True), ("az", True), ("abc", False), ("a\nz", True)),
    *_about("f: 'a?z'", ("abz", True), ("az", False), ("abbz", False), ("aéz", True)),
    *_about(r"f: 'a\*z'", ("a*z", True), ("abz", False)),
    *_about(r"f: 'a\?z'", ("a?z", True), ("abz", False)),
    *_about(r"f: 'C:\Windows\*'", (r"c:\windows*", True), (r"c:\windows\cmd.exe", False)),
    *_about(r"f: 'C:\Windows\\*'", (r"c:\windows\cmd.exe", True), (r"c:\windows", False)),
    *_about(r"f|contains: 'a\b'", (r"xa\bx", True), ("xabx", False)),
    *_about("f: '*'", ("anything", True), ("", True), (..., False), (NONE, False)),
    *_about("f|contains: '*'", ("anything", True), (..., False)),
    *_about("f: '*a*b*'", ("xaxbx", True), ("xbxax", False)),
    *_about("f: '100%_*'", ("100%_x", True), ("100xyx", False)),
    *_about("f|contains: '[x]'", ("a[x]b", True), ("axb", False)),
    *_about("f: ''", ("", True), ("x", False), (..., False)),
    # numbers and booleans compare as text
    *_about("f: 200", (200, True), ("200", True), (201, False), ("0200", False)),
    *_about("f: '200'", (200, True), ("200", True)),
    *_about("f: 1.5", (1.5, True), ("1.5", True), (1, False)),
    *_about("f: true", (True, True), ("true", True), ("True", True), (False, False), ("yes", False)),
    *_about("f: 'True'", (True, True), ("TRUE", True), (False, False)),
    *_about("f: false", (False, True), ("false", True), (..., False), (NONE, False)),
    *_about("f|startswith: '4'", (403, True), ("404", True), (200, False)),
    *_about("f|contains: '40'", (403, True), ("1401", True), (200, False)),
    # order is numeric
    *_about("f|lt: 5", (4, True), ("4", True), (5, False), (10, False), (..., False)),
    *_about("f|lte: 5", (5, True), (6, False)),
    *_about("f|gt: 5", (6, True), (5, False), (40, True)),
    *_about("f|gte: 5", (5, True), (4, False), (5.5, True)),
    # missing and null
    *_about("f: null", (..., True), (NONE, True), ("", False), ("x", False), (0, False), (False, False)),
    *_about("f: [null, x]", (..., True), ("x", True), ("y", False)),
    *_about("f|exists: true", ("x", True), ("", True), (..., False)),
    *_about("f|exists: false", ("x", False), (..., True)),
    *_about("f|neq: x", ("y", True), ("X", False), (..., True), (NONE, True)),
    ("s: {a: x}\nn: {f: y}\ncondition: s and not n", {"a": "x"}, True),
    ("s: {a: x}\nn: {f: y}\ncondition: s and not n", {"a": "x", "f": "Y"}, False),
    ("s: {a: x}\nn: {f|contains: y}\ncondition: s and not not n", {"a": "x"}, False),
    # lists: any member
    *_about("f: x", (["y", "x"], True), (["y"], False), ([], False), ([["x"]], True)),
    *_about("f|contains: ell", (["hello", "y"], True), (["help"], False)),
    *_about("f|gt: 5", ([1, 9], True), ([1, 2], False)),
    # dicts: their JSON text
    *_about('f|contains: \'"a":"b"\'', ({"a": "b"}, True), ({"a": "c"}, False)),
    *_about("f|contains: Suspended", ({"Status": {"x": "suspended"}}, True), ({}, False)),
    # paths
    *_about("a.b.c: x", ({"b": {"c": "x"}}, True), ({"b": {"c": "y"}}, False), ({"b": "x"}, False), field="a"),
    *_about("a.b: x", ([{"b": "y"}, {"b": "x"}], True), ([{"c": "x"}], False), field="a"),
    *_about("a.b.c: x", ({"b": [{"c": ["y", "x"]}]}, True), field="a"),
    ("s: {a.b: x}\ncondition: s", {"a.b": "x"}, True),
    ("s: {a.b.io/c: x}\ncondition: s", {"a": {"b.io/c": "x"}}, True),
    # regular expressions are searched, and sensitive
    *_about("f|re: 'ad+'", ("badd", True), ("ADD", False), ("bd", False), (..., False)),
    *_about("f|re: '^a.c$'", ("abc", True), ("xabc", False), ("a\nc", False)),
    *_about("f|re|i: 'ad+'", ("BADD", True)),
    *_about("f|re|m: '^b'", ("a\nb", True)),
    *_about("f|re|s: 'a.b'", ("a\nb", True)),
    *_about("f|re|i|s: 'a.b'", ("A\nB", True), ("AB", False)),
    *_about("f|re: '.*foo'", ("xfoo", True), ("xfo", False)),
    *_about("f|re: ['a1', 'b2']", ("xb2", True), ("c3", False)),
    # encodings
    *_about("f|base64: foobar", ("Zm9vYmFy", True), ("foobar", False)),
    *_about(
        "f|base64offset|contains: secret",
        ("eHNlY3JldA==", True),
        ("c2VjcmV0", True),
        ("eHhzZWNyZXQ=", True),
        ("secret", False),
    ),
    *_about("f|wide|base64offset|contains: ping", ("cABpAG4AZwA=", True), ("cGluZw==", False)),
    *_about("f|utf16|base64offset|contains: ping", ("//5wAGkAbgBnAA==", True), ("cGluZw==", False)),
    *_about("f|utf16be|base64offset|contains: ping", ("AHAAaQBuAGc=", True)),
    *_about("f|windash|contains: ' -enc'", ("x -enc", True), ("x /enc", True), ("x –enc", True), ("x enc", False)),
    # networks
    *_about("f|cidr: 10.1.0.0/16", ("10.1.2.3", True), ("10.2.2.3", False), ("cloudtrail.amazonaws.com", False)),
    *_about("f|cidr: 10.1.2.128/25", ("10.1.2.200", True), ("10.1.2.3", False)),
    *_about("f|cidr: 2001:db8::/32", ("2001:db8::1", True), ("2001:db9::1", False)),
    *_about("f|cidr: [10.0.0.0/8, 192.168.0.0/16]", ("192.168.1.1", True), ("11.0.0.1", False)),
    # other fields
    ("s: {a|fieldref: b}\ncondition: s", {"a": "X", "b": "x"}, True),
    ("s: {a|fieldref: b}\ncondition: s", {"a": "x", "b": "y"}, False),
    ("s: {a|fieldref: b}\ncondition: s", {"a": "x"}, False),
    ("s: {a|fieldref: b}\ncondition: s", {}, False),
    ("s: {a|fieldref|startswith: b}\ncondition: s", {"a": "xyz", "b": "XY"}, True),
    ("s: {a|fieldref|endswith: b}\ncondition: s", {"a": "xyz", "b": "yz"}, True),
    ("s: {a|fieldref|contains: b}\ncondition: s", {"a": "xyz", "b": "y"}, True),
    ("s: {a|fieldref|contains: b}\ncondition: s", {"a": "xyz", "b": "%"}, False),
    ("s: {a.id|fieldref: b.id}\ncondition: s", {"a": [{"id": "1"}, {"id": "2"}], "b": {"id": "2"}}, True),
    # times, in UTC
    *_about("f|hour: 23", ("2026-03-02T23:30:00Z", True), ("2026-03-02T22:30:00Z", False), ("late", False)),
    *_about("f|hour: 22", ("2026-03-02T23:30:00+01:00", True)),
    *_about("f|minute: 30", ("2026-03-02T23:30:00Z", True)),
    *_about("f|day: 2", ("2026-03-02T23:30:00Z", True), ("2026-03-03T00:00:00Z", False)),
    *_about("f|week: 9", ("2026-03-02T23:30:00Z", True), ("2026-03-01T23:30:00Z", False)),
    *_about("f|month: 3", ("2026-03-02T23:30:00Z", True), ("2026-04-02T23:30:00Z", False)),
    *_about("f|year: 2026", ("2026-03-02T23:30:00Z", True), ("2025-03-02T23:30:00Z", False)),
    # keywords: anywhere in the event
    ("k: [mimikatz]\ncondition: k", {"a": {"b": ["x", "run Mimikatz now"]}}, True),
    ("k: [mimikatz]\ncondition: k", {"mimikatz": "x"}, False),
    ("k: [a1, b2]\ncondition: k", {"x": "has b2"}, True),
    ("k: {'|all': [a1, b2]}\ncondition: k", {"x": "b2", "y": "a1"}, True),
    ("k: {'|all': [a1, b2]}\ncondition: k", {"x": "b2"}, False),
    ("k: [404]\ncondition: k", {"code": 404}, True),
    ("k: ['a*z']\ncondition: k", {"x": "--abcz--"}, True),
    # conditions
    ("s1: {a: x}\ns2: {b: y}\ncondition: 1 of s*", {"b": "y"}, True),
    ("s1: {a: x}\ns2: {b: y}\ncondition: any of s*", {"b": "z"}, False),
    ("s1: {a: x}\ns2: {b: y}\ncondition: all of s*", {"a": "x", "b": "y"}, True),
    ("s1: {a: x}\ns2: {b: y}\ncondition: all of them", {"b": "y"}, False),
    ("s1: {a: x}\ns2: {b: y}\ns3: {c: z}\ncondition: s1 or s2 and s3", {"a": "x"}, True),
    ("s1: {a: x}\ns2: {b: y}\ns3: {c: z}\ncondition: (s1 or s2) and s3", {"a": "x"}, False),
    ("s1: {a: x}\ns2: {b: y}\ncondition: not (s1 or s2)", {"c": "x"}, True),
    ("s: [{a: x, b: y}, {c: z}]\ncondition: s", {"c": "z"}, True),
    ("s: [{a: x, b: y}, {c: z}]\ncondition: s", {"a": "x"}, False),
    ("s1: {a: x}\ns2: {b: y}\ncondition: [s1, s2]", {"b": "y"}, True),
]
