"""The report for the help desk: made on the page, and kept as a file."""

import re
from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import ACCOUNT, office
from fakes.canary import Canary
from fakes.certificates import Authority
from playwright.sync_api import expect

SECRET = "CANARY-report-~?>&+/=%<é"
MADE_MS = 60_000


def test_the_report_is_made_and_kept_without_the_password(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf, artefacts: Path
) -> None:
    with office(tmp_path, authority, password=SECRET) as it:
        it.smarthost.behaviour.users = {ACCOUNT: SECRET}
        reader = reader_of(it.relay).open("diagnose")
        html, markdown = (
            reader.main.get_by_role("link", name=name)
            for name in ("As a web page (HTML)", "As text (Markdown)")
        )
        expect(html).to_have_count(0)
        reader.press("Make the report")
        expect(html).to_be_visible(timeout=MADE_MS)
        reader.shot(artefacts / "report-made.png")
        reader.has_no_barriers()
        logins = [login for session in it.smarthost.sessions for login in session.logins]
        assert [(each.password, each.accepted) for each in logins] == [(SECRET, True)]
        kept: list[Path] = []
        for link, begins in ((html, b"<!doctype html>"), (markdown, b"# ")):
            with reader.page.expect_download() as download:
                link.click()
            kept.append(artefacts / download.value.suggested_filename)
            download.value.save_as(kept[-1])
            content = kept[-1].read_bytes()
            assert content.lower().startswith(begins)
            assert f"127.0.0.1:{it.smarthost.port}".encode() in content
            assert Canary(SECRET).forms_in(content) == []
        names = [re.sub(r"\d{8}-\d{4}", "TIME", each.name) for each in kept]
        assert names == ["relay-report-TIME.html", "relay-report-TIME.md"]
        assert Canary(SECRET).forms_in(reader.page.content()) == []
        # The help desk opens it; it asks for nothing else.
        desk = reader.page.context.new_page()
        asked: list[str] = []
        desk.on("request", lambda request: asked.append(request.url))
        desk.goto(kept[0].as_uri())
        expect(desk.get_by_role("heading", level=1)).to_be_visible()
        assert asked == [kept[0].as_uri()]
