"""The one choke point for secrets: whatever of an event leaves the program (log lines, evidence) passes here first.

Two ways to know a secret: by its own shape (a JWT, an AWS key, a private key ...) and by the name it stands under
(password, token, Authorization ...). Every pattern is linear: no quantifier holds another, and no more than
LONGEST characters of a text are looked at; the rest is cut off, not let through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

LONGEST = 8_192
DEEPEST = 48
REDACTED = "[redacted]"
CUT = "…[cut]"
Replacement = str | Callable[[re.Match[str]], str]


class Shape(NamedTuple):
    """A kind of secret. `needles` are cheap signs of it: a text without any of them (in lower case) has none."""

    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    instead: Replacement


def redact(value: str) -> str:
    """The text with every secret in it replaced; texts beyond LONGEST characters are cut."""
    if _PLAIN.fullmatch(value):
        return value
    text = value if len(value) <= LONGEST else value[:LONGEST].rstrip(_TOKEN_CHARACTERS) + CUT
    lower = text.lower()
    for shape in _SHAPES:
        if not shape.needles or any(needle in lower for needle in shape.needles):
            text = shape.pattern.sub(shape.instead, text)
    return text


def redact_record(record: Any) -> Any:
    """A copy of a JSON-like value without secrets; what stands under a secret's name is replaced whole.

    Mappings become dicts, sequences lists, bytes text; beyond DEEPEST levels nothing is let through.
    """
    return _redacted(record, secret=False, depth=0)


def _redacted(value: Any, secret: bool, depth: int) -> Any:
    if depth > DEEPEST:
        return REDACTED
    if isinstance(value, bytes | bytearray):
        value = value[: LONGEST * 4].decode("utf-8", "replace")
    if isinstance(value, str):
        return (REDACTED if value else value) if secret else _redacted_text(value, depth)
    if isinstance(value, Mapping):
        return dict(_pairs(value, secret, depth))
    if isinstance(value, list | tuple | set | frozenset):
        return list(_items(value, secret, depth))
    if secret and value is not None and not isinstance(value, bool):
        return REDACTED
    return value


def _redacted_text(text: str, depth: int) -> str:
    """A text that is itself JSON is read, so that names and nesting count in it too."""
    if text[:1] in _JSON_STARTS and len(text) <= LONGEST:
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return redact(text)
        return json.dumps(_redacted(inner, secret=False, depth=depth + 1), ensure_ascii=False)
    return redact(text)


def _pairs(mapping: Mapping[Any, Any], secret: bool, depth: int) -> Iterator[tuple[Any, Any]]:
    """Keys and values; in {"name": "DB_PASSWORD", "value": ...} it is the value that is secret."""
    label = next((mapping[key] for key in ("name", "key", "Name", "Key") if isinstance(mapping.get(key), str)), "")
    labelled = is_secret_name(label)
    for key, value in mapping.items():
        if isinstance(key, str):
            named = is_secret_name(key) and not (key.lower() == "pwd" and str(value).startswith("/"))  # a directory
            hidden = secret or named or (labelled and key.lower() in _VALUE_KEYS)
            yield redact(key), _redacted(value, hidden, depth + 1)
        else:
            yield key, _redacted(value, secret, depth + 1)


def _items(values: Any, secret: bool, depth: int) -> Iterator[Any]:
    """Items; what follows an option such as --password is its value."""
    after_option = False
    for value in values:
        yield _redacted(value, secret or after_option, depth + 1)
        after_option = isinstance(value, str) and value.startswith("-") and "=" not in value and is_secret_name(value)


def is_secret_name(name: str) -> bool:
    """Whether what stands under a name is a secret: password, clientSecret, access_token ... but not secretName."""
    return len(name) <= 128 and _is_secret_name(name)


@lru_cache(maxsize=8_192)
def _is_secret_name(name: str) -> bool:
    if name == "secret_id":  # Vault's; AWS's secretId is a name
        return True
    plain = _SEPARATORS.sub("", name).lower()
    secret = any(word in plain for word in _SECRET_WORDS) or plain.endswith(("authorization", "authorizationheader"))
    return secret and not plain.endswith(_ABOUT) and "hashed" not in plain


def _short_key_id(found: re.Match[str]) -> str:
    return f"{found[1]}…{found[0][-4:]}"


def _aws_secret(found: re.Match[str]) -> str:
    """Forty characters that look random: SHA-1 digests and long names stay."""
    text = found[0]
    random = len(set(text)) >= 20 and text != text.lower() and text != text.upper()
    return REDACTED if random else text


_PLAIN = re.compile(r"[\w.-]{0,18}")
"""Most values: one word too short to be a token."""
_JSON_STARTS = ("{", "[", '"')
_SEPARATORS = re.compile(r"[^A-Za-z0-9]")
_TOKEN_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-.~"  # noqa: S105  an alphabet
_VALUE_KEYS = frozenset({"value", "values", "val", "content", "data", "stringvalue"})
_SECRET_WORDS = (
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "apikey", "privatekey",
    "accesskeysecret", "cookie", "sharedkey", "signingkey", "encryptionkey", "accountkey", "signature", "otpseed",
)  # fmt: skip
_ABOUT = (
    "id", "ids", "name", "names", "arn", "arns", "type", "types", "scope", "scopes", "lastused", "required", "expiry",
    "expiration", "expires", "expiresat", "expiresin", "expired", "count", "policy", "version", "versions", "ttl",
    "length", "status", "enabled", "created", "createdat", "updated", "updatedat", "rotated", "lastset", "lastchanged",
    "algorithm", "method", "issuer", "endpoint", "url", "uri", "hash", "state", "stage", "stages", "description",
)  # fmt: skip
"""Endings of names that speak about a secret without holding it."""

_QUOTE = r"\\{0,15}[\"']"  # JSON within JSON, four deep
_ASSIGNED = rf"(?:{_QUOTE})?\s{{0,3}}(?:=>|:=|=|:)\s{{0,3}}"
_WORDS = "pass pwd secret token"
_NAMED = (
    r"secret_id|(?:pass(?:word|wd|phrase|code)|pwd|token|api[_-]?key|private[_-]?key|account[_-]?key|shared[_-]?key|"
    r"secret[_-]?(?:access[_-]?)?key|(?<![\d*]:)secret(?!s?[_-]?manager)|signature|(?<=[?&])sig|(?<=[?&])code)s?"
    r"(?!\w{0,20}(?:ids?|names?|arns?|types?|scopes?|required|lastused|expir\w{0,10}|count|policy|versions?|status)\b)"
)
_REST = r"(?![a-z])[\w.\[\]-]{0,20}"
"""What may follow in a name: client_secret_v2, PASSWORD_FILE, tokenValue; but "tokenizer" is another word."""
_VALUE = (
    rf"(?:({_QUOTE})[\s\S]{{1,{LONGEST}}}?\2|{_QUOTE}[^\r\n]{{1,{LONGEST}}}"
    rf"|(?![\[{{\"'\\])[^\s\"'&,;)}}\]]{{1,{LONGEST}}})"
)
_PAIR = (  # {"name": "DB_PASSWORD", "value": ...}
    rf"{_QUOTE}(?:name|key){_QUOTE}\s{{0,3}}:\s{{0,3}}{_QUOTE}[\w.-]{{0,40}}?(?:password|passwd|secret|token|api[_-]?key)"
    rf"[\w.-]{{0,20}}{_QUOTE}\s{{0,3}},\s{{0,9}}{_QUOTE}value{_QUOTE}\s{{0,3}}:\s{{0,3}}"
)
_OPTION = r"(?<![\w-])--?[\w-]{0,40}?(?:password|passwd|secret|token|api-?key)[\w-]{0,20}\s{1,3}"
_PREFIXES = (
    r"gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|xwfp-|AIza|ya29\.|[srp]k_(?:live|test)_|npm_|pypi-|sk-|hv[sb]\."
)


def _shape(needles: str, pattern: str, instead: Replacement = REDACTED) -> Shape:
    return Shape(tuple(needles.split()), re.compile(pattern), instead)


_SHAPES = (
    _shape("private", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)"),
    _shape("://", r"(://[^\s/:@\"']{0,256}:)[^\s/@\"']{1,1024}@", rf"\1{REDACTED}@"),
    _shape(
        "authorization cookie",
        rf"(?i)((?:authorization|cookie){_ASSIGNED})(?:{_QUOTE})?[^\"'\r\n\\]{{1,{LONGEST}}}",
        rf"\1{REDACTED}",
    ),
    _shape(
        "bearer ssws",
        r"(?i)\b(bearer|ssws)(?:\s{1,3}|%20|\+)(?=[\w.~+/=-]{0,200}\d|[\w.~+/=-]{16})[\w.~+/=-]{6,}",
        rf"\1 {REDACTED}",
    ),
    _shape(f"{_WORDS} key sig code", rf"(?!PWD=/)((?i:{_NAMED}){_REST}{_ASSIGNED}){_VALUE}", rf"\1{REDACTED}"),
    _shape("value", rf"(?i)({_PAIR}){_VALUE}", rf"\1{REDACTED}"),
    _shape(f"{_WORDS} key", rf"(?i)({_OPTION})[^\s\-][^\s]{{0,1024}}", rf"\1{REDACTED}"),
    _shape("eyj", r"eyJ[A-Za-z0-9_-]{5,}+\.[A-Za-z0-9_.-]{5,}+"),
    _shape("_ - aiza ya29. hvs. hvb.", rf"(?:{_PREFIXES})[A-Za-z0-9_.-]{{16,}}"),
    _shape(
        "hooks.slack",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{8,}",
        f"hooks.slack.com/{REDACTED}",
    ),
    _shape("fwogzxivyxdz iqojb3jpz2lu", r"(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+=]{16,}"),
    _shape(
        "akia asia",
        r"(AKIA|ASIA)[A-Z0-9]{16}([\s:/,|]{1,3})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
        rf"\1…\g<2>{REDACTED}",
    ),
    _shape("", r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])", _aws_secret),
    _shape("akia asia", r"(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])", _short_key_id),
    _shape("00", r"(?a)(?<![\w-])00[\w-]{40}(?![\w-])"),
)
"""What a secret looks like, and what to write instead; those with names around them come first."""
