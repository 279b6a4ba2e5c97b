"""Secrets that must be found nowhere, and the search for them in every form they can take.

    canary = Canary("CANARY-pw-...")
    assert canary.forms_in(path.read_bytes()) == []

A canary begins with CANARY, so that one search at the end of the suite finds what any test leaked.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

PREFIX = "CANARY"
_BASE64_OF_PREFIX = ("Q0FOQVJZ", "NBTkFSW", "DQU5BUl")


def forms(secret: str) -> dict[str, bytes]:
    """Each form of a secret by its name."""
    data = secret.encode()
    escaped = quote(secret, safe="")
    found = {
        "plain": secret,
        "json": json.dumps(secret)[1:-1],
        "html": html.escape(secret),
        "url": escaped,
        "url, lower": re.sub("%..", lambda each: each[0].lower(), escaped),
        "url, form": quote_plus(secret),
        "url, whole": "".join(f"%{byte:02X}" for byte in data),
        "quoted-printable": escaped.replace("%", "="),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
    }
    for skipped in range(3):
        coded = base64.b64encode(bytes(skipped) + data).decode()
        # The characters that these bytes alone decide, whatever stands before and behind them.
        core = coded[-(-8 * skipped // 6) : 8 * (skipped + len(data)) // 6]
        found[f"base64 at {skipped}"] = core
        found[f"url base64 at {skipped}"] = core.translate(str.maketrans("+/", "-_"))
    return {name: form.encode() for name, form in found.items()}


class Canary:
    """One secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._forms = forms(secret)

    def __repr__(self) -> str:
        return f"Canary({self.secret!r})"

    def forms_in(self, data: str | bytes) -> list[str]:
        """The names of the forms that stand in `data`, broken over lines or escaped too."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        joined = re.sub(rb"(?:=|\\r\\n|\\n)?\s*\n\s*", b"", raw)
        unescaped = raw.replace(b"\\", b"")
        views = (raw, joined, unescaped)
        return [name for name, form in self._forms.items() if any(form in view for view in views)]


def leaks(canaries: Iterable[Canary], places: Mapping[str, str | bytes]) -> list[str]:
    """Every find, as "canary: form in place"."""
    return [
        f"{canary}: {form} in {place}"
        for canary in canaries
        for place, data in places.items()
        for form in canary.forms_in(data)
    ]


def holds_any_canary(text: str) -> bool:
    """Whether something that begins with CANARY is in it: plain, in base64 or in hex."""
    shapes = (PREFIX, *_BASE64_OF_PREFIX, PREFIX.encode().hex(), PREFIX.encode().hex().upper())
    return any(shape in text for shape in shapes)
