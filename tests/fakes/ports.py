"""Ports for servers that must be told theirs before they start."""

import random
import socket

# Below Linux's range for outgoing connections (32768-60999): none of those can take the port
# between its choice here and the server's own bind.
_LOWEST = 20_000
_HIGHEST = 32_000


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nothing listens on at `address`.

    Raises OSError when a hundred guesses were all taken.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    guess = random.SystemRandom()
    for _ in range(100):
        port = guess.randint(_LOWEST, _HIGHEST)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on {address} between {_LOWEST} and {_HIGHEST}")
