"""What a baseline learns of an event: small, stable in every process, hard to fool."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from audit.event import MICROSECONDS, Principal, Resource
from detectors.baseline import ACTION, AGENT, ASN, COUNTRY, NETWORK, RESOURCE
from detectors.observation import (
    LAST_SECOND,
    Observation,
    agent_family,
    is_privileged,
    lasting,
    network,
    observe,
    token,
)
from tests.detectors.company import AGENTS, event


class TestObserve:
    def test_an_observation_is_small_and_survives_packing(self) -> None:
        obs = observe(event())
        packed = msgspec.msgpack.encode(obs)
        assert len(packed) < 200
        assert msgspec.msgpack.decode(packed, type=Observation) == obs

    def test_what_is_missing_has_no_token(self) -> None:
        bare = observe(event(resource=None, source_ip=None, country=None, asn=None, user_agent=None))
        assert bare.tokens[ACTION] > 0
        assert bare.tokens[RESOURCE:] == (0, 0, 0, 0, 0)

    def test_autonomous_system_zero_is_known(self) -> None:
        assert observe(event(asn=0)).tokens[ASN] > 0

    @pytest.mark.parametrize(
        ("change", "kinds"),
        [
            ({"action": "PutObject"}, {ACTION}),
            ({"source": "okta"}, {ACTION}),
            ({"resource": Resource("bucket", "other")}, {RESOURCE}),
            ({"resource": Resource("object", "reports")}, {ACTION, RESOURCE}),
            ({"country": "NL"}, {COUNTRY}),
            ({"asn": 64511}, {ASN}),
            ({"user_agent": AGENTS[2]}, {AGENT}),
            ({"user_agent": AGENTS[0].replace("126.0", "127.1")}, set()),
            ({"source_ip": "192.0.3.7"}, {NETWORK}),
            ({"source_ip": "192.0.2.99"}, set()),
            ({"raw": b'{"other": 1}', "id": "other", "session_id": "s"}, set()),
        ],
    )
    def test_each_change_shows_where_it_should(self, change: dict[str, object], kinds: set[int]) -> None:
        before, after = observe(event()).tokens, observe(event(**change)).tokens
        assert {kind for kind in range(6) if before[kind] != after[kind]} == kinds

    @pytest.mark.parametrize(
        ("kind", "name", "stays"),
        [
            ("pods", "default/nginx-deployment-6dfd8b84dc-6dkjc", "pods default/nginx-deployment"),
            ("pods/exec", "test/nightly-28391840-zp58r", "pods test/nightly"),
            ("pods", "payments/postgres-0", "pods payments/postgres-0"),
            ("pods", "kube-system/malicious-pod", "pods kube-system/malicious-pod"),
            ("pods", "default/*", "pods default/*"),
            ("configmaps", "default/nginx-6dfd8b84dc-6dkjc", "configmaps default/nginx-6dfd8b84dc-6dkjc"),
            ("AWS::S3::Bucket", "logs-20260105-abcde", "AWS::S3::Bucket logs-20260105-abcde"),
        ],
    )
    def test_a_pod_that_takes_another_s_place_is_no_new_thing(self, kind: str, name: str, stays: str) -> None:
        resource, twin = Resource(kind, name), Resource(kind, stays.partition(" ")[2])
        assert lasting(resource) == stays
        assert observe(event(resource=resource)) == observe(event(resource=twin))

    def test_a_shell_in_a_pod_is_another_deed_on_the_same_thing(self) -> None:
        log, shell = (
            observe(event(resource=Resource(kind, "shop/api-0"))).tokens for kind in ("pods/log", "pods/exec")
        )
        assert log[ACTION] != shell[ACTION]
        assert log[RESOURCE] == shell[RESOURCE]

    def test_flags(self) -> None:
        denied, failed = observe(event(outcome="denied")), observe(event(outcome="failure"))
        assert (denied.denied, denied.failed) == (True, False)
        assert (failed.denied, failed.failed) == (False, True)
        assert not observe(event(outcome="unknown")).failed
        assert observe(event(actor=Principal("ci", "ci", "service"))).kind == 1

    @pytest.mark.parametrize(("time", "second"), [(-5, 0), (1_999_999, 1), (10**20, LAST_SECOND)])
    def test_time_is_in_whole_seconds_within_four_bytes(self, time: int, second: int) -> None:
        assert observe(msgspec.structs.replace(event(), time=time)).time == second
        assert observe(event(7)).time * MICROSECONDS == event(7).time


class TestTokens:
    def test_they_are_the_same_in_every_process(self) -> None:
        code = "from detectors.observation import token; print(token('country DE'))"
        here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        said = [
            subprocess.run(
                [sys.executable, "-c", code], env=here | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
            )
            for seed in ("1", "2")
        ]
        assert [int(run.stdout) for run in said] == [token("country DE")] * 2
        assert token("country DE") == 10_013_397_212_642_165_031

    def test_they_fit_64_bits_and_long_texts_count_to_the_end(self) -> None:
        assert 0 < token("x" * 100_000) < 2**64
        assert token("x" * 100_000 + "a") != token("x" * 100_000 + "b")

    def test_text_that_is_no_unicode_is_hashed_too(self) -> None:
        assert token("\ud800") != token("\udfff")


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (AGENTS[0], "chrome mac"),
        (AGENTS[1], "firefox linux"),
        (AGENTS[2], "aws-cli linux"),
        (AGENTS[3], "boto3 windows"),
        ("[aws-sdk-go/1.44 (go1.20; linux; amd64)]", "aws-sdk-go linux"),
        ("kubectl/v1.32.5 (darwin/arm64) kubernetes/f66044f", "kubectl mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit Version/17 Safari/604.1", "safari ios"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36 Edg/126.0", "edge windows"),
        ("Mozilla/5.0 (compatible; bot)", "mozilla"),
        ("console.amazonaws.com", "console.amazonaws.com"),
        ("", ""),
        ("((((", ""),
    ],
)
def test_a_user_agent_loses_its_versions(agent: str, family: str) -> None:
    assert agent_family(agent) == family


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::/48"),
        ("2001:db8:0:5::9", "2001:db8::/48"),
        ("no address", "no address"),
    ],
)
def test_neighbouring_addresses_share_a_network(address: str, expected: str) -> None:
    assert network(address) == expected


@pytest.mark.parametrize(
    ("deed", "privileged"),
    [
        ("cloudtrail CreateAccessKey ", True),
        ("cloudtrail AttachUserPolicy user", True),
        ("cloudtrail StopLogging trail", True),
        ("cloudtrail GetSecretValue secret", True),
        ("cloudtrail DeactivateMFADevice ", True),
        ("okta user.mfa.factor.deactivate user", True),
        ("okta user.account.privilege.grant user", True),
        ("github org.add_member user", True),
        ("github protected_branch.policy_override repo", True),
        ("kubernetes create clusterrolebindings", True),
        ("kubernetes create pods/exec", True),
        ("kubernetes get secrets", True),
        ("kubernetes get pods", False),
        ("kubernetes create pods/portforward", False),
        ("cloudtrail GetObject bucket", False),
        ("cloudtrail PutObject object", False),
        ("cloudtrail AssumeRole ", False),
        ("cloudtrail ListRoles ", False),
        ("okta user.authentication.auth_via_mfa ", False),
        ("okta policy.evaluate_sign_on ", False),
        ("github git.clone repo", False),
    ],
)
def test_what_counts_as_privileged(deed: str, privileged: bool) -> None:
    assert is_privileged(deed) is privileged
