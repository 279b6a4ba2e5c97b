"""The sandbox's inbox: hostile mail is read without harm, and nothing is fetched for it."""

from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from browser import sandbox_serve
from browser.conftest import ReaderOf
from browser.office import SENDER, Office
from fakes.relay_process import RelayProcess
from playwright.sync_api import expect

EVIL = "https://evil.example"
HOSTILE = f"""<html><head><base href="{EVIL}/"><meta http-equiv="refresh" content="0;{EVIL}/r">
<link rel="stylesheet" href="{EVIL}/a.css"><style>body {{ background: url({EVIL}/b.png) }}</style>
</head><body onload="fetch('{EVIL}/o')"><p id="said">Uw factuur</p>
<img src="{EVIL}/pixel.png" srcset="{EVIL}/2x.png 2x" onerror="top.document.title='gekraakt'">
<script>parent.document.title = "gekraakt"; fetch("{EVIL}/s")</script>
<iframe src="{EVIL}/f"></iframe><object data="{EVIL}/x"></object>
<form action="{EVIL}/form"><input autofocus></form>
<a href="javascript:top.document.title='gekraakt'" target="_top">klik</a></body></html>"""


class Sandbox(RelayProcess):
    """A relay that was given no configuration."""

    def program(self, command: str) -> tuple[str, ...]:
        return str(sandbox_serve.__file__), str(self.port), str(self.web_port)


def hostile_mail() -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = f"<b>Bakker</b> <{SENDER}>"
    message["To"] = "klant@example.net"
    message["Subject"] = "<img src=x onerror=alert(1)> \u202egpj.exe"
    message.set_content("<script>alert(1)</script> platte tekst")
    message.add_alternative(HOSTILE, subtype="html")
    message.add_attachment(
        b"<script>alert(1)</script>", maintype="text", subtype="html", filename="factuur.html"
    )
    return message.as_bytes()


@pytest.mark.skipif(Path("/etc/relay").exists(), reason="a configured machine has no sandbox")
def test_hostile_html_in_the_sandbox_harms_nobody(
    tmp_path: Path, reader_of: ReaderOf, artefacts: Path
) -> None:
    with Sandbox(tmp_path) as relay:
        relay.send(SENDER, ["klant@example.net"], hostile_mail())
        reader = reader_of(relay).open("today")
        # What the frame's own policy stops, the browser tells.
        reader.expected = ["Content Security Policy", "sandboxed"]
        title = reader.page.title()
        reader.page.get_by_role("link", name="See what came in").click()
        reader.main.get_by_role("link", name="onerror").click()
        frame = reader.page.frame_locator("iframe")
        expect(frame.get_by_text("Uw factuur")).to_be_visible()
        expect(reader.main.get_by_text("<script>alert(1)</script> platte tekst")).to_be_visible()
        reader.shot(artefacts / "sandbox-hostile.png")
        with reader.page.expect_download() as kept:
            reader.main.get_by_role("link", name="factuur.html").click()
        assert Path(kept.value.path()).read_bytes() == b"<script>alert(1)</script>"
        reader.page.wait_for_load_state("networkidle")
        assert reader.page.title() != title
        assert "gekraakt" not in reader.page.title()
        assert reader.foreign() == []  # a blocked request would have been told as one, too
        sandboxed = reader.page.locator("iframe").get_attribute("sandbox")
        assert sandboxed == ""


def test_without_permission_there_is_no_inbox(quiet_office: Office, reader_of: ReaderOf) -> None:
    it = quiet_office
    reader = reader_of(it.relay).open("today")
    expect(reader.page.get_by_role("link", name="Inbox")).to_have_count(0)
    reader.expected = ["403"]
    reader.open("inbox")
    expect(reader.main.get_by_role("alert")).to_contain_text("show_bodies")
