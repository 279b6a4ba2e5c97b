"""The page's sessions and its password: who gets in, who waits, and what nobody can guess."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.stocked_spool import TABLES, office_config
from fakes.web_desk import BASE, WebDesk, web_desk
from starlette.testclient import TestClient
from typer.testing import CliRunner

from relay.cli.app import app
from relay.config.fault import BadValueError
from relay.config.load import load
from relay.config.model import Config, ConfigError
from relay.config.password_hash import check_password_hash
from relay.web import entrance, password
from relay.web.password import hash_password, is_password
from relay.web.session import IDLE_SECONDS, LIFE_SECONDS, MOST_SESSIONS, Sessions
from relay.web.throttle import MOST_PEERS, Throttle

SESSION = "/api/v1/session"
PASSWORD = "zeven broden in de oven"
CHEAP = "$argon2id$v=19$m=64,t=1,p=1$"
"""Parameters that a machine under load can afford: what they cost is not what is tested."""


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def cheap_hash(text: str) -> str:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    derivation = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=64)
    found = derivation.derive_phc_encoded(text.encode())
    assert found.startswith(CHEAP)
    return found


def guarded(directory: Path, hashed: str, web: str = "") -> Config:
    """An office whose page has a password."""
    secret = directory / "page.hash"
    secret.touch(0o600)
    secret.write_text(hashed + "\n")
    tables = f'{TABLES}\n[web]\n{web}\npassword_hash = {{ file = "page.hash" }}\n'
    return office_config(directory, tables)


@contextmanager
def at(directory: Path, config: Config, peer: str = "192.168.1.30") -> Iterator[WebDesk]:
    with web_desk(config, directory, peer=peer) as found:
        del found.client.headers["Authorization"]
        yield found


@pytest.fixture
def page(tmp_path: Path) -> Iterator[TestClient]:
    """A browser in the office, before its login."""
    with at(tmp_path, guarded(tmp_path, cheap_hash(PASSWORD))) as found:
        yield found.client


def login(page: TestClient, text: str = PASSWORD) -> int:
    return page.post(SESSION, json={"password": text}).status_code


def test_log_in_and_out(page: TestClient) -> None:
    before = page.get(SESSION).json()
    assert (before["logged_in"], before["needs_password"], before["csrf"]) == (False, True, None)
    assert (before["version"], before["hostname"]) == ("", "")
    assert page.get("/api/v1/queue").status_code == 401
    assert login(page) == 200
    assert page.get("/api/v1/queue").status_code == 200
    found = page.get(SESSION).json()
    assert found["hostname"] == "relay.test"
    assert page.delete(SESSION).status_code == 403, "without the token nobody is logged out"
    assert page.delete(SESSION, headers={"X-CSRF-Token": found["csrf"]}).status_code == 200
    assert page.get("/api/v1/queue").status_code == 401


def test_a_session_that_ended_comes_back_with_no_old_cookie(page: TestClient) -> None:
    assert login(page) == 200
    cookie = page.cookies["relay_session"]
    csrf = page.get(SESSION).json()["csrf"]
    page.delete(SESSION, headers={"X-CSRF-Token": csrf})
    page.cookies.set("relay_session", cookie)
    assert page.get("/api/v1/queue").status_code == 401


def test_a_login_never_raises_a_cookie_that_was_there(page: TestClient) -> None:
    page.cookies.set("relay_session", "chosen-by-somebody-else")
    answer = page.post(SESSION, json={"password": PASSWORD})
    assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
    page.cookies.clear()
    page.cookies.set("relay_session", "chosen-by-somebody-else")
    assert page.get("/api/v1/queue").status_code == 401


def test_over_tls_the_cookie_goes_over_tls_alone(tmp_path: Path) -> None:
    with at(tmp_path, guarded(tmp_path, cheap_hash(PASSWORD))) as found:
        answer = found.client.post(
            BASE.replace("http:", "https:") + SESSION, json={"password": PASSWORD}
        )
    assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("body", [{}, {"password": 1}, {"password": None}, []])
def test_what_is_no_password(page: TestClient, body: object) -> None:
    assert page.post(SESSION, json=body).status_code == 400


def test_a_password_is_ten_kilobytes_at_most(page: TestClient) -> None:
    assert login(page, "x" * 11_000) == 413


def test_after_five_wrong_ones_the_right_one_waits_too(page: TestClient) -> None:
    assert [login(page, f"fout {at}") for at in range(5)] == [403] * 5
    refused = page.post(SESSION, json={"password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 10
    assert "set-cookie" not in refused.headers


def test_the_wait_grows_and_ends() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert [throttle.begin("192.168.1.9") for _ in range(5)] == [0.0] * 5
    waits = []
    for _ in range(9):
        wait = throttle.begin("192.168.1.9")
        waits.append(wait)
        clock.now += wait / 2
        assert throttle.begin("192.168.1.9") > 0, "asking again does not shorten it"
        clock.now += wait / 2
        assert throttle.begin("192.168.1.9") == 0.0
    assert waits == [10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert throttle.begin("192.168.1.10") == 0.0, "others do not wait"
    clock.now += 900
    assert throttle.begin("192.168.1.9") == 0.0
    throttle.succeeded("192.168.1.9")
    assert [throttle.begin("192.168.1.9") for _ in range(5)] == [0.0] * 5


def test_many_at_once_get_five_tries() -> None:
    throttle = Throttle(Clock())
    assert [throttle.begin("fd00::1") for _ in range(100)].count(0.0) == 5


def test_one_network_of_ipv6_is_one_peer_and_a_mapped_address_the_ipv4_one() -> None:
    throttle = Throttle(Clock())
    assert [throttle.begin(f"fd00::{at:x}") for at in range(1, 9)].count(0.0) == 5
    for address in ("192.168.1.9", "::ffff:192.168.1.9", "::ffff:c0a8:109"):
        throttle.begin(address)
    assert [throttle.begin("192.168.1.9") for _ in range(5)].count(0.0) == 2


def test_throttle_and_sessions_keep_a_bounded_number() -> None:
    clock = Clock()
    throttle, sessions = Throttle(clock), Sessions(clock)
    first = sessions.open(None)[0]
    for at_ in range(MOST_PEERS + 50):
        clock.now += 0.001
        throttle.begin(f"10.0.{at_ // 250}.{at_ % 250}")
        sessions.open(None)
    assert len(throttle._tallies) == MOST_PEERS
    assert len(sessions._sessions) == MOST_SESSIONS
    assert sessions.find(first) is None


def test_a_session_ends_when_idle_and_after_a_week() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    cookie, _ = sessions.open(None)
    clock.now += IDLE_SECONDS + 1
    assert sessions.find(cookie) is None
    cookie, _ = sessions.open(None)
    for _ in range(int(LIFE_SECONDS / IDLE_SECONDS) * 2):
        clock.now += IDLE_SECONDS / 2
        assert sessions.find(cookie) is not None
    clock.now += IDLE_SECONDS / 2
    assert sessions.find(cookie) is None


def test_another_password_ends_the_sessions_of_the_old_one(tmp_path: Path) -> None:
    with at(tmp_path, guarded(tmp_path, cheap_hash(PASSWORD))) as found:
        assert login(found.client) == 200
        found.daemon._config = replace(found.daemon.config())  # a reload that changed nothing
        assert found.client.get("/api/v1/queue").status_code == 200
        found.daemon._config = guarded(tmp_path, cheap_hash("een ander wachtwoord"))
        assert found.client.get("/api/v1/queue").status_code == 401
        assert login(found.client) == 403


def test_a_password_at_last_ends_the_sessions_without_one(tmp_path: Path) -> None:
    with at(tmp_path, office_config(tmp_path), "127.0.0.1") as found:
        assert found.client.get(SESSION).json()["logged_in"]
        found.daemon._config = guarded(tmp_path, cheap_hash(PASSWORD))
        assert found.client.get("/api/v1/queue").status_code == 401
        assert not found.client.get(SESSION).json()["logged_in"]


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.168.1.30", {}),
        ("127.0.0.1", {"Host": "relay.test:8025"}),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}),
        ("127.0.0.1", {"Via": "1.1 proxy"}),
    ],
)
def test_without_a_password_only_this_machine_gets_in(
    tmp_path: Path, peer: str, headers: dict[str, str]
) -> None:
    config = office_config(tmp_path)
    with at(tmp_path, config, peer) as found:
        # relay.test is allowed here as [web] hosts would allow it.
        gate = found.client.app.routes[0].app._app  # type: ignore[attr-defined]
        gate._hosts |= {"relay.test"}
        assert "set-cookie" not in found.client.get("/", headers=headers).headers
        seen = found.client.get(SESSION, headers=headers).json()
        assert (seen["logged_in"], seen["needs_password"]) == (False, True)
        refused = found.client.post(SESSION, json={"password": "x"}, headers=headers)
        assert refused.status_code == 403
        assert "relay web password" in refused.json()["error"]["nl"]
        assert found.client.get("/metrics", headers=headers).status_code == 401


def test_the_slow_hash_runs_beside_the_loop_and_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    real = password.is_password

    def noted(text: str, hashed: str) -> bool:
        threads.append(threading.get_ident())
        return real(text, hashed)

    monkeypatch.setattr(password, "is_password", noted)
    with at(tmp_path, guarded(tmp_path, cheap_hash(PASSWORD))) as found:
        assert login(found.client) == 200
        assert found.client.portal is not None
        loop = found.client.portal.call(threading.get_ident)
    assert len(threads) == 1
    assert loop not in threads


async def test_of_many_logins_at_once_few_wait() -> None:
    import asyncio

    verifier = entrance.Verifier()
    checks = [verifier.check("fout", cheap_hash(PASSWORD)) for _ in range(20)]
    found = await asyncio.gather(*checks)
    assert found.count(False) == 8
    assert found.count(None) == 12


def test_a_hash_that_is_gone_is_said(tmp_path: Path) -> None:
    config = guarded(tmp_path, cheap_hash(PASSWORD))
    with at(tmp_path, config) as found:
        (tmp_path / "page.hash").unlink()
        answer = found.client.post(SESSION, json={"password": PASSWORD})
    assert answer.status_code == 503
    assert "password_hash" in answer.json()["error"]["en"]


def test_a_hash_knows_its_password_alone() -> None:
    hashed = hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert is_password(PASSWORD, hashed)
    assert not is_password(PASSWORD + " ", hashed)
    assert not is_password("x" * 2_000, hashed)
    assert hash_password(PASSWORD) != hashed


@pytest.mark.parametrize(
    "text",
    [
        "zeven broden in de oven",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2i$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$" + "a" * 43,
        "$argon2id$v=19$m=999999999,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=0,p=4$c2FsdHNhbHRzYWx0c2FsdA$" + "a" * 43,
        "$argon2id$v=19$m=8,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$" + "a" * 43,
    ],
)
def test_what_is_no_hash_is_an_error_that_names_the_command(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadValueError, match="relay web password"):
        check_password_hash(text)
    with pytest.raises(BadValueError):
        is_password(PASSWORD, text)
    with pytest.raises(ConfigError) as caught:
        guarded(tmp_path, text)
    assert [fault.key for fault in caught.value.faults] == ["web.password_hash"]
    assert PASSWORD not in caught.value.faults[0].nl


def test_the_default_is_this_machine_alone_and_another_address_warns_without_tls(
    tmp_path: Path,
) -> None:
    assert office_config(tmp_path).web.host == "127.0.0.1"
    open_ = guarded(tmp_path, cheap_hash(PASSWORD), 'address = "0.0.0.0:8025"')
    assert [warning.key for warning in open_.warnings] == ["web.address"]
    assert "certificate" in open_.warnings[0].en
    path = tmp_path / "relay.toml"
    path.write_text(path.read_text().replace("password_hash", "# password_hash"))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert "relay web password" in caught.value.faults[0].nl


def test_with_a_certificate_another_address_is_no_warning(
    tmp_path: Path, authority: Authority
) -> None:
    pair = authority.issue("relay.lan")
    web = f'address = "0.0.0.0:8025"\ncertificate = "{pair.chain}"\nkey = "{pair.key}"'
    assert guarded(tmp_path, cheap_hash(PASSWORD), web).warnings == ()


def test_the_command_prints_a_hash_that_fits() -> None:
    done = CliRunner().invoke(app, ["web", "password", "--stdin", "--lang", "nl"], input=PASSWORD)
    assert done.exit_code == 0
    assert is_password(PASSWORD, done.stdout.strip())
    assert "password_hash = { file = .. }" in done.stderr
    assert PASSWORD not in done.output


@pytest.mark.parametrize("given", ["", "kort\n", "x" * 1_001, b"\xff" * 12])
def test_the_command_refuses_what_is_no_password(given: str | bytes) -> None:
    done = CliRunner().invoke(app, ["web", "password", "--stdin"], input=given)
    assert (done.exit_code, done.stdout) == (2, "")


def test_the_command_asks_in_a_terminal_alone() -> None:
    done = CliRunner().invoke(app, ["web", "password", "--lang", "en"])
    assert done.exit_code == 2
    assert "--stdin" in done.stderr
