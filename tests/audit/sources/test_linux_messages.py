from __future__ import annotations

import time as clock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sources.deed import Deed
from audit.sources.linux_messages import MOST_REPEATED, interpret

IP = "198.51.100.7"


def failed(action: str, user: str | None = None, ip: str | None = IP, outcome: Any = "failure") -> Deed:
    return Deed(action, outcome, user, source_ip=ip, authenticated=False)


def command(outcome: Any, text: str = "/bin/ls", user: str = "ada", target: str = "root") -> Deed:
    return Deed("sudo.command", outcome, user, target, ("command", text))


@pytest.mark.parametrize(
    ("text", "deed"),
    [
        (
            f"Accepted publickey for ada from {IP} port 5 ssh2: RSA SHA256:x",
            Deed("sshd.login", "success", "ada", source_ip=IP),
        ),
        (f"Accepted password for ada from {IP} port 5 ssh2", Deed("sshd.login", "success", "ada", source_ip=IP)),
        ("Accepted google_authenticator for root", Deed("sshd.login", "success", "root")),
        (f"Failed password for root from {IP} port 5 ssh2", failed("sshd.login", "root")),
        (f"Failed password for invalid user admin from {IP} port 5 ssh2", failed("sshd.login", "admin")),
        (f"Invalid user  from {IP} port 5", failed("sshd.invalid_user")),
        (f"Invalid user test from {IP}", failed("sshd.invalid_user", "test")),
        (
            f"error: maximum authentication attempts exceeded for invalid user x from {IP} port 5 ssh2 [preauth]",
            failed("sshd.too_many_failures", "x"),
        ),
        (
            f"Disconnecting invalid user x {IP} port 5: Too many authentication failures [preauth]",
            failed("sshd.too_many_failures", "x"),
        ),
        (
            "Disconnecting: Too many authentication failures for root [preauth]",
            failed("sshd.too_many_failures", "root", None),
        ),
        (
            f"User root from {IP} not allowed because not listed in AllowUsers",
            failed("sshd.login", "root", IP, "denied"),
        ),
        (
            f"Postponed publickey for ada from {IP} port 5 ssh2 [preauth]",
            failed("sshd.postponed", "ada", IP, "unknown"),
        ),
        (f"Connection closed by {IP} port 5 [preauth]", failed("sshd.disconnect", None, IP, "unknown")),
        (f"Connection closed by {IP} [preauth]", failed("sshd.disconnect", None, IP, "unknown")),
        (
            f"Connection closed by authenticating user ada {IP} port 5 [preauth]",
            failed("sshd.disconnect", "ada", IP, "unknown"),
        ),
        (f"Connection reset by illegal user ada {IP} [preauth]", failed("sshd.disconnect", "ada", IP, "unknown")),
        (f"Connection from {IP} port 5 on 192.0.2.1 port 22", failed("sshd.connection", None, IP, "unknown")),
        (f"Disconnected from user ada {IP} port 5", Deed("sshd.disconnect", "unknown", "ada", source_ip=IP)),
        (f"Disconnected from invalid user ada {IP} port 5 [preauth]", failed("sshd.disconnect", "ada", IP, "unknown")),
        (f"Received disconnect from {IP} port 5:11: Bye Bye [preauth]", Deed("sshd.disconnect", source_ip=IP)),
        ("Received disconnect from 2001:db8::1: 11: bye", Deed("sshd.disconnect", source_ip="2001:db8::1")),
        ("Received disconnect from 2001:11:db8::1 port 5:11: bye", Deed("sshd.disconnect", source_ip="2001:11:db8::1")),
        (f"fatal: Unable to negotiate with {IP} port 5: no matching cipher", failed("sshd.protocol")),
        (f"Did not receive identification string from {IP}", failed("sshd.protocol")),
        (f"Bad protocol version identification '\\003' from {IP} port 5", failed("sshd.protocol")),
        (f"refused connect from mail.example ({IP})", failed("sshd.connection", None, IP, "denied")),
        (
            f"reverse mapping checking getaddrinfo for a.example [{IP}] failed - POSSIBLE",
            Deed("sshd.message", source_ip=IP),
        ),
        (
            "subsystem request for sftp by user ada",
            Deed("sshd.subsystem", "success", "ada", None, ("subsystem", "sftp")),
        ),
        (
            "subsystem request for netconf by user ada failed, subsystem not found",
            Deed("sshd.subsystem", "failure", "ada", None, ("subsystem", "netconf")),
        ),
        (
            f"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost={IP}  user=root",
            failed("sshd.auth_failure", "root"),
        ),
        (
            f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={IP} ",
            failed("sshd.auth_failure"),
        ),
        (f"Read error from remote host {IP}: reset; came by {IP}: x", Deed("sshd.message", source_ip=IP)),
        ("Corrupted MAC on input.", Deed("sshd.message")),
    ],
)
def test_sshd(text: str, deed: Deed) -> None:
    assert interpret("sshd", None, text.strip()) == deed
    assert interpret("/usr/sbin/sshd", None, text.strip()) == deed


