"""The options that every command takes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The configuration to use, a relay.toml."),
]
LangOption = Annotated[
    Literal["nl", "en"] | None,
    typer.Option("--lang", help="Language of the texts; else the configuration's."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")
]
