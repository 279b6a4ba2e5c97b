"""A consent that is started from the page, up to the grant in the vault."""

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes.issuer import Issuer
from fakes.stocked_spool import office_config
from fakes.web_desk import WebDesk, web_desk

from relay.account.page_consent import PageConsents, Way, natural_way
from relay.config.model import Config, OAuth2, SecretRef
from relay.config.model import Issuer as Kind

HOST = "smtp.office365.com"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def config_for(issuer: Issuer, directory: Path, more: str = 'flow = "code"') -> Config:
    (directory / "client.secret").touch(0o600)
    (directory / "client.secret").write_text(f"{issuer.client_secret}\n")
    tables = f"""
[[smarthost]]
name = "m365"
preset = "microsoft365"
auth = "oauth2"
username = "{issuer.username}"
[smarthost.oauth2]
{more}
client_id = "{issuer.client_id}"
ca_file = "{issuer.ca_file}"
[[smarthost]]
name = "isp"
preset = "ziggo"
username = "bakker@ziggo.nl"
password = {{ file = "isp.secret" }}
"""
    if "token_endpoint" not in more:
        tables = tables.replace("client_id", f'authority = "{issuer.url}"\nclient_id', 1)
    return office_config(directory, tables)


@pytest.fixture
def web(issuer: Issuer, tmp_path: Path) -> Iterator[WebDesk]:
    with web_desk(config_for(issuer, tmp_path), tmp_path) as running:
        yield running


def wait_for(web: WebDesk, state: str, name: str = "m365") -> Any:
    """The consent once it has that state."""
    return wait_until(web, lambda found: found["state"] == state, name)


def wait_until(web: WebDesk, good: Callable[[Any], bool], name: str = "m365") -> Any:
    end = time.monotonic() + 20
    while not good(found := web.get(f"/accounts/consent/{name}")):
        assert time.monotonic() < end, found
        time.sleep(0.05)  # noqa: TID251 -- as the page does
    return found


def visit(address: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=5) as answer:
        return int(answer.status)


def grant_of(web: WebDesk, username: str, host: str = HOST) -> Any:
    portal = web.client.portal
    assert portal is not None
    return portal.call(web.spool.vault.grant, host, username)


def test_the_browser_here_comes_back_by_itself(web: WebDesk, issuer: Issuer) -> None:
    assert web.get("/accounts/consent/m365")["state"] == "none"
    begun = web.post("/accounts/consent", name="m365")
    assert (begun["flow"], begun["state"]) == ("loopback", "waiting")
    assert begun["user_code"] is None
    assert begun["url"].startswith(issuer.url)
    assert begun["expires_at"] == "2026-11-21T12:10:00.000Z"
    assert issuer.username in begun["text"]["nl"]
    assert visit(issuer.approve(begun["url"])) == 200
    done = wait_for(web, "done")
    assert (done["account"], done["url"]) == (issuer.username, None)
    assert issuer.username in done["text"]["en"]
    assert grant_of(web, issuer.username).refresh_token
    (account,) = [
        each for each in web.get("/accounts")["accounts"] if each["username"] == issuer.username
    ]
    assert account["consent"] == "given"
    assert "mail_due" in web.daemon.calls


def test_no_token_stands_in_an_answer(web: WebDesk, issuer: Issuer) -> None:
    begun = web.post("/accounts/consent", name="m365")
    visit(issuer.approve(begun["url"]))
    done = wait_for(web, "done")
    grant = grant_of(web, issuer.username)
    for token in (grant.refresh_token, grant.access_token):
        assert token not in str(done)
        assert token not in str(web.get("/accounts"))


def test_a_browser_elsewhere_after_all_pastes_the_address(web: WebDesk, issuer: Issuer) -> None:
    """Through a tunnel the page cannot tell; the browser then fails on its own loopback."""
    begun = web.post("/accounts/consent", name="m365")
    pasted = web.post("/accounts/consent/m365", redirect=f" {issuer.approve(begun['url'])}\n")
    assert pasted["state"] in ("waiting", "done")
    assert wait_for(web, "done")["account"] == issuer.username


def test_elsewhere_a_code_is_typed(issuer: Issuer, tmp_path: Path) -> None:
    with web_desk(config_for(issuer, tmp_path), tmp_path, peer="192.168.1.9") as web:
        web.desk.consents.under_way = quick(web)
        begun = web.post("/accounts/consent", name="m365")
        assert (begun["flow"], begun["url"]) == ("device", None)
        assert begun["user_code"] in begun["text"]["nl"]
        assert begun["verification_url"] in begun["text"]["nl"]
        issuer.enter(begun["user_code"])
        assert wait_for(web, "done")["account"] == issuer.username
        assert grant_of(web, issuer.username).refresh_token


