"""A configuration that somebody pasted: checked as a file is, but nothing new that it names is opened.

Whoever may paste a text may not by that learn which files and variables there are, nor keep a
reader waiting on a pipe. What the configuration in force uses already is tried as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.config import locate
from relay.config.builder import Builder
from relay.config.load import read_config
from relay.config.model import Config
from relay.config.problems import Problems
from relay.config.references import references
from relay.config.secret import SecretError, SecretRef


def check_pasted(text: str, path: Path, in_force: Config, environ: Mapping[str, str]) -> Config:
    """The configuration in `text`, were it in `path`. Raises ConfigError with every fault."""
    known = frozenset(references(in_force))
    build = _PastedBuilder(path.absolute().parent, environ, Problems(secrets=False), known)
    return read_config(text.replace("\r\n", "\n").removeprefix("\ufeff"), path, build)


@dataclass(frozen=True, slots=True)
class _Untried(SecretRef):
    """A secret that nobody may open here, to see what is inside it neither."""

    def read(self, environ: Mapping[str, str] | None = None) -> str:
        raise SecretError("is niet geprobeerd", "was not tried")


@dataclass(frozen=True, slots=True)
class _PastedBuilder(Builder):
    """Reads the files and secrets in `known`; of others it says that they were not tried."""

    known: frozenset[object]

    def secret(self, reference: SecretRef | None, where: locate.Path) -> SecretRef | None:
        if reference is None:
            return None
        if reference.kind == "file":
            reference = SecretRef("file", str(self.base / reference.name))
        if reference in self.known:
            return Builder.secret(self, reference, where)
        self._not_tried(where)
        return _Untried(reference.kind, reference.name)

    def authority(self, ca_file: Path | None, where: locate.Path) -> Path | None:
        path = self.path(ca_file)
        if path is None or path in self.known:
            return Builder.authority(self, ca_file, where)
        self._not_tried(where)
        return path

    def pair(
        self, certificate: Path | None, key: Path | None, where: tuple[locate.Path, str, str]
    ) -> tuple[Path | None, Path | None]:
        paths = self.path(certificate), self.path(key)
        if certificate is None or all(path is None or path in self.known for path in paths):
            return Builder.pair(self, certificate, key, where)
        self._not_tried((*where[0], where[1]))
        return paths

    def _not_tried(self, where: locate.Path) -> None:
        self.problems.warning(
            where,
            "is nieuw en werd hier niet geprobeerd; relay check leest het wel",
            "is new and was not tried here; relay check reads it",
        )
