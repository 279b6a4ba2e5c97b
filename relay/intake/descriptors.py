"""How many connections the operating system's limit of open files leaves to clients.

Without a file to spare no reply could be given, no mail could leave and the spool could not be
written; so clients are told that it is too busy before that point.
"""

import contextlib
import sys

from relay.config.model import Config

RESERVED = 40
"""Files of the spool, the log, the loop and the listeners (some 22), the page, and a burst of
connections that are about to be refused (`listener.py`)."""


def most_connections(config: Config) -> int:
    """What the listeners allow in all, as far as the process may have files open.

    The limit of this process is raised, up to what its administrator allows, where that helps.
    """
    wanted = sum(listener.max_connections for listener in config.listeners)
    if sys.platform == "win32":
        return wanted  # sockets are no files there
    import resource

    kept = RESERVED + sum(smarthost.max_connections for smarthost in config.smarthosts)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = wanted + kept
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < most:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit beside the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(wanted, soft - kept))
