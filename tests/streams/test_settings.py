from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.settings import SECRETS, Settings, SettingsError, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "auditwatch.toml"


def wrong(file: Path | None, **environ: str) -> str:
    with pytest.raises(SettingsError) as error:
        load_settings(file, environ)
    return str(error.value)


class TestWhereSettingsComeFrom:
    def test_nothing_set_is_the_embedded_laptop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        settings = load_settings(None, {})
        assert settings == Settings()
        assert (settings.broker, settings.redis, settings.listen) == ("", "", "127.0.0.1:6060")
        assert (settings.partitions, settings.raw_partitions) == (8, 4)

    def test_the_file_in_the_working_directory_is_found(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text("partitions = 12\n")
        monkeypatch.chdir(file.parent)
        assert load_settings(None, {}).partitions == 12

    def test_the_environment_wins_over_the_file(self, file: Path) -> None:
        file.write_text('broker = "kafka://a:1"\nredis = "redis://r:1"\n')
        settings = load_settings(file, {"AUDITWATCH_BROKER": "kafka://b:2;kafka://c:3"})
        assert settings.broker == "kafka://b:2;kafka://c:3"
        assert settings.redis == "redis://r:1"

    def test_paths_of_the_file_start_at_the_file_and_others_at_the_working_directory(self, file: Path) -> None:
        file.write_text('context = "company"\nrules = ["mine", "/etc/rules"]\n')
        settings = load_settings(file, {"AUDITWATCH_MODELS": "models"})
        assert settings.context == file.parent / "company"
        assert settings.rules == (file.parent / "mine", Path("/etc/rules"))
        assert settings.models == Path("models")

    def test_several_rule_folders_in_the_environment(self) -> None:
        assert load_settings(None, {"AUDITWATCH_RULES": f"a{os.pathsep}b"}).rules == (Path("a"), Path("b"))

    def test_an_empty_variable_is_the_default_unless_empty_means_something(self) -> None:
        settings = load_settings(None, {"AUDITWATCH_PARTITIONS": "", "AUDITWATCH_TRAIL": "", "AUDITWATCH_LISTEN": ""})
        assert settings.partitions == 8
        assert settings.trail == Path(".auditwatch/trail")
        assert settings.listen == ""

    def test_slack_tokens_have_slacks_own_names(self) -> None:
        settings = load_settings(None, {"SLACK_BOT_TOKEN": "xoxb-1", "AUDITWATCH_SLACK_CHANNEL": "C1"})
        assert (settings.slack_bot_token, settings.slack_channel) == ("xoxb-1", "C1")

    def test_every_setting_can_come_from_the_environment(self, tmp_path: Path) -> None:
        pem = tmp_path / "a.pem"
        pem.touch()
        values = {"int": "3", "Path": str(pem), "Path | None": str(pem), "tuple[Path, ...]": str(pem)}
        special = {
            "broker": "kafka://k:1",
            "redis": "rediss://r:1",
            "listen": "0.0.0.0:1",
            "dispatcher_listen": "0.0.0.0:2",
            "slack_http": "127.0.0.1:3000",
            "ledger_key": "0123456789abcdef0123456789abcdef",
            "webhook_url": "https://hooks.example/alerts",
            "webhook_secret": "0123456789abcdef",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
        }
        environ = {
            SECRETS.get(each.name, f"AUDITWATCH_{each.name.upper()}"): special.get(
                each.name, values.get(str(each.type), "text")
            )
            for each in fields(Settings)
        }
        settings, default = load_settings(None, environ), Settings()
        assert [
            each.name for each in fields(Settings) if getattr(settings, each.name) == getattr(default, each.name)
        ] == []


class TestWhatIsRefused:
    def test_an_unknown_key_names_file_line_and_the_likely_one(self, file: Path) -> None:
        file.write_text('# ours\nredis = "redis://r:1"\n\npartition = 3\n')
        assert wrong(file) == f"{file}:4: unknown key 'partition'; did you mean partitions?"

    def test_a_table_that_is_none_of_ours(self, file: Path) -> None:
        file.write_text("partitions = 3\n\n[kafka]\nuser = 1\n")
        assert wrong(file).startswith(f"{file}:3: unknown key 'kafka'")

    def test_a_secret_in_the_file(self, file: Path) -> None:
        file.write_text('slack_bot_token = "xoxb-hidden"\n')
        text = wrong(file)
        assert text.startswith(f"{file}:1: slack_bot_token is a secret")
        assert "set SLACK_BOT_TOKEN in the environment" in text
        assert "xoxb-hidden" not in text

    def test_a_misspelt_variable(self) -> None:
        text = wrong(None, AUDITWATCH_PARTITONS="4")
        assert text == "AUDITWATCH_PARTITONS in the environment: unknown; did you mean AUDITWATCH_PARTITIONS?"

    def test_variables_of_other_programs_pass(self) -> None:
        load_settings(None, {"AUDITWATCH_SOMETHING_ELSE_ENTIRELY": "1", "PATH": "/bin"})

    def test_broken_toml_names_the_line(self, file: Path) -> None:
        file.write_text("partitions = 3\nredis = \n")
        assert re.match(rf"{file}: not TOML: .*line 2", wrong(file))

    def test_bytes_that_are_no_text(self, file: Path) -> None:
        file.write_bytes(b'broker = "\xff"\n')
        assert "not TOML" in wrong(file)

    def test_a_missing_file_that_was_asked_for(self, file: Path) -> None:
        assert wrong(file) == f"{file}: cannot be read (No such file or directory); give its path with --config"

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ('partitions = "many"', "expected a whole number, found 'many'"),
            ("partitions = true", "expected a whole number, found True"),
            ("partitions = 1.5", "expected a whole number, found 1.5"),
            ("partitions = 0", "expected 1 or more"),
            ("alert_budget = 0", "expected 1 or more"),
            ("snapshot_hours = -1", "expected hours, or 0 for never"),
            ("broker = 9092", "expected text, found 9092"),
            ('broker = "localhost:9092"', "expected kafka://host:port"),
            ('broker = "kafka://a:1;kafka://b"', "expected kafka://host:port"),
            ('broker = "kafka://a:notaport"', "expected kafka://host:port"),
            ('redis = "http://r"', "expected redis://"),
            ('listen = "6060"', "expected host:port"),
            ('listen = "127.0.0.1:99999"', "expected host:port"),
            ('dispatcher_listen = "here"', "expected host:port"),
            ('webhook_url = "http://hooks.example.com"', "begins with https://"),
            ('webhook_url = "https://hooks.example.com"', "set AUDITWATCH_WEBHOOK_SECRET to 16 characters or more"),
            ('kafka_security_protocol = "TLS"', "expected one of PLAINTEXT, SSL"),
            ('kafka_sasl_mechanism = "GSSAPI"', "expected one of PLAIN, SCRAM-SHA-256"),
            ('kafka_ssl_cafile = "nowhere.pem"', "there is no file"),
            ("rules = 3", "expected a list of folders"),
            ("rules = [3]", "expected text"),
        ],
    )
    def test_values(self, file: Path, line: str, complaint: str) -> None:
        file.write_text(f"\n{line}\n")
        text = wrong(file)
        assert text.startswith(f"{file}:2: ")
        assert complaint in text

    def test_sasl_without_a_password(self, file: Path) -> None:
        file.write_text('kafka_security_protocol = "SASL_SSL"\nkafka_sasl_username = "u"\n')
        assert "AUDITWATCH_KAFKA_SASL_USERNAME and _PASSWORD" in wrong(file)
        load_settings(file, {"AUDITWATCH_KAFKA_SASL_PASSWORD": "p"})


