"""Every action of the page without a mouse: Tab, Enter, Space, Escape and the arrows alone."""

import threading
from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import STRANGER, Office, office
from browser.reader import Reader
from fakes.certificates import Authority
from fakes.script import Action
from playwright.sync_api import expect

MOST_TABS = 120
FOCUSED = """() => {
    const one = document.activeElement;
    const name = one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.innerText || "";
    const ring = getComputedStyle(one).outlineStyle;
    return [name.trim(), ring, one.tagName];
}"""


class Hands:
    """Somebody at the keyboard only."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.keys = reader.page.keyboard

    def reach(self, name: str) -> None:
        """Tabs on until something of this name has the focus, and can be seen to have it."""
        seen = []
        for _ in range(MOST_TABS):
            self.keys.press("Tab")
            found, ring, tag = self.reader.page.evaluate(FOCUSED)
            seen.append(found)
            if found.splitlines()[:1] == [name]:
                assert ring != "none", f"{tag} {name} does not show its focus"
                return
        raise AssertionError(f"{name} is not reached; {seen}")

    def press(self, name: str, key: str = "Enter") -> None:
        self.reach(name)
        self.keys.press(key)

    def write(self, name: str, text: str) -> None:
        self.reach(name)
        self.keys.press("Control+a")
        self.keys.type(text)

    def go(self, name: str) -> None:
        """By the navigation; the heading then has the focus."""
        self.press(name)
        heading = self.reader.main.get_by_role("heading", level=1)
        expect(heading).to_be_focused()
        self.reader.settled()


def test_every_action_by_the_keyboard(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    gate = threading.Event()
    with office(tmp_path, authority, script={"CONNECT": Action(wait_for=gate)}) as it:
        for name in ("een", "twee"):
            it.send(f"{name}@example.net")
        it.is_refused()
        reader = reader_of(it.relay).open("today")
        hands = Hands(reader)

        hands.press("Skip to the content")
        expect(reader.main).to_be_focused()
        messages(hands)
        devices(hands)
        accounts(hands)
        gate.set()
        tools(hands)
        hands.press("Nederlands")
        expect(reader.page.locator("html")).to_have_attribute("lang", "nl")


def messages(hands: Hands) -> None:
    reader = hands.reader
    hands.go("Messages")
    hands.write("Search", "twee")
    expect(reader.row("een@")).to_have_count(0)
    hands.press("Choose the message to twee@example.net", "Space")
    reader.page.get_by_role("button", name="Hold").wait_for()
    hands.press("Hold")
    reader.told("1 message is held.")
    hands.press("Undo")
    reader.told("Undone.")
    expect(reader.row("twee@")).to_contain_text("Waiting")
    hands.press("Try again now")
    reader.told("1 message is tried again now.")
    hands.press("By another account")
    expect(reader.dialog).to_be_visible()
    hands.keys.press("Escape")
    expect(reader.dialog).to_have_count(0)
    hands.press("By another account")
    hands.press("By another account")  # the dialog's own button
    reader.told("1 message goes by the other account.")
    hands.press("Hold")
    expect(reader.row("twee@")).to_contain_text("Held")
    hands.press("Release")
    hands.press("Release")
    reader.told("1 message is released.")
    hands.press("Delete")
    hands.press("Delete")
    reader.told("1 message is deleted.")
    hands.press("twee@example.net")
    expect(reader.main.get_by_text("What became of the message")).to_be_visible()
    hands.press("All messages")
    expect(reader.main.get_by_role("heading", level=1)).to_have_text("Messages")
    reader.settled()


def devices(hands: Hands) -> None:
    reader = hands.reader
    hands.go("Devices")
    hands.press(f"Allow {STRANGER}")
    hands.write("Name", "scanner")
    hands.keys.press("Enter")
    reader.told("scanner may send mail now.")
    hands.press("Take back the admission of scanner")
    hands.press("Take back")
    reader.told("scanner may send no more.")
    hands.press("Open for 30 minutes")
    reader.told("The learning window is open.")
    hands.press("Close now")
    reader.told("The learning window is closed.")


def accounts(hands: Hands) -> None:
    reader = hands.reader
    hands.go("Accounts")
    hands.press("Pause")
    reader.told("The account is paused; its mail waits.")
    hands.press("Resume")
    reader.told("The account is tried again.")


def tools(hands: Hands) -> None:
    reader = hands.reader
    hands.press("Test the login")
    expect(reader.main.get_by_text("The login works")).to_be_visible()
    hands.go("Diagnose")
    hands.reach("Check")
    hands.keys.press("ArrowDown")
    hands.press("Start")
    expect(reader.main.locator(".findings li").first).to_be_visible(timeout=60_000)
    hands.go("Test message")
    hands.write("To", "beheer@example.net")
    hands.press("Send test message")
    expect(reader.main.get_by_text("The mail server took the message")).to_be_visible()
    hands.go("Settings")
    hands.press("Only what was set", "Space")
    expect(reader.row("spool.lifetime")).to_be_visible()
    hands.write("Text of relay.toml", "onzin")
    hands.press("Check")
    expect(reader.main.locator(".note.bad")).to_be_visible()


def test_the_menu_of_a_small_screen(quiet_office: Office, reader_of: ReaderOf) -> None:
    it = quiet_office
    reader = reader_of(it.relay, viewport={"width": 360, "height": 740}).open("today")
    hands = Hands(reader)
    expect(reader.page.get_by_role("link", name="Accounts")).to_be_hidden()
    hands.press("Menu")
    hands.go("Accounts")
    expect(reader.page.get_by_role("link", name="Accounts")).to_be_hidden()
