"""`relay account` and `relay check --online`: one try a period, by whichever command."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.ports import free_port
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from relay.cli.app import app

USER = "bakker@example.nl"
RIGHT = "geheim"
OAUTH2 = f"""
[[smarthost]]
name = "m365"
preset = "microsoft365"
username = "{USER}"
[smarthost.oauth2]
client_id = "11111111-2222-3333-4444-555555555555"
"""


class Shop:
    """A relay with one account at a fake smarthost, and its command line in this process."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.smarthost = Smarthost(
            Behaviour(
                tls="starttls", context=authority.issue().server_context(), users={USER: RIGHT}
            )
        )
        self.smarthost.start()
        self.relay = RelayProcess(directory)
        self.secret = self.relay.add_smarthost(
            self.smarthost.port, authority.ca_file, username=USER, password=RIGHT
        )

    @property
    def logins(self) -> int:
        return sum(len(session.logins) for session in self.smarthost.sessions)

    def refuse(self) -> None:
        self.secret.write_text("verkeerd")

    def run(self, *arguments: str, code: int = 0) -> Any:
        self.relay.write_config()
        result = CliRunner().invoke(app, [*arguments, "--config", str(self.relay.config)])
        assert result.exit_code == code, (result.output, result.stderr, result.exception)
        return result

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code).stdout)
        return found

    def login_finding(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found = self.json("check", "--online", *arguments, code=code)
        (finding,) = [each for each in found["findings"] if each["id"] == "smarthost"]
        assert isinstance(finding, dict)
        return finding


@pytest.fixture
def shop(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("HOME", str(tmp_path))
    shop = Shop(tmp_path, authority)
    yield shop
    shop.smarthost.stop()


@pytest.fixture
def used(shop: Shop) -> Shop:
    """The same after its first start and stop: there is a spool."""
    with shop.relay as relay:
        assert relay.sigterm() == 0
    return shop


def test_accepted_refused_and_not_tried_are_0_1_and_3(used: Shop) -> None:
    assert used.json("account", "test", "isp")["accepted"]
    used.refuse()
    assert used.json("account", "test", "isp", code=1)["scope"] == "account"
    assert used.json("account", "test", "isp", code=3)["refused_because"] == "paused"
    assert used.logins == 2
    used.json("account", "test", "isp", "--force", code=1)
    assert used.logins == 3


def test_the_network_is_no_refusal(used: Shop) -> None:
    used.smarthost.stop()
    found = used.json("account", "test", USER, code=3)
    assert (found["tested"], found["scope"]) == (True, "connection")
    assert used.json("account", "list")["accounts"][0]["paused"] is False


@pytest.mark.parametrize(("lang", "word"), [("nl", "kan inloggen"), ("en", "can log in")])
def test_a_good_login_in_words(used: Shop, lang: str, word: str) -> None:
    assert word in used.run("account", "test", "isp", "--lang", lang).stdout


@pytest.mark.parametrize(("lang", "word"), [("nl", "niet geprobeerd"), ("en", "not tried")])
def test_a_pause_in_words(used: Shop, lang: str, word: str) -> None:
    used.run("account", "pause", "isp")
    told = used.run("account", "test", "isp", "--lang", lang, code=3).stdout
    assert word in told
    assert "relay account resume isp" in told


def test_a_refusal_tells_what_to_do(used: Shop) -> None:
    used.refuse()
    told = used.run("account", "test", "isp", "--lang", "nl", code=1).stdout
    assert "535" in told
    assert "  1. " in told
    listed = used.run("account", "list", "--lang", "nl").stdout
    assert "  1. " in listed
    assert "wachtwoord" in listed


def test_pause_list_and_resume(used: Shop) -> None:
    used.run("account", "pause", "isp")
    listed = used.run("account", "list", "--lang", "en").stdout
    assert "paused by hand" in listed
    assert used.json("status", code=1)["problems"][1]["id"] == "account-paused"
    used.run("account", "resume", "isp")
    assert "paused by hand" not in used.run("account", "list").stdout


def test_the_table_says_until_when(shop: Shop) -> None:
    shop.relay.tables += OAUTH2
    with shop.relay as relay:
        relay.sigterm()
    listed = shop.run("account", "list", "--lang", "nl").stdout
    (line,) = [each for each in listed.splitlines() if "m365" in each and "office365" in each]
    assert "OAuth2 Microsoft (code)" in line
    assert "onbekend" in line
    assert "nodig" in line
    assert "relay account login m365" in listed


def test_an_unknown_account_is_exit_2(used: Shop) -> None:
    for verb in ("test", "pause", "resume"):
        assert "nergens" in used.run("account", verb, "nergens", code=2).stderr


def test_a_check_counts_as_the_try_of_its_period(used: Shop) -> None:
    used.refuse()
    assert used.login_finding(code=1)["severity"] == "error"
    paused = used.login_finding(code=3)
    assert (paused["severity"], used.logins) == ("unknown", 1)
    assert paused["evidence"]["paused_until"] is not None
    assert any("--force" in step for step in paused["remedy"])
    assert used.login_finding("--force", code=1)["severity"] == "error"
    assert used.logins == 2


def test_a_check_keeps_to_an_account_that_two_smarthosts_share(used: Shop) -> None:
    used.relay.tables += used.relay.tables.replace('name = "isp"', 'name = "tweede"')
    used.refuse()
    found = used.json("check", "--online", code=1)["findings"]
    assert [each["severity"] for each in found if each["id"] == "smarthost"] == ["error"] * 2
    assert used.logins == 1


def test_a_check_before_the_first_start_leaves_nothing_behind(shop: Shop) -> None:
    assert shop.login_finding()["severity"] == "ok"
    assert not shop.relay.spool.exists()
    assert shop.logins == 1


def test_a_check_warns_of_a_missing_consent(shop: Shop) -> None:
    shop.relay.tables = OAUTH2
    found = shop.json("check")
    (finding,) = [each for each in found["findings"] if each["id"] == "account"]
    assert (found["verdict"], finding["severity"]) == ("warn", "warning")
    assert finding["remedy"] == ["relay account login m365"]


@pytest.mark.parametrize(("days", "warned"), [(10, True), (20, False)])
def test_a_check_warns_of_an_end_that_comes_near(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, days: int, warned: bool
) -> None:
    from datetime import UTC, datetime, timedelta

    end = (datetime.now(UTC) + timedelta(days=days)).date()
    shop.relay.tables = (
        OAUTH2 + 'flow = "client-credentials"\ntenant = "bakery"\n'
        f'client_secret = {{ file = "{shop.secret}" }}\nsecret_expires = {end}\n'
    )
    found = [each for each in shop.json("check")["findings"] if each["id"] == "account"]
    assert [each["evidence"]["day"] for each in found] == ([end.isoformat()] if warned else [])


@pytest.mark.parametrize("lang", ["nl", "en"])
def test_a_check_warns_of_microsofts_deadline_once_an_account(shop: Shop, lang: str) -> None:
    entry = (
        '[[smarthost]]\nname = "{name}"\npreset = "microsoft365"\n'
        f'username = "{USER}"\npassword = {{{{ file = "{shop.secret}" }}}}\n'
    )
    shop.relay.tables = entry.format(name="een") + entry.format(name="twee")
    found = shop.json("check", "--lang", lang)
    (finding,) = [each for each in found["findings"] if each["id"] == "account"]
    assert (found["verdict"], finding["severity"]) == ("warn", "warning")
    assert finding["evidence"]["day"] == "2026-12-31"
    assert finding["remedy"][-1] == "relay account login een"


def test_a_running_relay_makes_the_try(used: Shop) -> None:
    with used.relay as relay:
        assert relay.run("account", "test", "isp", "--json").json["accepted"]
        used.refuse()
        refused = relay.run("check", "--online", "--json")
        assert refused.code == 1
        (alert,) = relay.wait_for_event("alert")
        assert (alert["cause"], alert["level"]) == ("account-paused", "alert")
        assert relay.run("status").code == 1
        assert relay.run("account", "test", "isp").code == 3
        assert relay.run("check", "--online").code == 3
        assert used.logins == 2
        used.secret.write_text(RIGHT)
        assert relay.run("account", "test", "isp", "--force").code == 0
        assert relay.run("status").code == 0
        paused = relay.run("account", "pause", "isp", "--json")
        assert paused.json["paused"] == [{"host": "127.0.0.1", "username": USER}]
        assert relay.run("account", "resume", "isp", "--json").json["resumed"]


def test_a_relay_that_cannot_be_asked_leaves_the_login_unknown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import relay.cli.ask
    from relay.spool.lock import SpoolLock

    monkeypatch.setattr(relay.cli.ask, "_PATIENCE_SECONDS", 0.3)
    shop.relay.web_port = free_port()
    shop.relay.write_config()
    shop.relay.spool.touch()
    lock = SpoolLock(shop.relay.spool.with_name("spool.db.lock"))
    lock.acquire()
    try:
        assert shop.login_finding(code=3)["severity"] == "unknown"
    finally:
        lock.release()
    assert shop.logins == 0
