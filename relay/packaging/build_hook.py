"""Puts the manual pages into a wheel while it is built; hatchling calls this."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# By name: the relay does not know the examiner, which knows it.
PROGRAMS = {"relay": "relay.cli.app", "diagnose": "diagnose.cli"}
INSTALLED_IN = "share/man/man1"


class ManualPages(BuildHookInterface[Any]):
    """Writes them into a directory that lasts as long as the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="manual-")
        sys.path.insert(0, self.root)
        try:
            for name, text in manual(os.environ).items():
                path = Path(self._scratch.name) / name
                path.write_text(text, encoding="ascii")
                build_data["shared_data"][str(path)] = f"{INSTALLED_IN}/{name}"
        finally:
            sys.path.remove(self.root)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._scratch.cleanup()


def manual(environ: Any) -> dict[str, str]:
    """Every page by its file name; $SOURCE_DATE_EPOCH gives the day, else it is today."""
    from typer.main import get_command

    import relay
    from relay.packaging.manual import Edition, pages

    epoch = environ.get("SOURCE_DATE_EPOCH")
    day = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    edition = Edition(relay.__version__, f"{day:%Y-%m-%d}")
    found: dict[str, str] = {}
    for program, module in PROGRAMS.items():
        found |= pages(get_command(import_module(module).app), program, edition)
    return found
