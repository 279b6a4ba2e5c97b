"""`relay account login` as a person runs it: a process, an issuer, and a browser played here."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from fakes.consented import kept_grant
from fakes.issuer import Issuer
from fakes.oauth_accounts import secret_file
from fakes.ports import free_port
from fakes.relay_process import Finished, RelayProcess

from relay.cli.account_login import Way, chosen_way, has_browser
from relay.spool.vault import tokens_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def office(directory: Path, issuer: Issuer, oauth2: str = "", preset: str = "microsoft365") -> Any:
    """A relay, not started, with one account at the issuer; its spool is there."""
    directory.mkdir(exist_ok=True)
    google = preset != "microsoft365"
    ends = issuer.google_endpoints
    where = (
        f'authorize_endpoint = "{ends.authorize}"\ntoken_endpoint = "{ends.token}"'
        if google
        else f'authority = "{issuer.url}"'
    )
    tables = f"""
[[smarthost]]
name = "mail"
preset = "{preset}"
host = "127.0.0.1"
port = {free_port()}
tls = "starttls"
username = "{issuer.username}"
[smarthost.oauth2]
client_id = "{issuer.client_id}"
{where}
ca_file = "{issuer.ca_file}"
{oauth2}
"""
    return RelayProcess(directory, tables)


def created(relay: RelayProcess) -> RelayProcess:
    """The relay, after it ran once and made its spool."""
    with relay:
        pass
    return relay


class Login:
    """A `relay account login` that is running."""

    def __init__(self, relay: RelayProcess, *options: str, **environ: str) -> None:
        clean = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "relay", "account", "login", "mail",
             "--config", str(relay.config), *options],
            cwd=ROOT,
            env={**clean, "BROWSER": "true", **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.said = ""

    def until(self, pattern: str) -> str:
        """What the first line that fits `pattern` says."""
        stream: IO[str] | None = self._process.stderr
        assert stream is not None
        for line in stream:
            self.said += line
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError(self.said)

    def address(self) -> str:
        """The address to consent at."""
        return self.until(r"https://\S+(/authorize|/auth)\?\S+")

    def interrupt(self) -> Finished:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        return self.end()

    def end(self, typed: str = "") -> Finished:
        """Type this, and wait for the end."""
        out, err = self._process.communicate(typed, timeout=20)
        return Finished(self._process.returncode, out, self.said + err)


def browse(redirect: str) -> None:
    # The listener is on 127.0.0.1; a browser finds that out by itself for localhost.
    address = redirect.replace("http://localhost:", "http://127.0.0.1:")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5):
        pass


def no_secret_in(finished: Finished, issuer: Issuer) -> None:
    for token in [*issuer.access, *issuer.refresh, *issuer.codes, issuer.client_secret]:
        assert token not in finished.out + finished.err


def test_a_consent_in_a_browser_reaches_the_running_relay(tmp_path: Path, issuer: Issuer) -> None:
    with office(tmp_path / "relay", issuer) as relay:
        login = Login(relay, "--no-browser", "--json")
        browse(issuer.approve(login.address()))
        done = login.end()
        assert done.code == 0, done
        assert done.json["command"] == "account login"
        assert done.json["verdict"] == "pass"
        assert done.json["account"] == issuer.username
        assert done.json["works_until_reason"] == "microsoft-idle"
        no_secret_in(done, issuer)
        (account,) = relay.run("account", "list", "--json").json["accounts"]
        assert account["consent"] == "given"
    assert kept_grant(relay, issuer.username).refresh_token in issuer.refresh


def test_an_address_pasted_on_a_headless_machine(tmp_path: Path, issuer: Issuer) -> None:
    relay = created(office(tmp_path / "relay", issuer))
    login = Login(relay)  # no display: it asks for the address by itself
    redirect = issuer.approve(login.address())
    done = login.end(f"eh?\n{redirect}\n")
    assert done.code == 0, done
    assert "paste" in done.err.lower()
    assert issuer.username in done.out
    no_secret_in(done, issuer)
    assert kept_grant(relay, issuer.username).refresh_token in issuer.refresh


@pytest.mark.parametrize("typed", ["", "een\ntwee\ndrie\n", "?code=x&state=wrong\n"])
def test_what_is_pasted_wrong_stores_nothing(tmp_path: Path, issuer: Issuer, typed: str) -> None:
    relay = created(office(tmp_path / "relay", issuer))
    login = Login(relay, "--paste", "--json")
    login.address()
    done = login.end(typed)
    assert done.code == 1, done
    assert done.json["cause"] == "redirect-wrong"
    assert not tokens_file(relay.spool).exists()


def test_cancelling_in_the_browser_is_a_refusal(tmp_path: Path, issuer: Issuer) -> None:
    relay = created(office(tmp_path / "relay", issuer))
    login = Login(relay, "--paste", "--lang", "nl")
    done = login.end(issuer.deny(login.address()) + "\n")
    assert (done.code, done.out) == (1, "")
    assert f"relay account login {issuer.username}" in done.err
    assert not tokens_file(relay.spool).exists()


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, issuer: Issuer) -> None:
    relay = created(office(tmp_path / "relay", issuer))
    login = Login(relay, "--no-browser")
    login.address()
    login.until("ssh -L")
    done = login.interrupt()
    assert done.code == 3, done
    assert "nothing was stored" in done.err
    assert "Traceback" not in done.err
    assert not tokens_file(relay.spool).exists()


def test_another_account_than_configured_is_told(tmp_path: Path, issuer: Issuer) -> None:
    relay = created(office(tmp_path / "relay", issuer))
    login = Login(relay, "--paste", "--json")
    done = login.end(issuer.approve(login.address(), "baas@bakkerij.example") + "\n")
    assert (done.code, done.json["verdict"]) == (0, "warn")
    assert "baas@bakkerij.example" in done.err


def test_a_device_code(tmp_path: Path, issuer: Issuer) -> None:
    relay = created(office(tmp_path / "relay", issuer))
    login = Login(relay, "--device")
    code = login.until(r"\b[0-9A-F]{8}\b")
    issuer.enter(code)
    done = login.end()
    assert done.code == 0, done
    assert f"{issuer.url}/devicelogin" in done.err
    assert kept_grant(relay, issuer.username).refresh_token in issuer.refresh


def test_google_by_loopback_and_never_by_device(tmp_path: Path, issuer: Issuer) -> None:
    secret = secret_file(tmp_path, "google.secret", issuer.client_secret)
    oauth2 = f'client_secret = {{ file = "{secret.name}" }}'
    relay = created(office(tmp_path / "relay", issuer, oauth2, "gmail"))
    refused = Login(relay, "--device", "--json").end()
    assert (refused.code, refused.json["cause"]) == (1, "device-not-offered")
    login = Login(relay, "--no-browser", "--json")
    browse(issuer.approve(login.address()))
    done = login.end()
    assert (done.code, done.json["works_until_reason"]) == (0, "google-testing")
    no_secret_in(done, issuer)


def test_an_app_proves_itself_without_a_browser(tmp_path: Path, issuer: Issuer) -> None:
    secret = secret_file(tmp_path, "app.secret", issuer.client_secret)
    keys = f'flow = "client-credentials"\ntenant = "bakery"\nclient_secret = {{ file = "{secret.name}" }}'
    relay = created(office(tmp_path / "relay", issuer, keys))
    done = Login(relay, "--json").end()
    assert (done.code, done.json["account"]) == (0, None)
    issuer.client_secret = "another"
    wrong = Login(relay).end()
    assert wrong.code == 1
    assert "client secret is not that of this app" in wrong.err
    issuer.fail(503)
    down = Login(relay, "--json").end()
    assert (down.code, down.json["verdict"]) == (3, "unknown")


def test_without_a_spool_nobody_has_to_consent_in_vain(tmp_path: Path, issuer: Issuer) -> None:
    relay = office(tmp_path / "relay", issuer)
    relay.write_config()
    done = Login(relay).end()
    assert done.code == 2
    assert "relay serve" in done.err
    assert issuer.requests == []


def test_a_name_that_is_none_and_an_account_with_a_password(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path)
    secret = relay.secret("isp", "geheim")
    relay.tables = (
        '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nusername = "bakker"\n'
        f'password = {{ file = "{secret}" }}\n'
    )
    relay.write_config()
    for name, words in (("none", "relay account list"), ("isp", 'auth = "oauth2"')):
        done = relay.run("account", "login", name)
        assert (done.code, done.out) == (2, "")
        assert words in done.err


@pytest.mark.parametrize(
    ("environ", "platform", "browser"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({}, "win32", True),
        ({}, "darwin", True),
    ],
)
def test_where_a_browser_would_be_seen(
    environ: dict[str, str], platform: str, browser: bool
) -> None:
    assert has_browser(environ, platform) is browser


def test_the_options_choose_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert chosen_way((False, False, False)) is Way.BROWSER
    assert chosen_way((False, False, True)) is Way.WAIT
    assert chosen_way((True, False, False)) is Way.DEVICE
    assert chosen_way((True, True, True)) is Way.PASTE
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    assert chosen_way((False, False, False)) is Way.PASTE
