from __future__ import annotations

from typing import Any

import pytest

from audit.event import parse_rfc3339
from audit.sources.auditd import MOST_FIELDS, deed, fields, is_audit
from audit.sources.deed import Deed
from audit.sources.fields import UNTIMED

HEAD = "msg=audit(1551486631.701:557): "


def read(kind: str, rest: str, node: str | None = None) -> Deed:
    text = f"type={kind} {HEAD}{rest}"
    return deed(fields(text)[2], node)


def test_head() -> None:
    time, node, found = fields(f'node=web1 type=SYSCALL {HEAD}arch=c000003e exe="/bin/x y" key=(null)')
    assert (time, node) == (parse_rfc3339("2019-03-02T00:30:31.701Z"), "web1")
    assert found == {"type": "SYSCALL", "arch": "c000003e", "exe": "/bin/x y", "key": "(null)"}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("type=PATH msg=audit(1551486631.701:557): item=0", True),
        ("node=a.b type=UNKNOWN[1329] msg=audit(1551486631.701:557): x", True),
        ('type=1400 audit(1551486631.701:557): apparmor="DENIED"', True),
        ("type=UNKNOWN[1329] msg=g\x05", True),
        ("type=A", False),
        ("audit(1551486631.701:557): type=A", False),
        ("Accepted type=A msg=audit(1551486631.701:557): ", False),
    ],
)
def test_which_lines_are_the_daemons(text: str, is_one: bool) -> None:
    assert is_audit(text) == is_one


def test_a_broken_line_has_no_time() -> None:
    assert fields("type=UNKNOWN[1329] msg=g\x05") == (UNTIMED, None, {"type": "UNKNOWN[1329]"})


def test_what_user_space_writes_replaces_nothing_of_the_kernels() -> None:
    rest = "pid=1 uid=1000 auid=1000 msg='op=x uid=0 auid=0 type=LOGIN acct=\"bob\" res=success'"
    found = fields(f"type=USER_ACCT {HEAD}{rest}")[2]
    assert (found["type"], found["uid"], found["auid"], found["res"]) == ("USER_ACCT", "1000", "1000", "success")


@pytest.mark.parametrize(
    ("kind", "pair", "value"),
    [
        ("USER_CMD", "cmd=6C73202D6C", "ls -l"),
        ("USER_CMD", 'cmd="6C73"', "6C73"),
        ("PROCTITLE", "proctitle=6C73002D6C", "ls -l"),
        ("EXECVE", "a1=6C7320", "ls "),
        ("SYSCALL", "a1=6C7320", "6C7320"),
        ("EXECVE", "a0=top", "top"),
        ("EXECVE", "a0=FFFE", "\ufffd\ufffd"),
        ("USER_CMD", "cmd=6C7", "6C7"),
        ("PATH", "inode=2727", "2727"),
    ],
)
def test_what_is_written_in_hexadecimal(kind: str, pair: str, value: str) -> None:
    assert fields(f"type={kind} {HEAD}{pair}")[2][pair.partition("=")[0]] == value


def test_old_kernels_name_the_new_login_second() -> None:
    found = fields(f"type=LOGIN {HEAD}login pid=1 uid=0 old auid=4294967295 new auid=1000 old ses=1 new ses=2")[2]
    assert (found["auid"], found["old-auid"], found["ses"], found["old-ses"]) == ("1000", "4294967295", "2", "1")


def test_fields_are_bounded() -> None:
    text = f"type=EXECVE {HEAD}" + " ".join(f'a{number}="x"' for number in range(2000))
    assert len(fields(text)[2]) == MOST_FIELDS + 1


SUDO = (
    'pid=1 uid=0 auid=1000 ses=3 msg=\'op=PAM:session_open acct="root" exe="/usr/bin/sudo" hostname=? addr={} res={}\''
)
SSHD = (
    'pid=1 uid=0 auid=4294967295 ses=4294967295 msg=\'op=login acct="{}" exe="/usr/sbin/sshd" addr=192.0.2.1 res={}\''
)


@pytest.mark.parametrize(
    ("kind", "rest", "expected"),
    [
        (
            "USER_START",
            SUDO.format("?", "success"),
            Deed("auditd.user_start", "success", "1000", "root", ("program", "/usr/bin/sudo")),
        ),
        (
            "USER_LOGIN",
            SSHD.format("ada", "success"),
            Deed("auditd.user_login", "success", "ada", None, ("program", "/usr/sbin/sshd"), "192.0.2.1"),
        ),
        (
            "USER_LOGIN",
            SSHD.format("root", "failed"),
            Deed(
                "auditd.user_login",
                "failure",
                "root",
                None,
                ("program", "/usr/sbin/sshd"),
                "192.0.2.1",
                authenticated=False,
            ),
        ),
        (
            "USER_LOGIN",
            SSHD.format("(unknown)", "failed"),
            Deed(
                "auditd.user_login",
                "failure",
                None,
                None,
                ("program", "/usr/sbin/sshd"),
                "192.0.2.1",
                authenticated=False,
            ),
        ),
        (
            "USER_CMD",
            "uid=497 auid=700 msg='cwd=\"/\" cmd=6C73 res=success'",
            Deed("auditd.user_cmd", "success", "700", None, ("command", "ls")),
        ),
        (
            "EXECVE",
            'argc=3 a0="/bin/sh" a1="-c" a2=6C73202D6C',
            Deed("auditd.execve", "unknown", None, None, ("command", "/bin/sh -c ls -l")),
        ),
        (
            "SYSCALL",
            'success=no exit=-13 auid=1000 uid=0 exe="/bin/cat" key="shadow"',
            Deed("auditd.syscall", "denied", "1000", None, ("program", "/bin/cat")),
        ),
        (
            "SYSCALL",
            'success=no exit=-2 auid=4294967295 uid=0 exe="/bin/cat"',
            Deed("auditd.syscall", "failure", "root", None, ("program", "/bin/cat")),
        ),
        (
            "ADD_USER",
            "uid=0 auid=1000 msg='op=adding user id=1004 exe=\"/usr/sbin/useradd\" res=success'",
            Deed("auditd.add_user", "success", "1000", "1004", ("program", "/usr/sbin/useradd")),
        ),
        (
            "USER_CHAUTHTOK",
            'uid=0 auid=1000 msg=\'op=PAM:chauthtok acct="bob" res=success\'\x1dUID="root" AUID="ada"',
            Deed("auditd.user_chauthtok", "success", "ada", "bob"),
        ),
        (
            "AVC",
            'avc:  denied  { read } for  pid=1 comm="cat" name="shadow"',
            Deed("auditd.avc", "denied", None, None, ("file", "shadow")),
        ),
        (
            "SERVICE_START",
            "uid=0 auid=4294967295 msg='unit=x res=success'",
            Deed("auditd.service_start", "success", "root", None, ("service", "x")),
        ),
    ],
)
def test_deeds(kind: str, rest: str, expected: Deed) -> None:
    assert read(kind, rest) == expected


@pytest.mark.parametrize(
    ("node", "ses", "session"), [("web1", "3", "web1:3"), (None, "3", None), ("web1", "4294967295", None)]
)
def test_a_session_is_one_only_on_its_host(node: str | None, ses: Any, session: str | None) -> None:
    assert read("USER_END", f"auid=1 ses={ses}", node).session == session
