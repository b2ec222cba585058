"""Secrets do not survive: canaries in any nesting, hostile texts in bounded time, evidence left readable."""

import json
import string
import timeit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.redact import CUT, DEEPEST, LONGEST, REDACTED, is_secret_name, redact, redact_record

AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq83nsk\n-----END RSA PRIVATE KEY-----"
SHAPED = [
    AWS_SECRET,
    JWT,
    PRIVATE_KEY,
    PRIVATE_KEY.replace("RSA ", "").replace("\n", "\\n"),
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789",
    "glpat-abcdefghij0123456789",
    "xox" + "b-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "xapp-1-A012BCDEFGH-1234567890-abcdef0123456789",
    "00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789_-ab",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "ya29.a0AfH6SMBx1234567890abcdefghij",
    "sk_li" + "ve_4eC39HqLyjWDarjtT1zdp7dc",
    "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ",
]
CARRIED = [
    ("postgres://app:{}@db.internal:5432/app", "hunter2horse"),
    ("redis://:{}@cache:6379", "hunter2horse"),
    ("password={}", "hunter2horse"),
    ("PASSWORD: {}", "hunter2horse"),
    ('{{"password": "{}", "user": "ada"}}', "correct horse battery"),
    ('{{\\"password\\": \\"{}\\", \\"user\\": \\"ada\\"}}', "correct horse battery"),
    ("{{'clientSecret': '{}'}}", "hunter2horse"),
    ("db_password => '{}'", "hunter2horse"),
    ("mysql -u root --password {} -h db", "hunter2horse"),
    ("tool --api-key={} run", "hunter2horse"),
    ("CLIENT_SECRET_V2={}", "hunter2horse"),
    ("tokenValue={}", "hunter2horse"),
    ("secretkey: {}", "hunter2horse"),
    ("export AWS_SECRET_ACCESS_KEY={}", AWS_SECRET),
    ("AKIAIOSFODNN7EXAMPLE/{}", AWS_SECRET),
    ("Authorization: Bearer {}", "abcdef123456"),
    ("authorization: Basic {} x", "YWRhOmh1bnRlcjI="),
    ("-H 'Authorization: SSWS {}'", "00aBcDeFgHiJkLmNoPqR"),
    ("sent bearer {} to it", "abcdef123456"),
    ("Cookie: sid={}; theme=dark", "hunter2horse"),
    ("https://x/cb?code={}&state=1", "hunter2horse"),
    ("https://x.blob/y?sv=2&sig={}", "hunter2horse%3D"),
    ("https://s3/x?X-Amz-Signature={}&X-Amz-Date=1", "aa11bb22cc33"),
    ("https://hooks.slack.com/services/{}", "T000/B000/XXXXhunter2"),
    ("secret_id: {}", "hunter2horse"),
    ('{{"name": "DB_PASSWORD", "value": "{}"}}', "correct horse battery"),
    ('{{\\\\\\"password\\\\\\": \\\\\\"{}\\\\\\"}}', "correct horse battery"),
    ('token = "{}', "never closed hunter2"),
]


@pytest.mark.parametrize("secret", SHAPED)
@pytest.mark.parametrize("around", ["{}", "x {} y", '"{}"', "key={}", "a,{},b", "({})", "line\n{}\nline", "k:{}"])
def test_a_secret_is_known_by_its_shape(secret, around):
    seen = redact(around.format(secret))
    assert secret not in seen
    assert secret[12:32] not in seen
    assert REDACTED in seen


@pytest.mark.parametrize(("text", "secret"), CARRIED)
def test_a_secret_is_known_by_what_carries_it(text, secret):
    seen = redact(text.format(secret))
    assert secret not in seen
    assert not any(word in seen for word in secret.split() if len(word) > 4)
    assert REDACTED in seen


def test_a_key_id_keeps_its_ends():
    assert redact("used AKIAIOSFODNN7EXAMPLE twice") == "used AKIA…MPLE twice"
    assert redact("ASIAIOSFODNN7EXAMP12") == "ASIA…MP12"


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/ada@example.com",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "the token expired yesterday, the password was reset",
        "secretName: payroll-db",
        "passwordResetRequired: true",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/payments/rolebindings",
        "https://api.example.com:8443/v1/users?page=2",
        "00u1abcd2EFGHijkl345",
        "2026-03-01T08:00:00.000Z",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36",
        "ada : TTY=pts/0 ; PWD=/home/ada ; USER=root ; COMMAND=/bin/ls",
        "bearer of good news",
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf",
        "secretsmanager:GetSecretValue, secretsManager: on, tokenizer=fast",
        "system:serviceaccount:kube-system:token-cleaner",
        "3f2b8a1e-5b0c-4d7e-9f60-1c2d3e4f5a6b",
        "",
    ],
)
def test_evidence_stays_readable(text):
    assert redact(text) == text


