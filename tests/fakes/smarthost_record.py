"""What the scripted smarthost saw: sessions, logins, envelopes and messages."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Path:
    """An address of the envelope with its ESMTP parameters, each as "KEY=value" or "KEY"."""

    address: str
    """Without brackets; "" is the null reverse-path."""
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """One AUTH attempt as far as it came."""

    mechanism: str
    username: str
    password: str
    accepted: bool


@dataclass(slots=True)
class Transaction:
    """A message that arrived whole: its envelope, its bytes, and the reply to it."""

    session: int
    sender: Path
    recipients: tuple[Path, ...]
    """Those that were accepted."""
    content: bytes
    """As sent, with the transparency dots taken off."""
    chunked: bool
    """Sent with BDAT."""
    arrived: float
    """On the monotonic clock."""
    reply: str = ""
    """What the client was answered; "" if it was dropped or still waits."""


@dataclass(slots=True)
class SessionRecord:
    """What happened on one connection."""

    number: int
    peer: tuple[str, int]
    received: bytearray = field(default_factory=bytearray)
    """Every byte that came, after decryption."""
    commands: list[str] = field(default_factory=list)
    """Command lines without the lines of AUTH exchanges and without messages."""
    replies: list[str] = field(default_factory=list)
    tls: str | None = None
    """The TLS version, None for a connection in clear."""
    logins: list[Login] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    pipelined: bool = False
    """The client sent a command before it had the reply to the one before."""
    ended: str = ""
    """How it ended: "quit", "closed by client", "tls failed", "dropped" or "" while open."""
    times: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def verbs(self) -> list[str]:
        """The verbs of the commands, in upper case."""
        return [line.partition(" ")[0].upper() for line in self.commands]
