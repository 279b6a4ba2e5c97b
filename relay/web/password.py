"""The page's password: hashed and checked with Argon2id, slow by design and so beside the loop."""

from __future__ import annotations

import asyncio
import secrets

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from relay.config.fault import BadValueError
from relay.config.password_hash import check_password_hash

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 1_000

# The second choice of RFC 9106 section 4, for where 2 GiB a login are too much.
_PASSES, _LANES, _MEMORY_KIB = 3, 4, 65_536
_SALT_BYTES, _HASH_BYTES = 16, 32
_MOST_WAITING = 8


def hash_password(password: str) -> str:
    """The PHC string to keep; other at each call."""
    derivation = Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    return derivation.derive_phc_encoded(password.encode())


def is_password(password: str, password_hash: str) -> bool:
    """Whether `password` is the one that was hashed, in a time that tells nothing of it.

    Takes tenths of a second and 64 MiB. Raises BadValueError: `password_hash` is no such hash.
    """
    check_password_hash(password_hash)
    if len(password) > MOST_CHARACTERS:
        return False
    try:
        Argon2id.verify_phc_encoded(password.encode(), password_hash)
    except InvalidKey:
        return False
    except ValueError as error:  # what cannot be decoded, or parameters that do not fit together
        raise BadValueError(
            "is geen Argon2id-hash; maak er een met: relay web password",
            "is no Argon2id hash; make one with: relay web password",
        ) from error
    return True


class Verifier:
    """Checks one password at a time, in a thread; of the few that may wait for it more is None."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def check(self, password: str, password_hash: str) -> bool | None:
        """As `is_password`; None where too many are being checked already."""
        if self._waiting >= _MOST_WAITING:
            return None
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(is_password, password, password_hash)
        finally:
            self._waiting -= 1