SECRET = st.text(st.characters(categories=["L", "N"], include_characters="/:@%"), min_size=32)


class TestSecretsStaySecret:
    @pytest.mark.parametrize("name", sorted(SECRETS))
    @given(secret=SECRET)
    def test_no_token_is_in_repr_or_str(self, name: str, secret: str) -> None:
        settings = load_settings(None, {SECRETS[name]: f"tok-{secret}"})
        assert getattr(settings, name) == f"tok-{secret}".strip()
        assert f"tok-{secret}" not in f"{settings!r} {settings}"

    @given(secret=SECRET)
    def test_neither_is_the_redis_password(self, secret: str) -> None:
        settings = Settings(redis=f"redis://user:pw-{secret}@cache:6379/0")
        assert f"pw-{secret}" not in repr(settings)
        assert "***@cache:6379/0" in repr(settings)

    @given(secret=SECRET)
    def test_neither_is_the_path_of_a_webhook(self, secret: str) -> None:
        for url in (f"https://hooks.example.com/services/pw-{secret}", "https://ada:pw-1@hooks.example.com"):
            assert "pw-" not in repr(Settings(webhook_url=url))
            assert "hooks.example.com" in repr(Settings(webhook_url=url))

    def test_what_is_no_secret_is_shown(self) -> None:
        assert "broker='kafka://k:1'" in repr(Settings(broker="kafka://k:1"))
        assert "slack_bot_token=''" in repr(Settings())


def test_what_notebooks_read_is_no_mistake() -> None:
    assert load_settings(None, {"AUDITWATCH_NOTEBOOK_USERS": "15"}) == Settings()
