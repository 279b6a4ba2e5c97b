"""Which preset a name means: an id, a provider's name, or a server of today or of the past."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from presets.facts import Text
from presets.model import Endpoint, Preset
from presets.reply import sanitise
from presets.topics import OldHosts

_BLANK = re.compile(r"<[^<>]+>")


class UnknownPreset(LookupError):
    """No preset has this name. `nearest` holds the ids that come closest, best first."""

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        self.name = name
        self.nearest = nearest
        meant = ", ".join(nearest)
        shown = sanitise(name, 80)
        en = f'"{shown}" is no known preset. '
        nl = f'"{shown}" is geen bekende preset. '
        if nearest:
            en += f"Nearest: {meant}. "
            nl += f"Lijkt op: {meant}. "
        self.text = Text(
            f"{en}All presets: diagnose presets list.",
            f"{nl}Alle presets: diagnose presets list.",
        )
        super().__init__(self.text.en)


@dataclass(frozen=True, slots=True)
class Match:
    """A preset found by name. `old_host` is set where the name is a server of the past."""

    preset: Preset
    old_host: str | None = None
    confirmed: bool = True


class NameIndex:
    """All names of all presets. Made once, since it needs every preset."""

    def __init__(self, presets: Iterable[Preset], old_hosts: OldHosts) -> None:
        # Providers of today come first where several have the same server or domain.
        self._presets = sorted(presets, key=_rank)
        self._old_hosts = old_hosts
        self._by_id = {preset.id: preset for preset in self._presets}
        self._ended_first = sorted(self._presets, key=lambda it: not it.status.ended)

    def find(self, name: str) -> Match | None:
        """The preset that `name`, which is no id, means, without following a merger."""
        wanted = plain(name)
        found = self._by_host(wanted)
        if found is not None:
            return found
        # "Chello" is an alias of Ziggo and of UPC: the ended one, since it carries the warning.
        for preset in self._ended_first:
            if wanted in _titles(preset):
                return Match(preset)
        return self._by_pattern(wanted)

    def by_domain(self, domain: str) -> Preset | None:
        """The preset that serves a mail domain, one of today before an ended one."""
        wanted = plain(domain)
        return next((it for it in self._presets if wanted in it.mail_domains), None)

    def nearest(self, name: str, most: int = 5) -> tuple[str, ...]:
        """The ids whose names, servers or mail domains resemble `name`, best first."""
        from difflib import get_close_matches  # 4 ms that only a misspelling needs

        ids: dict[str, list[str]] = {}
        for preset in self._presets:
            for known in (preset.id, *_titles(preset), *_hosts(preset), *preset.mail_domains):
                ids.setdefault(known, []).append(preset.id)
        close = get_close_matches(plain(name), ids, n=3 * most, cutoff=0.6)
        return tuple(dict.fromkeys(id_ for known in close for id_ in ids[known]))[:most]

    def _by_host(self, host: str) -> Match | None:
        old = self._old_hosts.presets.get(host)
        if old is not None:
            preset = self._by_id[old]
            return Match(preset, old_host=host, confirmed=_seen(preset, host))
        for preset in self._presets:
            if any(endpoint.host == host for endpoint in preset.endpoints):
                # The 2015 name of an ended provider may stand among its endpoints too.
                return Match(preset, old_host=host if preset.status.ended else None)
        for preset in self._presets:
            if preset.legacy is not None and plain(preset.legacy.server) == host:
                return Match(preset, old_host=preset.legacy.server)
        return None

    def _by_pattern(self, host: str) -> Match | None:
        for preset in self._presets:
            if any(fits(endpoint, host) for endpoint in preset.endpoints):
                return Match(preset)
        return None


def plain(name: str) -> str:
    """A name as it is compared: without case, outer or double blanks and a final dot."""
    return " ".join(name.casefold().split()).removesuffix(".")


def _rank(preset: Preset) -> tuple[bool, bool, str]:
    return preset.status.ended, not preset.offer_as_preset, preset.id


def _titles(preset: Preset) -> Iterator[str]:
    """Name and aliases, and the parts of a name such as `Microsoft 365 / Exchange Online`."""
    for name in (preset.name, preset.short_name, *preset.short_name.split(" / ")):
        yield plain(name)
    yield from map(plain, preset.aliases)


def _hosts(preset: Preset) -> Iterator[str]:
    yield from (endpoint.host for endpoint in preset.endpoints)
    if preset.legacy is not None:
        yield plain(preset.legacy.server)


def _seen(preset: Preset, host: str) -> bool:
    """Whether a source that can be opened names the host as a server of the preset."""
    legacy = preset.legacy
    if legacy is not None and legacy.confirmed and plain(legacy.server) == host:
        return True
    return any(endpoint.host == host and endpoint.confirmed for endpoint in preset.endpoints)


def fits(endpoint: Endpoint, host: str) -> bool:
    """Whether `web1234.zxcs.nl` fills the blank of `web<NNNN>.zxcs.nl`.

    A blank for a whole domain would fit every host that begins with mail, so it fits none.
    """
    if not endpoint.blanks or "own domain" in endpoint.blanks:
        return False
    fixed = (re.escape(part) for part in _BLANK.split(endpoint.host))
    return re.fullmatch("[a-z0-9.-]+".join(fixed), host) is not None
