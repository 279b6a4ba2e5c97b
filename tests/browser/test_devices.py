"""Devices: one that was refused is adopted, and may send."""

from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import SENDER, STRANGER, Office, office
from fakes.certificates import Authority
from fakes.invoice import invoice
from playwright.sync_api import expect


def test_a_refused_device_is_adopted_and_taken_back(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    with office(tmp_path, authority) as it:
        reader = reader_of(it.relay).open("devices")
        it.is_refused()
        expect(reader.row(STRANGER)).to_be_visible()  # by itself: the page follows
        reader.press(f"Allow {STRANGER}")
        reader.dialog.get_by_label("Name").fill("scanner")
        reader.agree("Allow")
        reader.told("scanner may send mail now.")
        expect(reader.row("scanner")).to_contain_text(STRANGER)
        recipient = "archief@example.net"
        it.relay.send(SENDER, [recipient], invoice(SENDER, [recipient]), source=STRANGER)
        it.smarthost.wait_for(1)
        expect(reader.row("scanner")).to_contain_text("Good")
        reader.press("Take back the admission of scanner")
        reader.agree("Take back")
        reader.told("scanner may send no more.")
        expect(reader.row("scanner").get_by_role("button")).to_have_count(0)
        reader.undo()
        expect(reader.row("scanner").get_by_role("button")).to_be_visible()


def test_the_learning_window_opens_and_closes(quiet_office: Office, reader_of: ReaderOf) -> None:
    it = quiet_office
    reader = reader_of(it.relay).open("devices")
    reader.press("Open for 30 minutes")
    reader.told("The learning window is open.")
    expect(reader.main.get_by_text("Open until")).to_be_visible()
    reader.press("Close now")
    expect(reader.main.get_by_text("Open until")).to_have_count(0)
