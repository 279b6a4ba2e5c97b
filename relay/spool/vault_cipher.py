"""Grants sealed with the key of `[spool] secret_key`, each for its account alone."""

from __future__ import annotations

import base64
import hashlib
import json
import os

from relay.spool.errors import VaultError
from relay.spool.vault_entry import BadEntryError, Grant, grant_of, values_of

_KEY_BYTES = 32
SALT_BYTES = 16
# RFC 7914 section 2: 128 * n * r bytes of memory, here 16 MiB, and about 50 ms; once a process.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


def new_salt() -> bytes:
    """For a store that has none yet."""
    return os.urandom(SALT_BYTES)


def fernet_key(secret: str, salt: bytes) -> bytes:
    """The key that `secret` stands for.

    A Fernet key (32 bytes in base64 for URLs, 44 characters) is taken as it is; from any other
    text scrypt (RFC 7914) makes one, with the store's own salt: people write words.
    """
    try:
        raw = base64.urlsafe_b64decode(secret.encode())
        if len(raw) == _KEY_BYTES and base64.urlsafe_b64encode(raw).decode() == secret:
            return secret.encode()
    except ValueError:
        pass
    derived = hashlib.scrypt(secret.encode(), salt=salt, dklen=_KEY_BYTES, **_SCRYPT)
    return base64.urlsafe_b64encode(derived)


def seal(key: bytes, host: str, username: str, grant: Grant) -> bytes:
    """The grant encrypted and signed, the account's name in it."""
    from cryptography.fernet import Fernet

    plain = {"host": host, "username": username, **values_of(grant)}
    return Fernet(key).encrypt(json.dumps(plain).encode())


def unseal(key: bytes, host: str, username: str, sealed: bytes) -> Grant:
    """What `seal` took. Raises VaultError: another key, a changed row, or another account's row."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        plain = json.loads(Fernet(key).decrypt(sealed))
        if (plain["host"], plain["username"]) != (host, username):
            raise _swapped(host, username)
        return grant_of(plain)
    except InvalidToken:
        raise _wrong_key(host, username) from None
    except (ValueError, KeyError, TypeError, BadEntryError):
        raise _wrong_key(host, username) from None


def _wrong_key(host: str, username: str) -> VaultError:
    return VaultError(
        f"de tokens van {username} bij {host} gaan niet open met deze [spool] secret_key; zet de"
        " vorige sleutel terug, of geef opnieuw toestemming: relay account login NAAM",
        f"the tokens of {username} at {host} do not open with this [spool] secret_key; put the"
        " former key back, or consent again: relay account login NAME",
    )


def _swapped(host: str, username: str) -> VaultError:
    return VaultError(
        f"bij {username} op {host} staan de tokens van een ander account: iemand heeft de opslag"
        " veranderd; zoek uit wie, en geef opnieuw toestemming: relay account login NAAM",
        f"in the place of {username} at {host} stand another account's tokens: somebody changed"
        " the store; find out who, and consent again: relay account login NAME",
    )
