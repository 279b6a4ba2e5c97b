"""Examinations as text for people, in Dutch and in English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from diagnose.finding import Document, Examination, Finding
from presets.facts import Sourced
from presets.model import Limit, Preset
from presets.reply import sanitise

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "bug": (
        "dit is een fout in diagnose zelf; meld hem met deze regel: {error}",
        "this is a bug in diagnose; report it with this line: {error}",
    ),
    "explain.empty": (
        "er is geen tekst om uit te leggen; geef het antwoord van de server, of - en het antwoord op stdin",
        "there is no text to explain; give the server's reply, or - and the reply on stdin",
    ),
    "explain.only-code": (
        "deze tekst is niet bekend; dit is alleen wat de code in het algemeen betekent",
        "this wording is not known; this is only what the code means in general",
    ),
    "explain.labels": (
        "oorzaak|gaat over|opnieuw|provider",
        "cause|is about|retry|provider",
    ),
    "list.headers": ("id|naam|land|toestand|server", "id|name|country|state|server"),
    "list.total": ("{count} presets", "{count} presets"),
    "not-confirmed": ("(niet bevestigd)", "(not confirmed)"),
    "show.labels": (
        "naam|toestand|server|afzender|limiet|SPF|oude server|advies|bron",
        "name|state|server|sender|limit|SPF|old server|advice|source",
    ),
    "show.unknown-spf": (
        "niet bekend welke adressen verzenden",
        "not known which addresses send",
    ),
    "show.unknown-limit": ("geen getal bekend", "no number known"),
}


def text(key: str, language: str, /, **values: object) -> str:
    """The text of `key` in `language`, English for anything but `nl`."""
    nl, en = TEXTS[key]
    return (nl if language == "nl" else en).format(**values)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain table that pastes well into a ticket."""
    from tabulate import tabulate

    cells = [["" if value is None else sanitise(str(value)) for value in row] for row in rows]
    return str(tabulate(cells, headers=list(headers), tablefmt="simple", disable_numparse=True))


_MARKS = {"ok": "ok", "info": "--", "warning": "!", "unknown": "?", "error": "!!"}
_ORDER = ("ok", "info", "warning", "unknown", "error")


def examination_lines(found: Examination, language: str) -> Iterator[str]:
    """Lines, tables, then the findings, the worst last, where the eye is."""
    yield from found.lines
    for each in found.tables:
        if each.title:
            yield sanitise(each.title)
        yield table(each.headings, each.rows)
        yield ""
    for finding in sorted(found.findings, key=lambda each: _ORDER.index(each.severity.value)):
        yield from finding_lines(finding)


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding with its detail and its numbered remedy."""
    yield f"{_MARKS[finding.severity.value]:<2} {sanitise(finding.title)}"
    if finding.detail:
        yield f"   {sanitise(finding.detail)}"
    for number, step in enumerate(finding.remedy, 1):
        yield f"   {number}. {sanitise(step)}"


def explanation_lines(found: Document, language: str) -> Iterator[str]:
    """What a reply is about; its meaning and the steps stand in the finding."""
    names = text("explain.labels", language).split("|")
    width = max(map(len, names)) + 1
    for name, key in zip(names, ("cause", "scope", "retry", "provider"), strict=True):
        if found[key]:
            yield f"{name + ':':<{width}} {found[key]}"


def preset_lines(preset: Preset, language: str) -> Iterator[str]:
    """The facts of a preset that a user fills in or must know, each with its sources."""
    rows = _preset_rows(preset, language)
    width = max(len(name) for name, _ in rows) + 1
    for name, value in rows:
        yield f"{name + ':':<{width}} {value}"


def _preset_rows(preset: Preset, language: str) -> list[tuple[str, str]]:
    labels = text("show.labels", language).split("|")
    name, state, server, sender, limit, spf, old, advice, source = labels
    doubt = text("not-confirmed", language)

    def fact(value: str, basis: Sourced) -> str:
        return value if basis.confirmed else f"{value} {doubt}"

    rows = [
        (name, f"{preset.name} ({preset.id}, {preset.country})"),
        (state, fact(preset.status.text.get(language), preset.status)),
    ]
    for end in preset.endpoints:
        where = f"{end.host}:{end.port} {end.tls} {'/'.join(end.auth)}, {end.username}"
        rows.append((server, fact(where, end)))
    if preset.sender_rule.send_as is not None:
        rows.append((sender, fact(preset.sender_rule.send_as.get(language), preset.sender_rule)))
    for each in preset.limits.values():
        rows.append((limit, fact(_limit(each, language), each)))
    if preset.spf is not None:
        terms = " ".join((*preset.spf.includes, *preset.spf.networks))
        if terms:
            rows.append((spf, fact(terms, preset.spf)))
        elif preset.spf.needed is not False:
            rows.append((spf, text("show.unknown-spf", language)))
    if preset.legacy is not None:
        found = f"{preset.legacy.server} {preset.legacy.ip or ''} ({preset.legacy.date})"
        rows.append((old, found))
    rows.append((advice, preset.advice(language)))
    sources = {each.key: each for basis in _bases(preset) for each in basis.sources}
    rows += [(source, f"{each.title} {each.address} ({each.date})") for each in sources.values()]
    return [(label, sanitise(value, 2000)) for label, value in rows if value.strip()]


def _limit(limit: Limit, language: str) -> str:
    numbers = {limit.name: limit.value, **limit.also}
    known = ", ".join(f"{name} {value}" for name, value in numbers.items() if value is not None)
    note = f": {limit.note}" if limit.note else ""
    return (known or f"{limit.name} {text('show.unknown-limit', language)}") + note


def _bases(preset: Preset) -> Iterator[Sourced]:
    """The facts that the text shows."""
    yield preset.status
    yield from preset.endpoints
    yield preset.sender_rule
    yield from preset.limits.values()
    if preset.spf is not None:
        yield preset.spf
