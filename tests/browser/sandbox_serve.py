"""`relay serve` without a configuration, on ports of a test's own:

    python sandbox_serve.py SMTP_PORT WEB_PORT serve

The product is untouched, but for the two ports that a sandbox has fixed.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the command in the rest of the arguments; a `--config` among them is left out."""
    smtp_port, web_port = map(int, sys.argv[1:3])
    command = sys.argv[3:]
    if "--config" in command:
        named = command.index("--config")
        del command[named : named + 2]
    sys.argv[1:] = command
    sys.path[:0] = [str(_ROOT)]
    load = importlib.import_module("relay.config.load")
    sandbox = load.sandbox

    def elsewhere(environ: Mapping[str, str]) -> object:
        config = sandbox(environ)
        listeners = (replace(config.listeners[0], port=smtp_port),)
        return replace(config, listeners=listeners, web=replace(config.web, port=web_port))

    vars(load)["sandbox"] = elsewhere
    importlib.import_module("relay.cli.app").main()


if __name__ == "__main__":
    main()
