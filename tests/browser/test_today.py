"""The first page: an invoice run watched while it leaves."""

import re
import threading
from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import office
from browser.reader import Reader
from fakes.certificates import Authority
from fakes.script import Action
from playwright.sync_api import Locator, expect

RUN = 12


def tile(reader: Reader, name: str) -> Locator:
    return reader.main.locator(f"[data-key={name}] .figure")


def test_an_invoice_run_is_watched_while_it_leaves(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    gate = threading.Event()
    with office(tmp_path, authority, script={"MAIL": Action(wait_for=gate)}) as it:
        reader = reader_of(it.relay).open("today")
        expect(reader.main.locator(".health")).to_have_class(re.compile("good"))
        expect(tile(reader, "waiting")).to_have_text("0")
        for number in range(RUN):
            it.send(f"klant{number}@example.net", number)
        # Nobody touches the page from here on.
        expect(tile(reader, "accepted")).to_have_text(str(RUN))
        expect(tile(reader, "waiting")).to_have_text(str(RUN))
        gate.set()
        expect(tile(reader, "delivered")).to_have_text(str(RUN))
        expect(tile(reader, "waiting")).to_have_text("0")
        assert len(it.smarthost.wait_for(RUN)) == RUN
        drawing = reader.main.get_by_role("img", name="Last 24 hours")
        expect(drawing).to_have_accessible_name(f"Last 24 hours. {RUN} sent, 0 failed")
        expect(drawing.locator("canvas")).to_be_visible()


def test_a_page_that_lost_its_relay_says_so_and_comes_back(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    with office(tmp_path, authority) as it:
        reader = reader_of(it.relay).open("today")
        reader.expected = ["401"]
        live = reader.page.locator("#live")
        expect(live).to_have_text("Updated live")
        it.relay.kill9()
        expect(live).to_have_text(re.compile("No connection"))
        reader.page.get_by_role("link", name="Devices").click()
        expect(reader.main.get_by_role("alert")).to_contain_text("The relay does not answer.")
        reader.page.get_by_role("link", name="Today").click()
        it.relay.start()
        expect(live).to_have_text("Updated live")
        reader.open("today")
        it.send("klant@example.net")
        expect(tile(reader, "accepted")).to_have_text("1")
