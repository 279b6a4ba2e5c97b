"""Accounts: one that its server refuses pauses, and is resumed with the right password."""

from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import PASSWORD, Office, office
from fakes.certificates import Authority
from playwright.sync_api import expect


def test_a_paused_account_is_resumed_and_its_mail_leaves(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf, artefacts: Path
) -> None:
    with office(tmp_path, authority, password="verkeerd") as it:
        reader = reader_of(it.relay).open("accounts")
        expect(reader.main.get_by_text("Works", exact=True)).to_be_visible()
        it.send("klant@example.net")
        expect(reader.main.get_by_text("Paused", exact=True)).to_be_visible()
        expect(reader.main.locator(".note.bad li").first).to_be_visible()
        reader.shot(artefacts / "account-paused.png")
        reader.has_no_barriers()
        (it.relay.directory / "isp.secret").write_text(PASSWORD)
        reader.press("Resume")
        reader.told("The account is tried again.")
        expect(reader.main.get_by_text("Works", exact=True)).to_be_visible()
        it.smarthost.wait_for(1)


def test_an_account_is_paused_by_hand_tested_and_the_pause_undone(
    quiet_office: Office, reader_of: ReaderOf
) -> None:
    it = quiet_office
    reader = reader_of(it.relay).open("accounts")
    reader.press("Test the login")
    expect(reader.main.get_by_text("The login works")).to_be_visible()
    reader.press("Pause")
    reader.told("The account is paused; its mail waits.")
    expect(reader.main.get_by_text("Paused by hand.")).to_be_visible()
    reader.page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(reader.main.get_by_text("Works", exact=True)).to_be_visible()
