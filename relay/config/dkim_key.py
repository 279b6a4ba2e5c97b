"""The private keys of `[[dkim]]`: read, checked and judged by their length."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from relay.config.fault import BadValueError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LEAST_BITS = 1024
"""Receivers reject signatures of a shorter key (RFC 8301 section 3.2)."""
GOOD_BITS = 2048
MOST_BITS = 4096
"""Receivers need not check signatures of a longer key (RFC 8301 section 3.2)."""


def private_key(pem: str) -> RSAPrivateKey:
    """The RSA key in a PEM text, of 1024 to 4096 bits, without a passphrase.

    Raises BadValueError; its texts never show anything of the key.
    """
    found = _parsed(pem)
    if not isinstance(found, BadValueError):
        return found
    raise found.with_traceback(None)  # it is kept: the traces of each raise would add up


@lru_cache(maxsize=16)  # a key is needed for each message, and parsing checks its primes
def _parsed(pem: str) -> RSAPrivateKey | BadValueError:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is short is told by us
            key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        return BadValueError(
            "de sleutel is met een wachtwoord versleuteld; haal dat eraf: openssl rsa -in OUD -out NIEUW",
            "the key is encrypted with a passphrase; remove that: openssl rsa -in OLD -out NEW",
        )
    except (ValueError, UnsupportedAlgorithm):
        return BadValueError(
            "dit is geen persoonlijke RSA-sleutel (PEM); maak er een: relay dkim keygen DOMEIN",
            "this is no private RSA key (PEM); make one: relay dkim keygen DOMAIN",
        )
    if not isinstance(key, RSAPrivateKey):
        return BadValueError(
            "de sleutel is niet van het soort RSA; maak er een: relay dkim keygen DOMEIN",
            "the key is not of type RSA; make one: relay dkim keygen DOMAIN",
        )
    if not LEAST_BITS <= key.key_size <= MOST_BITS:
        return BadValueError(
            f"de sleutel heeft {key.key_size} bits en ontvangers eisen {LEAST_BITS} tot {MOST_BITS}; maak er een: relay dkim keygen DOMEIN",
            f"the key has {key.key_size} bits and receivers demand {LEAST_BITS} to {MOST_BITS}; make one: relay dkim keygen DOMAIN",
        )
    return key
