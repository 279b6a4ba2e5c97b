"""The resolver of a command: all its DNS goes where `--nameserver` says.

dnspython loads here, when a command first needs it.
"""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError, AttributeError):
    # DNS over HTTPS pulls in an HTTP client, 300 ms of start; nobody here asks for it.
    import dns._features

    dns._features.force("doh", False)

import dns.asyncresolver
import dns.nameserver
import dns.resolver


def make_resolver(
    nameserver: tuple[str, int] | None, timeout_seconds: float
) -> dns.asyncresolver.Resolver:
    """A resolver without a cache whose every question takes at most `timeout_seconds`.

    Raises dns.resolver.NoResolverConfiguration: the system has no name server, and none is given.
    """
    resolver = dns.asyncresolver.Resolver(configure=nameserver is None)
    if nameserver is not None:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*nameserver)]
    resolver.lifetime = timeout_seconds
    resolver.timeout = max(timeout_seconds / 3, 0.2)
    return resolver


def blocking_nameservers(nameserver: tuple[str, int] | None) -> list[object] | None:
    """What checkdmarc wants as `nameservers`; None for the system's."""
    return None if nameserver is None else [dns.nameserver.Do53Nameserver(*nameserver)]
