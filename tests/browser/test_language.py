"""Dutch and English: words, numbers and dates; and catalogues that say the same."""

import json
import re
from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import Office
from playwright.sync_api import expect

STATIC = Path(__file__).resolve().parents[2] / "relay" / "web" / "static"
PLACEHOLDER = re.compile(r"\{\w+\}")


def catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / f"texts.{language}.json").read_text())
    return found


def test_both_catalogues_have_the_same_keys_and_blanks() -> None:
    dutch, english = catalogue("nl"), catalogue("en")
    assert list(dutch) == list(english)
    for key, text in dutch.items():
        assert text.strip(), key
        assert english[key].strip(), key
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(english[key])), key


def test_every_text_that_the_code_names_is_in_the_catalogue() -> None:
    texts = catalogue("en")
    code = [path.read_text() for path in STATIC.rglob("*.js") if "vendor" not in path.parts]
    named = {key for text in code for key in re.findall(r'\bt\("([^"]+)"', text)}
    assert len(named) > 100
    assert [key for key in sorted(named) if key not in texts and f"{key}.other" not in texts] == []


def test_the_reader_chooses_a_language_and_it_is_remembered(
    quiet_office: Office, reader_of: ReaderOf
) -> None:
    it = quiet_office
    it.send("klant@example.net")
    it.smarthost.wait_for(1)
    reader = reader_of(it.relay).open("messages")
    expect(reader.page.locator("html")).to_have_attribute("lang", "en")
    expect(reader.main.get_by_role("heading", level=1)).to_have_text("Messages")
    expect(reader.row("klant@")).to_contain_text("Sent")
    reader.press("Nederlands")
    expect(reader.page.locator("html")).to_have_attribute("lang", "nl")
    expect(reader.main.get_by_role("heading", level=1)).to_have_text("Berichten")
    expect(reader.row("klant@")).to_contain_text("Verzonden")
    expect(reader.page).to_have_title(re.compile("Berichten"))
    reader.open("messages")
    expect(reader.main.get_by_role("heading", level=1)).to_have_text("Berichten")
    moment = reader.row("klant@").locator("time").get_attribute("title")
    assert moment is not None
    days = "maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag"
    assert re.match(days, moment), moment
