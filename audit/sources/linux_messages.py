"""What sshd, sudo, su, PAM and the account tools say, message by message.

A name in a failed login is whatever the client typed, so the address is taken behind the last " from " of the
line, where sshd itself writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from audit.event import Outcome
from audit.sources.deed import Deed
from audit.sources.fields import address

_NAME = r"(?P<user>.{0,1100})"
_IP = r"(?P<ip>\S{1,255}?)"
_PORT = r"(?: port [0-9]{1,5})?"
_STRANGER = rf"(?:authenticating|invalid|illegal) user {_NAME} "
_END = r"(?: \[preauth\])?$"


class Form(NamedTuple):
    """A message's form, and what a message of that form means."""

    pattern: re.Pattern[str]
    action: str
    outcome: Outcome = "unknown"
    authenticated: bool = True


def _form(pattern: str, action: str, outcome: Outcome = "unknown", authenticated: bool = True) -> Form:
    return Form(re.compile(pattern, re.DOTALL), action, outcome, authenticated)


def _gone(start: str) -> tuple[Form, ...]:
    """A connection's end before anybody was authenticated: with a name and a port, with a name, with neither."""
    port = " port [0-9]{1,5}"
    ends = (f"{_STRANGER}{_IP}{port}{_END}", f"{_STRANGER}(?P<ip>[0-9A-Fa-f.:]{{2,45}}){_END}", f"{_IP}{_PORT}{_END}")
    return tuple(_form(start + end, "sshd.disconnect", "unknown", False) for end in ends)


_INVALID = _form(rf"(?:Invalid|Illegal) user {_NAME} from {_IP}{_PORT}$", "sshd.invalid_user", "failure", False)
_SSHD: dict[str, tuple[Form, ...]] = {
    "Accepted": (
        _form(
            rf"Accepted \S{{1,64}} for (?P<user>\S{{1,256}})(?: from {_IP} port [0-9]{{1,5}}(?: .*)?)?$",
            "sshd.login",
            "success",
        ),
    ),
    "Failed": (
        _form(
            rf"Failed \S{{1,64}} for (?:(?:invalid|illegal) user )?{_NAME} from {_IP} port [0-9]{{1,5}}(?: .*)?$",
            "sshd.login",
            "failure",
            False,
        ),
    ),
    "Invalid": (_INVALID,),
    "Illegal": (_INVALID,),
    "input_userauth_request:": (
        _form(rf"input_userauth_request: invalid user {_NAME} \[preauth\]$", "sshd.message", "unknown", False),
    ),
    "maximum": (
        _form(
            rf"maximum authentication attempts exceeded for (?:invalid user )?{_NAME} from {_IP}{_PORT}(?: .*)?$",
            "sshd.too_many_failures",
            "failure",
            False,
        ),
    ),
    "Disconnecting": (
        _form(
            rf"Disconnecting {_STRANGER}{_IP} port [0-9]{{1,5}}: Too many authentication failures.*$",
            "sshd.too_many_failures",
            "failure",
            False,
        ),
    ),
    "Disconnecting:": (
        _form(
            rf"Disconnecting: Too many authentication failures(?: for {_NAME})? \[preauth\]$",
            "sshd.too_many_failures",
            "failure",
            False,
        ),
    ),
    "User": (_form(rf"User {_NAME} from {_IP} not allowed because .*$", "sshd.login", "denied", False),),
    "Postponed": (
        _form(
            rf"Postponed \S{{1,64}} for (?:invalid user )?{_NAME} from {_IP} port .*$",
            "sshd.postponed",
            "unknown",
            False,
        ),
    ),
    "Connection": (
        *_gone(r"Connection (?:closed|reset) by "),
        _form(rf"Connection from {_IP} port [0-9]{{1,5}}.*$", "sshd.connection", "unknown", False),
    ),
    "Disconnected": (
        _form(rf"Disconnected from user (?P<user>\S{{1,256}}) {_IP}{_PORT}$", "sshd.disconnect"),
        *_gone(r"Disconnected from "),
    ),
    "Received": (_form(rf"Received disconnect from {_IP}(?: port [0-9]{{1,5}}:|: )[0-9]+:", "sshd.disconnect"),),
    "Unable": (_form(rf"Unable to negotiate with {_IP}{_PORT}: ", "sshd.protocol", "failure", False),),
    "Did": (_form(rf"Did not receive identification string from {_IP}{_PORT}$", "sshd.protocol", "failure", False),),
    "Bad": (_form(rf"Bad protocol version identification .* from {_IP}{_PORT}$", "sshd.protocol", "failure", False),),
    "refused": (_form(r"refused connect from .{0,255} \((?P<ip>[^()]{1,64})\)$", "sshd.connection", "denied", False),),
    "reverse": (_form(r"reverse mapping checking getaddrinfo for \S{1,255} \[(?P<ip>[^\]]{1,64})\]", "sshd.message"),),
    "subsystem": (
        _form(r"subsystem request for (?P<thing>\S{1,64}) by user (?P<user>\S{1,256})$", "sshd.subsystem", "success"),
        _form(
            r"subsystem request for (?P<thing>\S{1,64}) by user (?P<user>\S{1,256}) failed", "sshd.subsystem", "failure"
        ),
    ),
}

