"""The stored form of the page's password: Argon2id as a PHC string (RFC 9106, section 3.1)."""

from __future__ import annotations

import re

from relay.config.fault import BadValueError

MOST_KIB = 1 << 20
MOST_PASSES = 50
MOST_LANES = 64

_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)


def check_password_hash(text: str) -> None:
    """Raises BadValueError for what is no such hash, or would take a machine's memory to check."""
    found = _PHC.fullmatch(text)
    if found is None:
        raise BadValueError(
            "is geen Argon2id-hash; maak er een met: relay web password",
            "is no Argon2id hash; make one with: relay web password",
        )
    memory, passes, lanes = (int(number) for number in found.groups())
    bounds = 8 * lanes <= memory <= MOST_KIB and 0 < passes <= MOST_PASSES
    if not bounds or not 0 < lanes <= MOST_LANES:
        raise BadValueError(
            f"vraagt {memory} kB geheugen in {passes} ronden en {lanes} banen; maak een nieuwe met: relay web password",
            f"asks for {memory} kB of memory in {passes} passes and {lanes} lanes; make a new one with: relay web password",
        )
