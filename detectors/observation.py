"""The few numbers of an event that a baseline learns from, small enough to be held until a verdict."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from ipaddress import ip_address, ip_network

import msgspec

from audit.context import EMPTY, Context
from audit.event import MICROSECONDS, ActorKind, AuditEvent, Resource
from audit.network import LONGEST_ADDRESS
from detectors.lens import Place, lens_of

LAST_SECOND = 2**32 - 1
KINDS: tuple[ActorKind, ...] = ("human", "service", "contractor", "unknown")

_CACHED_CHARS = 160  # longer texts are worked out anew, so that the caches stay small whatever is logged
_AGENT_CHARS = 256
_HALF = 2**32 - 1


class Observation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is learnt of one event. `time` is in whole seconds since the epoch (2106 at the latest).

    `tokens` are 64-bit hashes of action, resource, country, autonomous system, family of user agent and network, the
    same in every process; 0 stands for "not known". `kind` indexes `KINDS`. `offset` is how far (seconds) the
    principal's clock is ahead of UTC, `place` where on earth the address is, `session` a hash of 32 bits.
    """

    time: int
    tokens: tuple[int, int, int, int, int, int]
    failed: bool = False
    denied: bool = False
    privileged: bool = False
    kind: int = 3
    offset: int = 0
    place: Place | None = None
    session: int = 0
    sensitive: bool = False


def observe(event: AuditEvent, context: Context = EMPTY) -> Observation:
    """What a baseline can learn from an event of a declared company; reads everything but `raw`."""
    resource, outcome, address = event.resource, event.outcome, event.source_ip
    lens = lens_of(context)
    time = min(max(event.time // MICROSECONDS, 0), LAST_SECOND)
    deed = f"{event.source} {event.action} {resource.type}" if resource else f"{event.source} {event.action} "
    agent, known = event.user_agent, address is not None and len(address) <= LONGEST_ADDRESS
    elsewhere = known and lens.is_exit(address)
    return Observation(
        time,
        (
            token("action " + deed),
            token("resource " + lasting(resource)) if resource else 0,
            token("country " + event.country) if event.country and not elsewhere else 0,
            token(f"asn {event.asn}") if event.asn is not None else 0,
            token("agent " + agent_family(agent[:_AGENT_CHARS])) if agent else 0,
            token("network " + network(address)) if address else 0,
        ),
        outcome == "failure",
        outcome == "denied",
        is_privileged(deed[:_CACHED_CHARS]),
        _KIND_INDEX[event.actor.kind],
        lens.offset(event.actor.id, time),
        lens.place(address) if known else None,
        (token("session " + event.session_id) & _HALF or 1) if event.session_id else 0,
        lens.is_sensitive(event.source, resource) if resource else False,
    )


def lasting(resource: Resource) -> str:
    """Type and name of what stays while a thing is replaced: of a deployment's or job's pod without the suffixes.

    Each roll-out names all pods anew, which would make everybody's every look at them a first. A pod is the same thing
    whether its log is read or a shell opened in it: the action tells these apart.
    """
    if resource.type.startswith("pods"):
        return "pods " + _REPLICA.sub("", resource.name)
    return f"{resource.type} {resource.name}"


def token(text: str) -> int:
    """A positive 64-bit hash. BLAKE2b, because log text is hostile: nobody can make a stranger look like a friend."""
    return _cached_hash(text) if len(text) <= _CACHED_CHARS else _hash(text)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


_cached_hash = lru_cache(maxsize=16_384)(_hash)


@lru_cache(maxsize=2_048)
def agent_family(agent: str) -> str:
    """A user agent without its versions: "chrome mac", "aws-cli linux", "kubectl windows"."""
    product = next((name for mark, name in _BROWSERS if mark in agent), "") if agent.startswith("Mozilla/") else ""
    if not product:
        product = _PRODUCT_END.split(agent.lstrip("[( "), maxsplit=1)[0].lower()
    lower = agent.lower()
    return f"{product} {next((name for mark, name in _SYSTEMS if mark in lower), '')}".rstrip()


@lru_cache(maxsize=16_384)
def network(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) an address is in; the text itself where it is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


@lru_cache(maxsize=8_192)
def is_privileged(deed: str) -> bool:
    """Whether "source action resource-type" changes rights, credentials, secrets or logging, or reads a secret."""
    act = deed.partition(" ")[2]
    return (_SECRET if _READING.match(act) else _POWER).search(act) is not None


_REPLICA = re.compile(r"-[0-9a-z]{8,10}-[0-9a-z]{5}\Z")
_KIND_INDEX = {kind: index for index, kind in enumerate(KINDS)}
_PRODUCT_END = re.compile(r"[/ ,;(]")
_BROWSERS = (
    ("Edg", "edge"),
    ("OPR/", "opera"),
    ("Firefox/", "firefox"),
    ("HeadlessChrome/", "headless-chrome"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
)
_SYSTEMS = (
    ("windows", "windows"),
    ("android", "android"),
    ("iphone", "ios"),
    ("ipad", "ios"),
    ("mac", "mac"),
    ("darwin", "mac"),
    ("linux", "linux"),
)
_READING = re.compile(r"(?i)(?:batchget|get|list|describe|head|lookup|search|view|read|watch|policy\.evaluate)")
_SECRET = re.compile(r"(?i)secret|passworddata|credential")
_POWER = re.compile(
    r"""(?ix)
    access_?key | api_?token | access_token | deploy_?key | public_?key | oauth | loginprofile | password | secret
    | mfa(?:device|\.) | policy | policies | permission | privilege | grant | admin | impersonat | (?<!assume)role
    | member | collaborator | usertogroup | (?:create|delete)user | user\.lifecycle | serviceaccounts | group\.user
    | trail | logging | guardduty | detector | flowlogs | recorder | hook | protected_branch | branch_protection
    | visibility | securitygroup | snapshotattribute | imageattribute | pods/(?:exec|attach)
    """
)
