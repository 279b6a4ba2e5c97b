"""The relay's own configuration, where a diagnosis may take it in, and the finding that says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from diagnose.finding import Finding, Severity
from diagnose.options import Run, stop
from diagnose.wording import finding

if TYPE_CHECKING:
    from relay.config.model import Config


def joined_config(path: Path | None, run: Run) -> tuple[Config | None, tuple[Finding, ...]]:
    """The configuration of `--config`, or of the default file where it can be read, and a note.

    A named file with a fault ends the command with exit code 2; a default one that cannot be
    used only does not join.
    """
    from relay.config.fault import ConfigError
    from relay.config.load import load
    from relay.config.places import find

    found = find(path, os.environ)
    if found is None:
        return None, ()
    try:
        config = load(found, os.environ, secrets=False)
    except ConfigError as error:
        if path is not None:
            stop("\n".join(fault.text(run.language) for fault in error.faults))
        return None, ()
    note = finding("common/config-joined", Severity.INFO, run.language, file=str(found))
    return config, (note,)


def smarthost_presets(config: Config) -> dict[str, str]:
    """The smarthosts of a configuration: preset where one is named, else the host."""
    return {each.name: each.preset or each.host for each in config.smarthosts}