def test_a_long_text_is_cut_and_leaves_no_part_of_a_secret():
    text = "a " * (LONGEST // 2 - 10) + AWS_SECRET
    seen = redact(text)
    assert seen.endswith(CUT)
    assert AWS_SECRET[:8] not in seen
    assert len(seen) <= LONGEST + len(CUT)
    assert redact("x" * 100_000) == CUT


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("dbPassword", True), ("DB_PASSWD", True), ("client-secret", True), ("Authorization", True),
        ("access_token", True), ("x-api-key", True), ("privateKey", True), ("Set-Cookie", True), ("secret_id", True),
        ("SecretAccessKey", True), ("newPassword", True), ("passphrase", True),
        ("secretId", False), ("secretName", False), ("tokenType", False), ("passwordLastUsed", False),
        ("hashed_token", False),
        ("authorization.k8s.io/decision", False), ("authorizationInfo", False), ("userName", False), ("key", False),
        ("accessKeyId", False), ("token_scopes", False), ("x" * 500 + "password", False),
    ],
)  # fmt: skip
def test_names_of_secrets_and_names_about_secrets(name, secret):
    assert is_secret_name(name) is secret


def test_what_stands_under_a_secrets_name_is_replaced_whole():
    assert redact_record({"secret": {"a": ["x", 7, True, None, ""], "b": {"c": "y"}}, "user": "ada"}) == {
        "secret": {"a": [REDACTED, REDACTED, True, None, ""], "b": {"c": REDACTED}},
        "user": "ada",
    }


def test_pairs_of_name_and_value_and_options_of_commands():
    record = {
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "dev"}],
        "command": ["mysql", "--password", "hunter2", "-h", "db"],
        "args": ("--token=hunter2", b"password=hunter2"),
        "PWD": "/home/ada",
    }
    seen = redact_record(record)
    assert "hunter2" not in json.dumps(seen)
    assert seen["env"][1] == {"name": "MODE", "value": "dev"}
    assert seen["command"] == ["mysql", "--password", REDACTED, "-h", "db"]
    assert seen["PWD"] == "/home/ada"


def test_the_record_itself_is_left_alone():
    record = {"a": [{"password": "hunter2"}]}
    redact_record(record)
    assert record == {"a": [{"password": "hunter2"}]}


def test_nothing_passes_beyond_the_depth():
    deep: object = "hunter2"
    for _ in range(5_000):
        deep = [deep]
    seen = redact_record(deep)
    for _ in range(DEEPEST + 1):
        seen = seen[0]
    assert seen == REDACTED


CANARIES = st.sampled_from(SHAPED) | st.sampled_from(CARRIED).map(lambda row: row[0].format(row[1]))
NAMES = st.sampled_from(["password", "clientSecret", "access_token", "Authorization", "api-key", "DB_PASSWD", "cookie"])
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
CANARY = "canary7Zq"
PLANTED = st.one_of(
    st.tuples(NAMES, st.just(CANARY) | st.lists(st.just(CANARY), max_size=2)).map(lambda pair: {pair[0]: pair[1]}),
    NAMES.map(lambda name: {"name": name, "value": CANARY}),
    NAMES.map(lambda name: f"{name}={CANARY}"),
    NAMES.map(lambda name: json.dumps({"a": json.dumps({name: CANARY})})),
    NAMES.map(lambda name: json.dumps({"a": {name: CANARY}}, indent=1)),
    CANARIES,
)
NESTED = st.recursive(
    PLAIN | PLANTED,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4) | inner.map(json.dumps)
    ),
    max_leaves=12,
)


@given(NESTED)
@example({"a": [[{"password": {"b": [CANARY]}}]]})
def test_no_planted_secret_survives_in_any_nesting(value):
    seen = json.dumps(redact_record(value), ensure_ascii=False)
    for secret in [CANARY, *SHAPED, *(secret for _, secret in CARRIED)]:
        assert secret not in seen
        assert json.dumps(secret)[1:-1] not in seen


@given(st.text(alphabet=string.ascii_letters + string.digits + "/+", min_size=40, max_size=40))
def test_random_aws_secrets_are_found_under_their_name_whatever_they_look_like(secret):
    assert secret not in redact(f"aws_secret_access_key = {secret}")


@given(st.text(max_size=300))
def test_redacting_twice_finds_nothing_more(text):
    once = redact(text)
    assert redact(once) == once


# fmt: off
HOSTILE = [
    "eyJ", "password=", "://", "://a:", "-----BEGIN PRIVATE KEY", "authorization:", "'password':'", 'password:\\\\\\"',
    "A", "\\", '"name":"', "AKIA", "bearer ", "--password ", "-", "xoxb-", "token-", "token[[", "pwd\\", "secret   ",
    "sk-", "00", "?sig", "sig=", "hooks.slack.com/services/", 'password" : "', "password", "token_id", "secretid:",
    "PWD=/", " ", "\n", "=", "a1.", "ghp_", '"name":"password","value":"', "-a", "cookie:'",
]
# fmt: on


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_texts_take_bounded_time(unit):
    text = (unit * LONGEST)[:LONGEST]
    seconds = min(timeit.repeat(lambda: redact(text), number=1, repeat=3))
    assert seconds < 0.15, "15 ms on a quiet machine"


@given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=6))
def test_hostile_mixtures_take_bounded_time(units):
    text = ("".join(units) * LONGEST)[:LONGEST]
    assert min(timeit.repeat(lambda: redact(text), number=1, repeat=2)) < 0.15
