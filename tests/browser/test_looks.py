"""Each page as it looks: no barrier that axe-core knows of, light and dark, wide and at 360 px."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.conftest import ReaderOf
from browser.office import CLIENTS, SENDER, STRANGER, Office, office
from browser.reader import Reader
from fakes.certificates import Authority
from fakes.invoice import invoice, pdf
from fakes.script import when
from playwright.sync_api import expect

SCRIPT = {
    "RCPT": when(
        {
            "weg@": "550 5.1.1 no such mailbox",
            "later@": "451 4.7.1 Greylisted, please try again",
        }
    ),
    "MAIL": when(
        {
            "directie@": "553 5.7.1 <directie@mijnbakkerij.nl>: Sender address rejected: not owned by user"
        }
    ),
}
LIMITS = "messages_per_day = 6\nmessages_per_minute = 60"
BODIES = "show_bodies = true"
PAGES = (
    "today",
    "messages",
    "messages/ID",
    "devices",
    "accounts",
    "diagnose",
    "test",
    "settings",
    "inbox",
    "inbox/ID",
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Office]:
    """An office where something of everything has happened."""
    directory = tmp_path_factory.mktemp("busy")
    with office(directory, authority, script=SCRIPT, web=BODIES, tables=CLIENTS, more=LIMITS) as it:
        for number in range(3):
            it.send(f"klant{number}@example.net", number)
        it.smarthost.wait_for(3)
        it.send("weg@example.net")
        it.relay.wait_for_event("failed")
        it.send("klant@example.net", sender="directie@mijnbakkerij.nl")
        it.relay.wait_for_event("held")
        letter = invoice(
            SENDER,
            ["later@example.net"],
            number=7,
            html="<h1>Factuur 7</h1><p>Geachte heer, hierbij uw factuur.</p>",
            attached=pdf(4_000),
        )
        it.relay.send(SENDER, ["later@example.net"], letter)
        it.relay.wait_for_event("deferred")
        it.is_refused()
        yield it


def last_waiting(it: Office) -> str:
    queue = it.relay.queue()
    found: str = next(one["id"] for one in queue if one["recipients"][0]["address"][:5] == "later")
    return found


def show(reader: Reader, it: Office, page: str) -> None:
    reader.open(page.replace("ID", last_waiting(it)) if "ID" in page else page)
    if page == "inbox/ID":
        expect(reader.page.frame_locator("iframe").get_by_text("Factuur 7")).to_be_visible()
    if page == "today":
        expect(reader.main.locator("canvas")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barriers_and_a_picture_of_each_page(
    busy: Office, reader_of: ReaderOf, artefacts: Path, scheme: str
) -> None:
    reader = reader_of(busy.relay, color_scheme=scheme)
    for page in PAGES:
        show(reader, busy, page)
        reader.shot(artefacts / f"{page.replace('/', '-')}-{scheme}.png")
        reader.has_no_barriers()


@pytest.mark.parametrize("language", ["en", "nl"])
def test_nothing_sticks_out_at_360_pixels(
    busy: Office, reader_of: ReaderOf, artefacts: Path, language: str
) -> None:
    reader = reader_of(busy.relay, viewport={"width": 360, "height": 740})
    reader.open("today")
    reader.page.evaluate("(name) => localStorage.setItem('language', name)", language)
    reader.page.reload()
    for page in PAGES:
        show(reader, busy, page)
        reader.shot(artefacts / f"{page.replace('/', '-')}-small-{language}.png")
        assert reader.width_too_much() <= 0, page


def test_open_dialogs_menus_and_empty_pages_have_no_barriers(
    busy: Office, reader_of: ReaderOf, artefacts: Path
) -> None:
    reader = reader_of(busy.relay).open("devices")
    reader.press(f"Allow {STRANGER}")
    reader.shot(artefacts / "dialog.png")
    reader.has_no_barriers()
    reader.press("Go back", reader.dialog)
    reader.open("messages?q=zoietsisernooit")
    expect(reader.main.get_by_text("No message fits this search")).to_be_visible()
    reader.shot(artefacts / "nothing-found.png")
    reader.has_no_barriers()
    reader.open("nergens")
    reader.shot(artefacts / "missing.png")
    reader.has_no_barriers()
    small = reader_of(busy.relay, viewport={"width": 360, "height": 740}).open("today")
    small.press("Menu")
    small.shot(artefacts / "menu-small.png")
    small.has_no_barriers()
