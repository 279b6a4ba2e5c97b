"""The texts about domains, DMARC, DKIM, senders and presets: the same in Dutch and in English."""

import string
from typing import Any

import pytest

from diagnose.wording import texts

TOPICS = ("domain", "dmarc", "dkim", "sender", "preset-check", "discover", "fleet")


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def joined(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(value)


@pytest.mark.parametrize("topic", TOPICS)
def test_both_languages_say_the_same(topic: str) -> None:
    for id_, entry in texts(topic).items():
        fields = [entry] if "nl" in entry else [entry[key] for key in entry if key != "reference"]
        for field in fields:
            assert set(field) == {"nl", "en"}, id_
            assert placeholders(joined(field["nl"])) == placeholders(joined(field["en"])), id_
            if isinstance(field["nl"], list):
                assert len(field["nl"]) == len(field["en"]), id_
