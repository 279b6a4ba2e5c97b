"""A fact with its sources and confidence: what every part of a preset is made of."""

from dataclasses import dataclass
from typing import Literal

Confidence = Literal["high", "medium", "low"]
Language = Literal["nl", "en"]

CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")
_OPENABLE = ("https://", "http://", "github:")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read.

    `date` is written as the source has it: a day, a year, "undated", or None.
    """

    key: str
    address: str
    date: str | None
    title: str
    kind: str

    @property
    def openable(self) -> bool:
        """Whether somebody else can open it and look.

        A page, a repository file and the owner's seed documents can be opened; a memory, mail
        headers of somebody else and code without an address cannot.
        """
        return self.kind == "seed" or self.address.startswith(_OPENABLE)


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for the user: English, and Dutch where it was translated."""

    en: str
    nl: str | None = None

    def get(self, language: str) -> str:
        """The sentence in `language`, in English where there is no other."""
        return self.nl if language == "nl" and self.nl is not None else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """What a fact rests on."""

    sources: tuple[Source, ...]
    confidence: Confidence

    @property
    def confirmed(self) -> bool:
        """False shows as "not confirmed": low confidence, or no source that can be opened."""
        return self.confidence != "low" and any(source.openable for source in self.sources)

    @property
    def source_keys(self) -> tuple[str, ...]:
        return tuple(source.key for source in self.sources)

    @property
    def source_dates(self) -> tuple[str | None, ...]:
        """The date of each source, in the order of `sources`."""
        return tuple(source.date for source in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Sourced):
    """One statement.

    `value` is what a program uses, or a sentence where no program uses it; None where the
    source names none. `note` is then the source's own words. `see` names the preset that the
    value was taken from.
    """

    value: str | None
    note: str | None = None
    see: str | None = None
