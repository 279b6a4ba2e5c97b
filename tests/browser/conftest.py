"""Chromium for the tests of the page, and what each of them must leave behind."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browser.office import Office, office
from browser.reader import Reader
from fakes import peers
from fakes.certificates import Authority
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from playwright.sync_api import Browser, BrowserContext, sync_playwright

ReaderOf = Callable[..., Reader]
ARTEFACTS = "BROWSER_ARTEFACTS"
"""The environment variable with the directory where the pictures stay."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(needs("chromium"))


# Its event loop stands in this thread, where tests of other modules run their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's browser, without a window; it resolves no name, so it reaches no other host."""
    rules = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    arguments = ["--no-sandbox", f"--host-resolver-rules={rules}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=peers.program("chromium"), args=arguments
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures of this run are kept."""
    named = os.environ.get(ARTEFACTS)
    directory = Path(named) if named else tmp_path_factory.mktemp("pictures")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def quiet_office(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Office]:
    """A running office for all tests that leave it as they found it."""
    with office(tmp_path_factory.mktemp("quiet"), authority) as it:
        yield it


@pytest.fixture
def reader_of(
    chromium: Browser, artefacts: Path, request: pytest.FixtureRequest
) -> Iterator[ReaderOf]:
    """Opens a tab for a relay: `reader_of(relay, viewport=...)`.

    At the end of each test: no request left for another host, and the browser had nothing to
    complain of. A picture of every tab of a test that failed is kept.
    """
    readers: list[Reader] = []
    with ExitStack() as stack:

        def open_(relay: RelayProcess, **options: Any) -> Reader:
            context: BrowserContext = chromium.new_context(
                **{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options}
            )
            stack.callback(context.close)
            reader = Reader(context.new_page(), f"http://{relay.host}:{relay.web_port}")
            readers.append(reader)
            return reader

        failures = request.session.testsfailed
        yield open_
        for number, reader in enumerate(readers):
            if request.session.testsfailed > failures or reader.unexpected():
                name = re.sub(r"\W+", "-", request.node.name)
                reader.shot(artefacts / f"failed-{name}-{number}.png")
    for reader in readers:
        assert reader.foreign() == []
        assert reader.unexpected() == []
