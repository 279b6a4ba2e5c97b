"""What the options of `relay setup` say, as its parts read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options. `given` holds answers by the names of their questions, `secrets` files."""

    given: Mapping[str, str]
    secrets: Mapping[str, Path]
    unattended: bool = False
    restart: bool = False
    replace: bool = False
    untested: bool = False
    nameserver: str | None = None
    learn_minutes: int = 30
    expect: int | None = None
    allow_found: bool = False
    as_json: bool = False
    extras: Mapping[str, str | None] = field(default_factory=dict)
    """hostname, spool_url, web, ca_file, authority, issuer_ca_file."""

    @property
    def names(self) -> frozenset[str]:
        """The questions that an option answers."""
        return frozenset(self.given) | frozenset(self.secrets)
