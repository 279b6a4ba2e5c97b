"""The table of replies: one form, two languages, and nothing in it that nobody says."""

import re
import string
from pathlib import Path

import pytest

import relay.intake
from relay.intake.path import RefusalSlug
from relay.intake.replies import REPLIES, Language, reply

WITHOUT_ENHANCED_CODE = {"greeting", "greeting-sandbox", "go-ahead"}
DETAILS = {
    "hostname": "relay.mijnbakkerij.nl",
    "address": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "limit": 52_428_800,
    "hops": 51,
    "id": "38FZJG6DN2VR6",
    "detail": "X" * 40,
    "reference": "0123abcd",
    "host": "smtp-auth.provider-with-a-long-name.example.net",
    "words": "X" * 150,
    "addresses": "X" * 110,
    "meaning": "X" * 250,
}


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("slug", REPLIES)
def test_each_reply_is_one_line_of_ascii_with_its_codes(slug: str, language: Language) -> None:
    line = reply(slug, language, **DETAILS).decode("ascii")
    assert line.endswith("\r\n")
    assert len(line) <= 512  # RFC 5321 section 4.5.3.1.5
    text = line.removesuffix("\r\n")
    assert text.isprintable()
    assert "?" not in text, "a letter outside ASCII"
    enhanced = re.match(r"([245])\d\d \1\.\d\.\d{1,2} [^ ]", text)
    assert bool(enhanced) == (slug not in WITHOUT_ENHANCED_CODE)


@pytest.mark.parametrize("slug", REPLIES)
def test_both_languages_tell_the_same_details(slug: str) -> None:
    wording = REPLIES[slug]
    dutch, english = (
        {name for _, name, _, _ in string.Formatter().parse(text) if name}
        for text in (wording.nl, wording.en)
    )
    assert dutch == english <= DETAILS.keys()


def test_every_reply_is_said_somewhere() -> None:
    directory = Path(relay.intake.__file__).parent
    others = [path for path in directory.glob("*.py") if path.name != "replies.py"]
    code = "".join(path.read_text(encoding="utf-8") for path in others)
    assert [slug for slug in REPLIES if f'"{slug}"' not in code] == []


def test_every_refusal_of_an_address_has_its_reply() -> None:
    assert {slug.value for slug in RefusalSlug} <= REPLIES.keys()
