"""A test message followed, an examination, and the settings looked at and checked."""

from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import SENDER, Office, office
from fakes.certificates import Authority
from playwright.sync_api import expect


def test_a_test_message_is_followed_until_it_has_left(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf, artefacts: Path
) -> None:
    with office(tmp_path, authority) as it:
        reader = reader_of(it.relay).open("test")
        reader.main.get_by_label("To", exact=True).fill("beheer@example.net")
        reader.main.get_by_label("From").fill(SENDER)
        reader.press("Send test message")
        expect(reader.main.get_by_text("The mail server took the message")).to_be_visible()
        reader.shot(artefacts / "test-followed.png")
        (left,) = it.smarthost.wait_for(1)
        assert b"beheer@example.net" in left.content
        reader.main.get_by_role("link", name="All about this message").click()
        expect(reader.main.get_by_text("Sent to everybody")).to_be_visible()


def test_an_examination_shows_its_findings(
    quiet_office: Office, reader_of: ReaderOf, artefacts: Path
) -> None:
    it = quiet_office
    reader = reader_of(it.relay).open("diagnose")
    reader.main.get_by_label("Check").select_option("tls")
    reader.press("Start")
    findings = reader.main.locator(".findings li")
    expect(findings.first).to_be_visible(timeout=60_000)
    expect(reader.main.locator(".findings .badge").first).to_be_visible()
    reader.shot(artefacts / "diagnose-findings.png")
    reader.has_no_barriers()


def test_settings_tell_their_origin_and_a_change_is_checked(
    quiet_office: Office, reader_of: ReaderOf
) -> None:
    it = quiet_office
    before = it.relay.config.read_text()
    reader = reader_of(it.relay).open("settings")
    expect(reader.row("hostname")).to_contain_text("relay.toml, line 2")
    reader.main.get_by_label("Only what was set").uncheck()
    expect(reader.row("spool.lifetime")).to_contain_text("default")
    text = reader.main.get_by_label("Text of relay.toml")
    text.fill(before.replace('postmaster = "', 'postmster = "'))
    reader.press("Check")
    expect(reader.main.get_by_text("1 fault; the relay would refuse")).to_be_visible()
    text.fill(before.replace("postmaster@mijnbakkerij.nl", "beheer@mijnbakkerij.nl"))
    reader.press("Check")
    expect(reader.main.get_by_text("The relay can read these settings.")).to_be_visible()
    expect(reader.main.locator(".diff .added").last).to_contain_text("beheer@mijnbakkerij.nl")
    with reader.page.expect_download() as kept:
        reader.press("Download as relay.toml")
    assert kept.value.suggested_filename == "relay.toml"
    assert "beheer@mijnbakkerij.nl" in Path(kept.value.path()).read_text()
    assert it.relay.config.read_text() == before
