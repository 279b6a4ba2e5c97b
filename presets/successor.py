"""The warning that a name belongs to the past, and the preset that took over."""

from collections.abc import Callable

from presets.facts import Text
from presets.model import Preset
from presets.names import Match

Get = Callable[[str], Preset]


def successor(preset: Preset, get: Get) -> Preset:
    """The preset that took over, through all mergers; `preset` itself where there was none."""
    while preset.status.merged_into is not None:
        preset = get(preset.status.merged_into)
    return preset


def warning(match: Match, today: Preset) -> Text | None:
    """What the user must know of a name of the past; None for a name of today."""
    preset = match.preset
    sentences = [
        sentence
        for sentence in (
            _old_host(match),
            _merger(preset, today) if preset is not today else _state(preset),
            _server(match, today),
        )
        if sentence is not None
    ]
    if not sentences:
        return None
    english = " ".join(sentence.en for sentence in sentences)
    return Text(english, " ".join(sentence.get("nl") for sentence in sentences))


def _first(preset: Preset) -> str:
    """The first of several names: Outlook.com of `Outlook.com / Hotmail / Live`."""
    return preset.short_name.split(" / ")[0]


def _doubt(confirmed: bool) -> Text:
    return Text("", "") if confirmed else Text(" (not confirmed)", " (niet bevestigd)")


def _old_host(match: Match) -> Text | None:
    if match.old_host is None:
        return None
    doubt, name = _doubt(match.confirmed), match.preset.short_name
    return Text(
        f"{match.old_host} is an old server name of {name}{doubt.en}.",
        f"{match.old_host} is een oude servernaam van {name}{doubt.get('nl')}.",
    )


def _merger(preset: Preset, today: Preset) -> Text:
    doubt, old, new = _doubt(preset.status.confirmed), preset.short_name, _first(today)
    return Text(
        f'{old} is now part of {new}{doubt.en}; use preset = "{today.id}".',
        f'{old} is opgegaan in {new}{doubt.get("nl")}; gebruik preset = "{today.id}".',
    )


def _server(match: Match, today: Preset) -> Text | None:
    """Where mail goes today, for a name that may not be used any more."""
    endpoint = today.endpoint()
    outdated = match.old_host is not None or match.preset is not today
    if not outdated or endpoint is None or endpoint.host == match.old_host:
        return None
    doubt = _doubt(endpoint.confirmed)
    where = f"{endpoint.host}:{endpoint.port}"
    return Text(
        f"Today's server is {where}{doubt.en}.",
        f"De server van nu is {where}{doubt.get('nl')}.",
    )


def _state(preset: Preset) -> Text | None:
    """A warning for what is neither active nor merged."""
    name, doubt = preset.short_name, _doubt(preset.status.confirmed)
    if preset.status.state == "discontinued":
        return Text(
            f"{name} no longer exists{doubt.en} and has no successor: choose the provider that "
            "holds the mailbox today.",
            f"{name} bestaat niet meer{doubt.get('nl')} en heeft geen opvolger: kies de provider "
            "waar het postvak nu staat.",
        )
    if preset.status.state == "unclear":
        return Text(
            f"Whether {name} still sends mail was not established: ask the provider for the "
            "server of today.",
            f"Of {name} nog mail verstuurt is niet vastgesteld: vraag de provider naar de server "
            "van nu.",
        )
    if preset.status.state == "legacy":
        return Text(
            f"{name} is known from an old document only: ask the supplier for today's values.",
            f"{name} is alleen bekend uit een oud document: vraag de leverancier naar de waarden "
            "van nu.",
        )
    return None
