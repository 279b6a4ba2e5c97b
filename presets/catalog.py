"""All presets, by id, by any of their names, and by mail domain.

A file is read when its preset is asked for: `catalog().get("ziggo")` reads two files, and only a
name that is no id needs all of them.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from presets import export
from presets.facts import Fact, Sourced, Text
from presets.model import Preset
from presets.names import Match, NameIndex, UnknownPreset, plain
from presets.read import read_preset, read_sources
from presets.sections import Sources
from presets.successor import successor, warning
from presets.table import PresetError
from presets.topics import OldHosts, Topics, read_topics

__all__ = ["Catalog", "PresetError", "Resolution", "UnknownPreset", "catalog"]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name stands for.

    `requested` is the preset that carries the name, `preset` the one to use: another where the
    first was merged. `warning` says so, by language, or is None for a name of today.
    """

    name: str
    requested: Preset
    preset: Preset
    warning: Mapping[str, str] | None


class Catalog:
    """The presets below a folder with `sources.toml`, `topics.toml` and `providers/*.toml`.

    Every method that reads raises PresetError where a file is wrong.
    """

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder
        self._files: dict[str, Preset] = {}  # as written
        self._presets: dict[str, Preset] = {}  # with `see` followed

    def __iter__(self) -> Iterator[Preset]:
        return map(self.get, self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids in alphabetical order; no preset is read for it."""
        names = (file.name for file in self._folder.joinpath("providers").iterdir())
        return tuple(sorted(name[:-5] for name in names if name.endswith(".toml")))

    @cached_property
    def sources(self) -> Sources:
        """Every source by its key."""
        return read_sources(self._load("sources.toml"), "sources.toml")

    @cached_property
    def _all_topics(self) -> Topics:
        topics = read_topics(self._load("topics.toml"), "topics.toml", self.sources)
        for host, id_ in topics.old_hosts.presets.items():
            if id_ not in self.ids:
                raise PresetError("topics.toml", f"old_hosts.names.{host}", f"{id_!r} is no preset")
        return topics

    @property
    def topics(self) -> Mapping[str, tuple[Fact, ...]]:
        """Facts that belong to no single provider, by topic."""
        return self._all_topics.facts

    @property
    def old_hosts(self) -> OldHosts:
        """Server names of the past."""
        return self._all_topics.old_hosts

    @property
    def suggested_relay_defaults(self) -> Mapping[str, int | str]:
        """Careful values for a server of which nothing is known: a proposal, not a fact."""
        return self._all_topics.suggested_relay_defaults

    def get(self, id_: str) -> Preset:
        """The preset with this id, ended or not. Raises UnknownPreset."""
        if id_ not in self._presets:
            self._presets[id_] = self._with_see_followed(self._file(id_))
        return self._presets[id_]

    def resolve(self, name: str) -> Resolution:
        """The preset that an id, a provider's name or a server name means today.

        Upper and lower case are the same. Raises UnknownPreset with the nearest ids.
        """
        match = self._match(plain(name))
        if match is None:
            raise UnknownPreset(name, self._index.nearest(name))
        preset = successor(match.preset, self.get)
        text = warning(match, preset)
        return Resolution(name, match.preset, preset, _by_language(text) if text else None)

    def by_domain(self, mail_domain: str) -> Preset | None:
        """The preset that serves a mail domain such as `ziggo.nl`, or None.

        It may be an ended one where no other serves the domain: `resolve` its id.
        """
        return self._index.by_domain(mail_domain)

    def as_json(self, preset: Preset) -> dict[str, Any]:
        """All of a preset, ready for JSON, the sources it names included."""
        return export.preset_document(preset)

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(self, self.old_hosts)

    def _match(self, name: str) -> Match | None:
        # An id is by far the most common and needs one file instead of all.
        return Match(self.get(name)) if name in self.ids else self._index.find(name)

    def _load(self, path: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self._folder.joinpath(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PresetError(path, "", str(error)) from error

    def _file(self, id_: str) -> Preset:
        if id_ not in self._files:
            self._files[id_] = self._read(id_)
        return self._files[id_]

    def _read(self, id_: str) -> Preset:
        if id_ not in self.ids:
            raise UnknownPreset(id_, self._index.nearest(id_))
        path = f"providers/{id_}.toml"
        preset = read_preset(id_, self._load(path), path, self.sources)
        into = preset.status.merged_into
        if into is not None and (into not in self.ids or into == id_):
            raise PresetError(path, "status.merged_into", f"{into!r} is no other preset")
        return preset

    def _with_see_followed(self, preset: Preset) -> Preset:
        """The preset with the values that `see` points at; sources and confidence stay its own."""
        rule = preset.sender_rule
        if rule.see is not None:
            seen = self._target(preset, "sender_rule", rule.see).sender_rule
            rule = replace(seen, see=rule.see, **_basis(rule))
        return replace(
            preset,
            sender_rule=rule,
            port25=self._fact_seen(preset, "port25"),
            dkim=self._fact_seen(preset, "dkim"),
            app_password=self._fact_seen(preset, "app_password"),
        )

    def _fact_seen(self, preset: Preset, key: str) -> Fact | None:
        fact: Fact | None = getattr(preset, key)
        if fact is None or fact.see is None:
            return fact
        target: Fact | None = getattr(self._target(preset, key, fact.see), key)
        if target is None:
            raise _bad_see(preset, key, fact.see)
        return replace(target, see=fact.see, **_basis(fact))

    def _target(self, preset: Preset, key: str, see: str) -> Preset:
        if see not in self.ids or see == preset.id:
            raise _bad_see(preset, key, see)
        target = self._file(see)
        seen = getattr(target, key)
        if seen is not None and seen.see is not None:
            raise _bad_see(preset, key, see)
        return target


def _basis(fact: Sourced) -> dict[str, Any]:
    return {"sources": fact.sources, "confidence": fact.confidence}


def _bad_see(preset: Preset, key: str, see: str) -> PresetError:
    fault = f"{see!r} is no other preset that says it itself"
    return PresetError(f"providers/{preset.id}.toml", f"{key}.see", fault)


def _by_language(text: Text) -> Mapping[str, str]:
    return {"en": text.en, "nl": text.get("nl")}


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The presets of this package."""
    return Catalog(files("presets"))