# Where sudo's line says nothing before TTY= the command ran.
_SUDO = re.compile(
    r"(?P<user>[^\s:]{1,256}) : (?:(?P<reason>[^;]{1,256}?) ; )?(?:HOST=\S{1,255} ; )?TTY=(?P<tty>[^;]{0,256}) ; "
    r"PWD=(?P<cwd>.*?) ; USER=(?P<target>[^;]{0,256}?) ; (?:[^;]{0,256}; ){0,4}?COMMAND=(?P<command>.*)$",
    re.DOTALL,
)
_SUDO_DENIED = ("NOT in sudoers", "NOT authorized", "not allowed")

_SU = (
    _form(r"Successful su for (?P<target>\S{1,256}) by (?P<user>\S{1,256})$", "su.switch", "success"),
    _form(r"FAILED su for (?P<target>\S{1,256}) by (?P<user>\S{1,256})$", "su.switch", "failure"),
    _form(r"FAILED SU \(to (?P<target>\S{1,256})\) (?P<user>\S{1,256}) on ", "su.switch", "failure"),
    _form(r"\(to (?P<target>\S{1,256})\) (?P<user>\S{1,256}) on ", "su.switch", "success"),
    _form(r"failed: \S{1,64} changing from (?P<user>\S{1,256}) to (?P<target>\S{1,256})$", "su.switch", "failure"),
    _form(r"\+ \S{1,64} (?P<user>[^\s:]{1,256}):(?P<target>\S{1,256})$", "su.switch", "success"),
    _form(r"- \S{1,64} (?P<user>[^\s:]{1,256}):(?P<target>\S{1,256})$", "su.switch", "failure"),
    _form(r"(?P<user>\S{1,256}) to (?P<target>\S{1,256}) on /dev/", "su.switch", "success"),
)

_PAM = re.compile(r"pam_\w{1,32}\((?P<service>[\w.+-]{1,64}):\w{1,32}\): ")
_BY = r"(?:\(uid=[0-9]{1,10}\))?"
_PAM_FORMS = (
    _form(
        rf"session opened for user (?P<target>[^\s(]{{1,256}}){_BY} by (?P<user>[^\s(]{{1,256}})",
        "session_open",
        "success",
    ),
    _form(r"session opened for user (?P<user>[^\s(]{1,256})", "session_open", "success"),
    _form(r"session closed for user (?P<user>[^\s(]{1,256})", "session_close", "success"),
    _form(
        r"authentication failure;.* rhost=(?P<ip>\S{0,255})(?: +user=(?P<user>\S{1,256}))?$",
        "auth_failure",
        "failure",
        False,
    ),
    _form(r"check pass; user unknown$", "auth_failure", "failure", False),
    _form(r"User unknown$", "auth_failure", "failure", False),
    _form(r"Consecutive login failures for user (?P<user>\S{1,256}) account", "locked", "failure", False),
    _form(r'requirement ".{0,256}" not met by user "(?P<user>[^"]{1,256})"$', "auth_failure", "failure", False),
    _form(r"user '(?P<user>[^']{1,256})' (?:granted access|OK)", "access", "success"),
    _form(r"user '(?P<user>[^']{1,256})' (?:denied access|not found)", "access", "denied", False),
    _form(r"password changed for (?P<target>\S{1,256})$", "password_change", "success"),
)
_MORE_FAILURES = _form(
    r"PAM [0-9]{1,6} more authentication failures?;.* rhost=(?P<ip>\S{0,255})(?: +user=(?P<user>\S{1,256}))?$",
    "auth_failure",
    "failure",
    False,
)