def test_a_message_without_header_may_be_sshds() -> None:
    assert interpret(None, None, f"Accepted password for ada from {IP} port 5 ssh2").action == "sshd.login"
    assert interpret(None, None, "what is this").action == "linux.message"


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=60))
def test_no_user_name_moves_the_address(name: str) -> None:
    """Whatever a client calls itself, its address is the one sshd wrote."""
    for start in ("Failed password for", "Failed password for invalid user"):
        deed = interpret("sshd", None, f"{start} {name} from {IP} port 5 ssh2")
        assert (deed.action, deed.outcome, deed.source_ip, deed.authenticated) == ("sshd.login", "failure", IP, False)
    assert interpret("sshd", None, f"Invalid user {name} from {IP} port 5").source_ip == IP


@pytest.mark.parametrize("name", ["root from 203.0.113.9 port 1 ssh2", " from 203.0.113.9", "x [preauth]", "a" * 1000])
def test_names_made_to_mislead(name: str) -> None:
    deed = interpret("sshd", None, f"Failed password for invalid user {name} from {IP} port 5 ssh2")
    assert (deed.user, deed.source_ip) == (name, IP)


@pytest.mark.parametrize(
    ("text", "deed"),
    [
        ("ada : TTY=pts/0 ; PWD=/home/ada ; USER=root ; COMMAND=/bin/ls", command("success")),
        ("ada : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", command("denied")),
        ("ada : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", command("denied")),
        ("ada : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", command("failure")),
        ("ada : a password is required ; TTY=unknown ; PWD=/ ; USER=root ; COMMAND=/bin/ls", command("failure")),
        ("ada : TTY=pts/0 ; PWD=/ ; USER=root ; TSID=0001 ; COMMAND=/bin/ls", command("success")),
        ("ada : TTY=pts/0 ; PWD=/ ; USER=root ; ENV=A=b ; COMMAND=/bin/ls", command("success")),
        (
            "ada : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c x ; USER=bob ; COMMAND=/bin/ls",
            command("success", "/bin/sh -c x ; USER=bob ; COMMAND=/bin/ls"),
        ),
        ("unable to execute /usr/sbin/sendmail: No such file", Deed("sudo.message")),
        ("pam_unix(sudo:session): session closed for user root", Deed("sudo.session_close", "success", "root")),
        (
            "pam_unix(sudo:session): session opened for user root(uid=0) by ada(uid=1000)",
            Deed("sudo.session_open", "success", "ada", "root"),
        ),
    ],
)
def test_sudo(text: str, deed: Deed) -> None:
    assert interpret("sudo", None, text) == deed


@pytest.mark.parametrize(
    ("text", "outcome", "user", "target"),
    [
        ("Successful su for bob by ada", "success", "ada", "bob"),
        ("FAILED su for root by ada", "failure", "ada", "root"),
        ("FAILED SU (to root) ada on pts/0", "failure", "ada", "root"),
        ("(to root) ada on pts/0", "success", "ada", "root"),
        ("+ /dev/pts/1 ada:root", "success", "ada", "root"),
        ("- pts/1 ada:root", "failure", "ada", "root"),
        ("failed: ttyq4 changing from ldap to root", "failure", "ldap", "root"),
        ("ada to root on /dev/ttyp1", "success", "ada", "root"),
    ],
)
def test_su(text: str, outcome: Any, user: str, target: str) -> None:
    assert interpret("su", None, text) == Deed("su.switch", outcome, user, target)