def quick(web: WebDesk, seconds: float = 600.0) -> PageConsents:
    """Consents that poll at once, whatever pace the issuer asks for."""
    import asyncio

    return PageConsents(
        web.desk.consents._keep,
        lambda: web.desk._clock(),
        seconds,
        lambda _: asyncio.sleep(0.01),
    )


def test_a_code_that_was_refused(issuer: Issuer, tmp_path: Path) -> None:
    with web_desk(config_for(issuer, tmp_path), tmp_path) as web:
        web.desk.consents.under_way = quick(web)
        begun = web.post("/accounts/consent", name="m365", flow="device")
        issuer.decline(begun["user_code"])
        failed = wait_for(web, "failed")
    assert failed["cause"] == "declined"
    assert failed["text"]["nl"] != failed["text"]["en"]
    assert failed["steps"]["nl"]


def test_where_no_code_is_given_the_address_is_pasted(issuer: Issuer, tmp_path: Path) -> None:
    with web_desk(config_for(issuer, tmp_path), tmp_path, peer="192.168.1.9") as web:
        issuer.refuse(50105, at="device")
        begun = web.post("/accounts/consent", name="m365")
        assert (begun["flow"], begun["state"]) == ("paste", "waiting")
        assert begun["redirect"] == "http://localhost:49163"
        web.post("/accounts/consent/m365", redirect=issuer.approve(begun["url"]))
        assert wait_for(web, "done")["account"] == issuer.username


def test_who_asks_for_a_code_is_told_why_there_is_none(issuer: Issuer, tmp_path: Path) -> None:
    with web_desk(config_for(issuer, tmp_path), tmp_path) as web:
        issuer.refuse(50105, at="device")
        begun = web.post("/accounts/consent", name="m365", flow="device")
    assert (begun["flow"], begun["state"]) == ("device", "failed")
    assert begun["steps"]["en"]


def test_google_comes_back_too(issuer: Issuer, tmp_path: Path) -> None:
    google = (
        f'token_endpoint = "{issuer.google_endpoints.token}"\n'
        f'authorize_endpoint = "{issuer.google_endpoints.authorize}"\n'
        'client_secret = { file = "client.secret" }'
    )
    with web_desk(config_for(issuer, tmp_path, google), tmp_path) as web:
        begun = web.post("/accounts/consent", name="m365")
        assert begun["flow"] == "loopback"
        assert parse_qs(urlsplit(begun["url"]).query)["redirect_uri"][0].startswith(
            "http://127.0.0.1:"
        )
        visit(issuer.approve(begun["url"]))
        wait_for(web, "done")
        assert grant_of(web, issuer.username).refresh_token


def test_an_app_proves_itself_without_anybody(issuer: Issuer, tmp_path: Path) -> None:
    app = (
        'flow = "client-credentials"\ntenant = "bakery"\nclient_secret = { file = "client.secret" }'
    )
    with web_desk(config_for(issuer, tmp_path, app), tmp_path) as web:
        begun = web.post("/accounts/consent", name="m365")
        assert (begun["flow"], begun["url"]) == ("app", None)
        wait_for(web, "done")
        assert grant_of(web, issuer.username).access_token


def test_another_address_is_not_taken_and_ends_nothing(web: WebDesk, issuer: Issuer) -> None:
    begun = web.post("/accounts/consent", name="m365")
    good = issuer.approve(begun["url"])
    state = parse_qs(urlsplit(good).query)["state"][0]
    asked = len(issuer.requests)
    for wrong in (
        "",
        "https://example.net/",
        good.replace(state, "another"),
        "?code=" + "x" * 20_000,
    ):
        error = web.post("/accounts/consent/m365", 400, redirect=wrong)["error"]
        assert begun["redirect"] in error["nl"]
    assert len(issuer.requests) == asked, "nothing was exchanged"
    web.post("/accounts/consent/m365", redirect=good)
    wait_for(web, "done")
    web.post("/accounts/consent/m365", 400, redirect=good)


def test_cancel_in_the_browser(web: WebDesk, issuer: Issuer) -> None:
    begun = web.post("/accounts/consent", name="m365")
    visit(issuer.deny(begun["url"]))
    assert wait_for(web, "failed")["cause"] == "declined"


