"""Somebody who looks at a relay's page in Chromium: what they see, and what their browser asked."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

PATIENCE_MS = 10_000

_LINE_CUT = ("net::ERR_",)
"""What the browser says where a test's relay ends before its reader."""

expect.set_options(timeout=PATIENCE_MS)


class Reader:
    """One tab at `base`. Every request that it makes is remembered, and every complaint."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.expected: list[str] = []
        """Parts of complaints that the test provokes."""
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", self._asked)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, route: str = "today") -> "Reader":
        """Goes to a page of the relay, by its part behind the #, and waits until it shows."""
        address = f"{self.base}/#/{route}"
        if self.page.url == address:
            self.page.reload()
        else:
            self.page.goto(address)
        self.settled()
        return self

    def settled(self) -> None:
        """Waits until the page that is open shows what it is about."""
        expect(self.page.locator("main h1")).to_be_visible()
        expect(self.page.locator("main .page")).not_to_be_empty()
        expect(self.page.locator("main .page > .waiting")).to_have_count(0)

    @property
    def main(self) -> Locator:
        return self.page.locator("main")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def press(self, name: str | re.Pattern[str], within: Locator | None = None) -> None:
        """Presses a button by its whole name."""
        place = self.page if within is None else within
        place.get_by_role("button", name=name, exact=isinstance(name, str)).click()

    def agree(self, name: str) -> None:
        """Presses a button of the dialog that has opened."""
        self.press(name, self.dialog)
        expect(self.dialog).to_have_count(0)

    def told(self, text: str | re.Pattern[str]) -> None:
        """Waits for a message in the corner."""
        expect(self.page.locator("#toasts").get_by_text(text)).to_be_visible()

    def undo(self) -> None:
        """Takes back what was done last."""
        self.page.locator("#toasts").get_by_role("button", name="Undo").last.click()
        self.told("Undone.")

    def row(self, text: str) -> Locator:
        """The row of a table that holds this text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def shot(self, path: Path) -> None:
        """The whole page as a picture."""
        self.page.screenshot(path=path, full_page=True)

    def has_no_barriers(self) -> None:
        """No barrier that axe-core knows of stands in what shows now."""
        found = Axe().run(self.page, options={"resultTypes": ["violations"]})
        assert found.response["passes"], "axe-core looked at nothing"
        assert found.violations_count == 0, f"{self.page.url}: {found.generate_report()}"

    def width_too_much(self) -> int:
        """How many pixels the page is wider than its window."""
        found = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert isinstance(found, int)
        return found

    def foreign(self) -> list[str]:
        """What was asked of any other host than the relay."""
        own = urlsplit(self.base).netloc
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != own
        ]

    def unexpected(self) -> list[str]:
        """Complaints of the browser and of the page's own code that nobody provoked."""
        expected = (*_LINE_CUT, *self.expected)
        return [each for each in self.complaints if not any(part in each for part in expected)]

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)
