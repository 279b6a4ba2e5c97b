"""Servers of the table of 2015 in a record of today."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.spf.coverage import ORDERNOW, term_of
from diagnose.spf.record import Record
from diagnose.spf.term import Kind, Mechanism
from presets.catalog import catalog
from presets.model import Preset


@dataclass(frozen=True, slots=True)
class OldTerm:
    """A term that names a submission server of `date`; `preset` is who took over from it."""

    text: str
    server: str
    date: str
    preset: Preset


def old_terms(record: Record) -> tuple[OldTerm, ...]:
    """The terms that name a server, or the address of one, of the presets' legacy values.

    Mail is handed in at those servers: it does not leave from them. OrderNow's address is
    another matter, it sends.
    """
    known = _known()
    found = []
    for term in record.mechanisms:
        if (preset := known.get(_named(term))) is not None and preset.legacy is not None:
            today = catalog().resolve(preset.id).preset
            found.append(OldTerm(term.text, preset.legacy.server, preset.legacy.date, today))
    return tuple(found)


def _named(term: Mechanism) -> str:
    """The one host or address that a term names; empty where it names another kind of thing."""
    if term.network is not None:
        single = term.network.num_addresses == 1
        return term_of(term.network).partition(":")[2] if single else ""
    if term.kind in (Kind.A, Kind.MX, Kind.INCLUDE):
        return term.argument.lower().removesuffix(".")
    return ""


def _known() -> dict[str, Preset]:
    """Hosts and addresses of the past. Presets that share a server have the same successor."""
    found: dict[str, Preset] = {}
    for preset in catalog():
        if preset.legacy is not None and preset.id != ORDERNOW:
            for name in filter(None, (preset.legacy.server.lower(), preset.legacy.ip)):
                found.setdefault(name, preset)
    return found