def test_somebody_else_consented(web: WebDesk, issuer: Issuer) -> None:
    begun = web.post("/accounts/consent", name="m365")
    visit(issuer.approve(begun["url"], "ander@bakkerij.example"))
    done = wait_for(web, "done")
    assert done["account"] == "ander@bakkerij.example"
    assert "ander@bakkerij.example" in done["text"]["nl"]


def test_one_at_a_time_for_an_account(web: WebDesk, issuer: Issuer) -> None:
    first = web.post("/accounts/consent", name="m365")
    second = web.post("/accounts/consent", name=issuer.username)
    assert second["redirect"] != first["redirect"]
    wait_until_closed(first["redirect"])
    web.post("/accounts/consent/m365", 400, redirect=issuer.approve(first["url"]))
    visit(issuer.approve(second["url"]))
    wait_for(web, "done")


def wait_until_closed(address: str) -> None:
    import socket

    end, port = time.monotonic() + 10, urlsplit(address).port
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port or 0)):
                return
        assert time.monotonic() < end, "the listener stays open"
        time.sleep(0.05)  # noqa: TID251 -- a closed port tells nobody


def test_it_ends_after_its_time(web: WebDesk, issuer: Issuer) -> None:
    web.desk.consents.under_way = quick(web, 0.2)
    begun = web.post("/accounts/consent", name="m365")
    failed = wait_for(web, "failed")
    assert failed["cause"] == "consent-timeout"
    wait_until_closed(begun["redirect"])


def test_it_can_be_called_off(web: WebDesk) -> None:
    begun = web.post("/accounts/consent", name="m365")
    answer = web.client.delete("/api/v1/accounts/consent/m365")
    assert answer.json()["state"] == "failed"
    assert answer.json()["text"]["en"].startswith("stopped")
    wait_until_closed(begun["redirect"])


def test_the_end_of_the_relay_ends_it(issuer: Issuer, tmp_path: Path) -> None:
    with web_desk(config_for(issuer, tmp_path), tmp_path) as web:
        begun = web.post("/accounts/consent", name="m365")
    wait_until_closed(begun["redirect"])


def test_an_issuer_that_fails_is_told(web: WebDesk, issuer: Issuer) -> None:
    issuer.fail(at="discovery")
    begun = web.post("/accounts/consent", name="m365")
    assert begun["state"] == "failed"
    assert begun["cause"]
    assert begun["text"]["nl"]


def test_a_configuration_that_changed_meanwhile(web: WebDesk, issuer: Issuer) -> None:
    begun = web.post("/accounts/consent", name="m365")
    config = web.daemon._config
    first = config.smarthosts[0]
    assert first.oauth2 is not None
    other = replace(first, oauth2=replace(first.oauth2, client_id="another"))
    web.daemon._config = replace(config, smarthosts=(other,))
    visit(issuer.approve(begun["url"]))
    assert "changed" in wait_for(web, "failed")["text"]["en"]
    assert grant_of(web, issuer.username) is None


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"name": "nobody"}, "nobody"),
        ({"name": "isp"}, "OAuth2"),
        ({"name": "m365", "flow": "telepathy"}, "loopback"),
        ({"name": "m365", "flow": "app"}, "loopback"),
        ({}, "name"),
    ],
)
def test_what_cannot_be_asked_is_refused(web: WebDesk, body: dict[str, Any], word: str) -> None:
    assert word in web.post("/accounts/consent", 400, **body)["error"]["en"]


def test_an_address_where_none_is_awaited(web: WebDesk) -> None:
    error = web.post("/accounts/consent/m365", 400, redirect="?code=x&state=y")["error"]
    assert error["nl"] != error["en"]


SECRET = SecretRef("file", "x")


@pytest.mark.parametrize(
    ("oauth2", "here", "way"),
    [
        (OAuth2(), True, Way.LOOPBACK),
        (OAuth2(), False, Way.DEVICE),
        (OAuth2(flow="device"), True, Way.DEVICE),
        (OAuth2(client_secret=SECRET), False, Way.PASTE),
        (OAuth2(certificate=SECRET), False, Way.PASTE),
        (OAuth2(issuer=Kind.GOOGLE, client_secret=SECRET), True, Way.LOOPBACK),
        (OAuth2(issuer=Kind.GOOGLE), False, Way.PASTE),
        (OAuth2(flow="client-credentials"), True, Way.APP),
        (OAuth2(flow="service-account", issuer=Kind.GOOGLE), False, Way.APP),
    ],
)
def test_the_natural_way(oauth2: OAuth2, here: bool, way: Way) -> None:
    assert natural_way(oauth2, here) is way
