"""Two ways to look at a server's TLS: to see everything, and to judge as the relay does."""

from __future__ import annotations

import ssl
from pathlib import Path


def seeing_context() -> ssl.SSLContext:
    """A context that agrees to anything, so that what is wrong can be seen. Nothing secret may
    ever go over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _speak_old(context)
    return context


def judging_context(ca_file: Path | None, *, old_protocol: bool = False) -> ssl.SSLContext:
    """The context of the relay: the system's authorities, or those of `ca_file` alone.

    With `old_protocol` TLS 1.0 and 1.1 are spoken too: a server that can do no better can still
    have a good certificate. Raises OSError (ssl.SSLError among them): the file cannot be read.
    """
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if old_protocol:
        _speak_old(context)
    return context


def _speak_old(context: ssl.SSLContext) -> None:
    # Not TLSv1 by its name, of which Python warns.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