_ACCOUNT_TOOLS = frozenset(
    {"useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "passwd", "chpasswd", "chage"}
) | {"chfn", "chsh"}
_ACCOUNT_FORMS = (
    _form(r"new user: name=(?P<target>[^,]{1,256}),", "add", "success"),
    _form(r"failed adding user '(?P<target>[^']{1,256})'", "add", "failure"),
    _form(r"delete user '(?P<target>[^']{1,256})'", "delete", "success"),
    _form(r"(?:group added to \S{1,64} name=|new group: name=)(?P<group>[^,\s]{1,256})", "add", "success"),
    _form(r"(?:group '|removed group ')(?P<group>[^']{1,256})' removed", "delete", "success"),
    _form(r"add '(?P<target>[^']{1,256})' to (?:shadow )?group '(?P<group>[^']{1,256})'", "group_add", "success"),
    _form(
        r"delete '(?P<target>[^']{1,256})' from (?:shadow )?group '(?P<group>[^']{1,256})'", "group_remove", "success"
    ),
    _form(r"(?:changed?|lock|unlock) user '(?P<target>[^']{1,256})'", "change", "success"),
    _form(r"(?:changed password expiry|password changed) for (?P<target>\S{1,256})", "change", "success"),
)
_LOGIND = _form(r"New session \S{1,64} of user (?P<user>\S{1,256})\.$", "systemd-logind.session", "success")

_LEVELS = ("error: ", "fatal: ", "debug1: ", "debug2: ", "debug3: ")
_REPEATED = re.compile(r"message repeated ([0-9]{1,6}) times: \[ ?(.*)\]$", re.DOTALL)
MOST_REPEATED = 32
"""Deeds one "message repeated N times" line stands for at most."""
_ANY_IP = re.compile(r"\b(?:from|by|with) ([0-9A-Fa-f.:]{2,45}?)(?= port |: |:?$| )")


def interpret(program: str | None, module: str | None, text: str) -> Deed:
    """What a message says was done; `action` is PROGRAM.message where its form is not known."""
    repeated = _REPEATED.match(text)
    if repeated:
        times = min(max(int(repeated[1]), 1), MOST_REPEATED)
        return interpret(program, module, repeated[2].strip())._replace(repeated=times)
    name = (program or "").lower().rpartition("/")[2]
    pam = _PAM.match(text)
    if pam or (module or "").startswith("pam_"):
        service = pam["service"].lower() if pam else name
        return _first(_PAM_FORMS, text[pam.end() :] if pam else text, service + ".") or _message(service, text)
    return _by_program(name, text) or _message(name, text)


def _by_program(name: str, text: str) -> Deed | None:
    if name in ("sshd", "sshd-session", ""):
        return _sshd(text)
    if name == "sudo":
        return _sudo(text)
    if name == "su":
        return _first(_SU, text)
    if name in _ACCOUNT_TOOLS:
        return _first(_ACCOUNT_FORMS, text, name + ".")
    return _first((_LOGIND,), text) if name == "systemd-logind" else None


def _sshd(text: str) -> Deed | None:
    for level in _LEVELS:
        text = text.removeprefix(level)
    word = text.partition(" ")[0]
    if word == "PAM":
        return _first((_MORE_FAILURES,), text, "sshd.")
    return _first(_SSHD.get(word, ()), text)


def _sudo(text: str) -> Deed | None:
    found = _SUDO.match(text)
    if found is None:
        return None
    reason = found["reason"]
    refused = reason is not None and any(word in reason for word in _SUDO_DENIED)
    outcome: Outcome = "success" if reason is None else "denied" if refused else "failure"
    return Deed("sudo.command", outcome, found["user"], found["target"], ("command", found["command"]))


def _first(forms: tuple[Form, ...], text: str, prefix: str = "") -> Deed | None:
    for form in forms:
        found = form.pattern.match(text)
        if found is not None:
            return _deed(form, found.groupdict(), prefix)
    return None


def _deed(form: Form, parts: Mapping[str, str | None], prefix: str) -> Deed:
    group, thing = parts.get("group"), parts.get("thing")
    return Deed(
        action=prefix + form.action,
        outcome=form.outcome,
        user=parts.get("user") or None,
        target=parts.get("target"),
        resource=("group", group) if group else ("subsystem", thing) if thing else None,
        source_ip=address(parts.get("ip")),
        authenticated=form.authenticated,
    )


def _message(name: str, text: str) -> Deed:
    found = _ANY_IP.search(text)
    return Deed(f"{name or 'linux'}.message", source_ip=address(found[1]) if found else None)