@pytest.mark.parametrize(
    ("program", "module", "text", "deed"),
    [
        (
            "su",
            "pam_unix",
            "authentication failure; logname= uid=1 euid=0 tty= ruser=x rhost=  user=root",
            failed("su.auth_failure", "root", None),
        ),
        (
            "CRON",
            None,
            "pam_unix(cron:session): session opened for user root by (uid=0)",
            Deed("cron.session_open", "success", "root"),
        ),
        ("sshd", None, "pam_unix(sshd:auth): check pass; user unknown", failed("sshd.auth_failure", None, None)),
        (
            "sshd",
            None,
            "pam_faillock(sshd:auth): Consecutive login failures for user ada account temporarily locked",
            failed("sshd.locked", "ada", None),
        ),
        ("sshd", None, "pam_winbind(sshd:account): user 'ada' granted access", Deed("sshd.access", "success", "ada")),
        (
            "sshd",
            None,
            'pam_succeed_if(sshd:auth): requirement "uid >= 1000" not met by user "root"',
            failed("sshd.auth_failure", "root", None),
        ),
        (
            "passwd",
            None,
            "pam_unix(passwd:chauthtok): password changed for ada",
            Deed("passwd.password_change", "success", target="ada"),
        ),
        ("x", None, "pam_systemd(login:session): nothing known", Deed("login.message")),
        ("useradd", None, "new user: name=ada, UID=1001, GID=1", Deed("useradd.add", "success", target="ada")),
        ("useradd", None, "failed adding user 'ada', exit code: 4", Deed("useradd.add", "failure", target="ada")),
        ("userdel", None, "delete user 'ada'", Deed("userdel.delete", "success", target="ada")),
        (
            "usermod",
            None,
            "add 'ada' to group 'sudo'",
            Deed("usermod.group_add", "success", target="ada", resource=("group", "sudo")),
        ),
        (
            "groupadd",
            None,
            "group added to /etc/group: name=ops, GID=1",
            Deed("groupadd.add", "success", resource=("group", "ops")),
        ),
        ("chage", None, "changed password expiry for ada", Deed("chage.change", "success", target="ada")),
        ("chfn", None, "changed user 'ada' information", Deed("chfn.change", "success", target="ada")),
        ("systemd-logind", None, "New session 5 of user ada.", Deed("systemd-logind.session", "success", "ada")),
        ("kernel", None, "eth0: link up", Deed("kernel.message")),
    ],
)
def test_others(program: str, module: str | None, text: str, deed: Deed) -> None:
    assert interpret(program, module, text) == deed


def test_a_repeated_message_counts_as_often_as_it_says() -> None:
    text = f"message repeated 3 times: [ Failed password for root from {IP} port 5 ssh2]"
    assert interpret("sshd", None, text) == failed("sshd.login", "root")._replace(repeated=3)
    assert interpret("sshd", None, text.replace("3", "999999", 1)).repeated == MOST_REPEATED
    nested = "message repeated 2 times: [ " * 50 + "x" + "]" * 50
    assert interpret("sshd", None, nested).repeated <= MOST_REPEATED


@pytest.mark.parametrize(
    "filler",
    [" from ", "a", " port 1", " ; ", "PWD=", "user ", ":", "[preauth]", " USER=x ; COMMAND=", " ; USER=x ; y"],
)
def test_no_message_takes_long(filler: str) -> None:
    starts = (
        "Failed password for ",
        "Invalid user ",
        "Connection closed by invalid user ",
        "ada : TTY=x ; PWD=",
        "User ",
    )
    starts += (
        "ada : ",
        "pam_unix(sshd:auth): authentication failure; ",
        "Bad protocol version identification ",
        "(to ",
    )
    for start in starts:
        for program in ("sshd", "sudo", "su", None):
            begun = clock.perf_counter()
            interpret(program, None, start + filler * (16_384 // len(filler)))
            assert clock.perf_counter() - begun < 0.5
