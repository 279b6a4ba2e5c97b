"""Whether two nodes work by the same configuration."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_OWN = ("hostname",)
_OWN_ADDRESS = ("listener", "web")


def digest(document: dict[str, Any]) -> str:
    """A text that is the same where a parsed relay.toml says the same, but for what is a node's
    own: its `hostname`, and the addresses that it listens on."""
    shared = {
        key: _without_address(value) if key in _OWN_ADDRESS else value
        for key, value in document.items()
        if key not in _OWN
    }
    text = json.dumps(shared, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _without_address(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_address(each) for each in value]
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key != "address"}
    return value
