"""Consent that is started on the page: given, called off, refused, and two at once."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser.conftest import ReaderOf
from fakes.certificates import Authority
from fakes.consented import add_consented, token_behaviour
from fakes.invoice import invoice
from fakes.issuer import Issuer
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost
from playwright.sync_api import Locator, Page, Route, expect

from relay.spool.vault import tokens_file

GO = "Open the provider's page"
SHOP = "winkel@bakkerij.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def smarthost(authority: Authority, issuer: Issuer) -> Iterator[Smarthost]:
    with Smarthost(token_behaviour(authority, issuer, "XOAUTH2")) as running:
        yield running


@pytest.fixture
def relay(
    tmp_path: Path, authority: Authority, issuer: Issuer, smarthost: Smarthost
) -> RelayProcess:
    """Not started yet; somebody consented to its Microsoft account before."""
    relay = RelayProcess(tmp_path)
    given = (relay, smarthost.port, authority.ca_file, issuer, datetime.now(UTC))
    # It runs a loop of its own, and in this thread Playwright's runs already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(add_consented, *given).result()
    return relay


@pytest.fixture
def new_relay(relay: RelayProcess) -> RelayProcess:
    """Not started yet; nobody ever consented."""
    tokens_file(relay.spool).unlink()
    return relay


def at_provider(page: Page, issuer: Issuer) -> Page:
    """The tab with the provider's page, where who is signed in accepts or cancels."""

    def signed_in(route: Route) -> None:
        asked = route.request.url
        links = {"Accept": issuer.approve(asked), "Cancel": issuer.deny(asked)}
        body = " ".join(f'<a href="{escape(to)}">{name}</a>' for name, to in links.items())
        route.fulfill(content_type="text/html", body=f"<!doctype html>{body}")

    page.context.route(re.compile(re.escape(issuer.url) + r"/\S+/authorize\?"), signed_in)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=GO).click()
    return opened.value


def address_of(place: Locator) -> str:
    """Where the page sends whoever is to consent."""
    address = place.get_by_role("link", name=GO).get_attribute("href")
    assert address is not None
    return address


def is_closed(port: int | None) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port or 0)) != 0


def test_a_consent_that_was_lost_is_given_again_and_the_mail_leaves(
    relay: RelayProcess, smarthost: Smarthost, issuer: Issuer, reader_of: ReaderOf, artefacts: Path
) -> None:
    issuer.revoke()
    relay.language = "nl"  # the reader's is another
    with relay:
        to = ["klant@example.net"]
        relay.send(issuer.username, to, invoice(issuer.username, to))
        relay.wait_for_event("paused")
        reader = reader_of(relay).open("accounts")
        reader.press("English")
        expect(reader.main.get_by_text("Paused", exact=True)).to_be_visible()
        reader.press("Give consent")
        expect(reader.main.get_by_role("status")).to_contain_text(
            f"sign in as {issuer.username} and consent"
        )
        reader.shot(artefacts / "consent-waiting.png")
        reader.has_no_barriers()
        provider = at_provider(reader.page, issuer)
        provider.get_by_role("link", name="Accept").click()
        expect(provider.get_by_role("heading", name="Consent received")).to_be_visible()
        expect(reader.main.get_by_role("status")).to_have_text(
            f"The consent for {issuer.username} is stored."
        )
        expect(reader.main.get_by_text("Works", exact=True)).to_be_visible()
        expect(reader.main.get_by_role("button", name="Give consent again")).to_be_visible()
        reader.shot(artefacts / "consent-done.png")
        reader.has_no_barriers()
        smarthost.wait_for(1)
        shown = reader.page.content()
        assert [each for each in (*issuer.refresh, *issuer.access) if each in shown] == []


def test_a_consent_is_called_off_here_and_refused_there(
    new_relay: RelayProcess, issuer: Issuer, reader_of: ReaderOf, artefacts: Path
) -> None:
    with new_relay:
        reader = reader_of(new_relay).open("accounts")
        needed = reader.main.get_by_text("Consent needed", exact=True)
        expect(needed).to_be_visible()
        reader.press("Give consent")
        late = urlsplit(issuer.approve(address_of(reader.main)))
        assert not is_closed(late.port)
        reader.press("Cancel")
        reader.told("The consent was cancelled.")
        expect(reader.main.get_by_role("status")).to_have_count(0)
        expect(needed).to_be_visible()
        new_relay.wait_until(lambda: is_closed(late.port))
        reader.press("Give consent")
        at_provider(reader.page, issuer).get_by_role("link", name="Cancel").click()
        refused = reader.main.get_by_role("status")
        expect(refused).to_contain_text("Somebody refused or cancelled on the consent page.")
        expect(refused.get_by_role("listitem").first).to_be_visible()
        expect(needed).to_be_visible()
        reader.shot(artefacts / "consent-refused.png")
        reader.has_no_barriers()
        assert [each for each in issuer.requests if each.page == "token"] == []


def test_two_accounts_consent_at_once(
    new_relay: RelayProcess, issuer: Issuer, reader_of: ReaderOf
) -> None:
    one = new_relay.tables
    new_relay.tables += one.replace('"isp"', '"shop"').replace(issuer.username, SHOP)
    with new_relay:
        reader = reader_of(new_relay).open("accounts")
        usernames = (issuer.username, SHOP)
        cards = [reader.main.get_by_role("region", name=each) for each in usernames]
        for card in cards:
            reader.press("Give consent", card)
            expect(card.get_by_role("status")).to_contain_text("Open the address")
        browser = reader.page.context.new_page()
        for username, card in zip(usernames, cards, strict=True):
            browser.goto(issuer.approve(address_of(card), username))
        for username, card in zip(usernames, cards, strict=True):
            expect(card.get_by_text(f"The consent for {username} is stored.")).to_be_visible()
            expect(card.get_by_text("Works", exact=True)).to_be_visible()
