"""Lines of the Linux audit daemon: type=... msg=audit(seconds.milliseconds:serial): key=value ..."""

from __future__ import annotations

import re
from collections.abc import Mapping

from audit.event import MICROSECONDS, Outcome
from audit.sources.deed import Deed
from audit.sources.fields import UNTIMED, address

MOST_FIELDS = 256
"""Fields read of a line; an EXECVE line may bear thousands of arguments."""

Fields = dict[str, str]

_HEAD = re.compile(
    r"(?:node=(\S{1,255}) )?type=([A-Za-z0-9_\[\]]{1,64}) "
    r"(?:(?:msg=)?audit\(([0-9]{1,11})\.([0-9]{3}):[0-9]{1,20}\)|msg=)"
)
_PAIR = re.compile(r"([A-Za-z][\w.\[\]-]{0,63})=(\"[^\"]*\"|[^\s\"'\x1d]*)", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-F]{2})+")
_ARGUMENT = re.compile(r"a[0-9]{1,6}")
_ENCODED = frozenset({"cmd", "proctitle", "exe", "comm", "cwd", "name", "acct", "data"})
_UNSET = frozenset({"", "?", "4294967295", "-1", "unset", "(none)", "(null)"})
_NOBODY = frozenset({"(unknown)", "(invalid user)", "(unknown user)", "unknown"}) | _UNSET
_GOOD, _BAD = frozenset({"success", "1", "yes"}), frozenset({"failed", "0", "no"})
_REFUSED = frozenset({"-1", "-13", "EPERM", "EACCES"})
_ACCOUNTS = frozenset({"ADD_USER", "DEL_USER", "USER_MGMT", "USER_CHAUTHTOK", "ACCT_LOCK", "ACCT_UNLOCK"})
_THINGS = (("command", "cmd"), ("command", "proctitle"), ("service", "unit"), ("program", "exe"), ("file", "name"))


def is_audit(text: str) -> bool:
    """Whether a line (behind its syslog header) is one of the audit daemon's."""
    return text.startswith(("type=", "node=")) and _HEAD.match(text) is not None


def fields(text: str) -> tuple[int, str | None, Fields]:
    """The time in microseconds, the host, and the fields of an audit line, `type` among them.

    The kernel's fields come first and win over what user space writes into msg='...': an inner uid= cannot
    replace the outer one. What the daemon encodes in hexadecimal is decoded.
    """
    head = _HEAD.match(text)
    assert head is not None
    node, kind, seconds, milliseconds = head.groups()
    time = UNTIMED if seconds is None else int(seconds) * MICROSECONDS + int(milliseconds) * 1000
    body = text[head.end() :]
    if kind == "LOGIN":  # old auid=4294967295 new auid=1000, as kernels up to 3.x write it
        for before, after in (("old auid", "old-auid"), ("new auid", "auid"), ("old ses", "old-ses")):
            body = body.replace(before, after, 1)
        body = body.replace("new ses", "ses", 1)
    written = dict(reversed(_PAIR.findall(body)[:MOST_FIELDS]))
    found = {key: value[1:-1] if value[:1] == '"' else value for key, value in written.items()}
    encoded = [key for key in written if _ARGUMENT.fullmatch(key)] if kind == "EXECVE" else written.keys() & _ENCODED
    for key in encoded:
        if written[key][:1] != '"':
            found[key] = _decoded(written[key])
    found["type"] = kind
    return time, node, found


def _decoded(value: str) -> str:
    if not _HEX.fullmatch(value):
        return value
    return bytes.fromhex(value).replace(b"\0", b" ").decode("utf-8", "replace")


def deed(found: Mapping[str, str], host: str | None) -> Deed:
    """What the fields of an audit line say was done.

    The actor is the login uid, which stays with a session through su and sudo; where there is none (a daemon),
    the account a program asks about, else the uid.
    """
    kind = found["type"]
    outcome = _outcome(kind, found)
    account = found.get("acct", "")
    login, user = _user(found, "auid"), _user(found, "uid")
    asked = account if account not in _NOBODY else None
    proven = login is not None or outcome == "success" or "acct" not in found
    return Deed(
        action=f"auditd.{kind.lower()}",
        outcome=outcome,
        user=login or asked or (None if "acct" in found else user),
        target=_target(kind, found, login, asked),
        resource=_resource(kind, found),
        source_ip=address(found.get("addr")) or address(found.get("hostname")) or address(found.get("src")),
        session=f"{host}:{found['ses']}" if host and found.get("ses", "") not in _UNSET else None,
        authenticated=proven,
    )


def _outcome(kind: str, found: Mapping[str, str]) -> Outcome:
    result = found.get("res") or found.get("success") or ""
    if kind == "AVC" or (result in _BAD and found.get("exit") in _REFUSED):
        return "denied"
    return "success" if result in _GOOD else "failure" if result in _BAD else "unknown"


def _user(found: Mapping[str, str], field: str) -> str | None:
    """The name an enriched line gives beside the number, else the number; 0 is root everywhere."""
    number = found.get(field, "")
    if number in _UNSET:
        return None
    name = found.get(field.upper(), "")
    return "root" if number == "0" else number if name in _NOBODY else name


def _target(kind: str, found: Mapping[str, str], login: str | None, asked: str | None) -> str | None:
    """Whose account is changed, or whom the actor becomes."""
    if kind in _ACCOUNTS:
        number = found.get("id", "")
        asked = asked or (None if number in _UNSET else number)
        return asked if asked != login else None
    return asked if login is not None and asked != login else None


def _resource(kind: str, found: Mapping[str, str]) -> tuple[str, str] | None:
    if kind == "EXECVE":
        arguments = [found[key] for key in (f"a{number}" for number in range(MOST_FIELDS)) if key in found]
        return ("command", " ".join(arguments)) if arguments else None
    for thing, field in _THINGS:
        name = found.get(field, "")
        if name not in _UNSET:
            return thing, name
    return None
