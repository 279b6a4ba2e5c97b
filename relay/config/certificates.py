"""Whether certificate, key and CA files can be used, found out before anybody connects."""

from __future__ import annotations

import ssl
from pathlib import Path

from relay.config.fault import BadValueError, why_unreadable


def check_pair(certificate: Path, key: Path | None) -> None:
    """Raises BadValueError unless both can be read and belong together.

    Without `key` the private key is expected in the certificate's file. A key behind a
    passphrase is refused: nobody is there to type it when the service starts.
    """
    _readable(certificate)
    if key is not None:
        _readable(key)
    try:
        # The callback keeps OpenSSL from asking on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            certificate, key, password=lambda: ""
        )
    except (ssl.SSLError, ValueError, OSError) as error:
        where = key or certificate
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise BadValueError(
                f"de sleutel {where} hoort niet bij het certificaat {certificate}",
                f"the key {where} does not belong to the certificate {certificate}",
            ) from error
        raise BadValueError(
            f"{certificate} en {where} zijn geen certificaat en sleutel (PEM, zonder wachtwoord)",
            f"{certificate} and {where} are no certificate and key (PEM, without a passphrase)",
        ) from error


def check_authority(ca_file: Path) -> None:
    """Raises BadValueError unless the file holds at least one certificate that can be read."""
    _readable(ca_file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise BadValueError(
            f"{ca_file} bevat geen certificaten (PEM)", f"{ca_file} holds no certificates (PEM)"
        ) from error


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        nl, en = why_unreadable(error)
        raise BadValueError(
            f"{path} is niet te lezen ({nl}); controleer de naam en de rechten",
            f"{path} cannot be read ({en}); check its name and permissions",
        ) from error
