"""The texts of findings, in Dutch and English, from `texts/*.toml`.

A finding is a table named by its id: `title.nl`, `title.en`, and where it has them `detail.nl`,
`detail.en`, lists `remedy.nl`, `remedy.en`, and `reference`. Placeholders are filled in from the
evidence, so that what a person reads and what a program reads cannot differ.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from diagnose.finding import Finding, Severity
from presets.reply import sanitise

Language = Literal["nl", "en"]

_LONGEST_VALUE = 500


@cache
def texts(topic: str) -> dict[str, dict[str, Any]]:
    """The texts of `texts/<topic>.toml`, by the id of the finding."""
    return tomllib.loads((files(__package__) / "texts" / f"{topic}.toml").read_text("utf-8"))


def finding(place: str, severity: Severity, language: Language, /, **evidence: Any) -> Finding:
    """The finding `topic/id` in `language`; `evidence` fills its placeholders and is kept.

    Values come from servers and DNS: control characters are taken out of what is shown.
    """
    topic, _, id_ = place.partition("/")
    entry = texts(topic)[id_]
    shown = {key: sanitise(str(value), _LONGEST_VALUE) for key, value in evidence.items()}
    return Finding(
        id=id_,
        severity=severity,
        title=entry["title"][language].format(**shown),
        detail=entry.get("detail", {}).get(language, "").format(**shown),
        remedy=tuple(step.format(**shown) for step in entry.get("remedy", {}).get(language, ())),
        evidence=evidence,
        reference=entry.get("reference"),
    )


def say(place: str, language: Language, /, **values: Any) -> str:
    """A short text `topic/key` (`nl` and `en` directly in its table), for tables and headings."""
    topic, _, key = place.partition("/")
    shown = {key: sanitise(str(value), _LONGEST_VALUE) for key, value in values.items()}
    return str(texts(topic)[key][language]).format(**shown)
