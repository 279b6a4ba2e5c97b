"""Signing what leaves with the domain's own DKIM key, at each attempt.

The signature is what lets mail of one's own domain pass DMARC through a provider that signs with
its own name or not at all. Mail that should be signed and cannot be therefore waits, by itself:
other domains' mail goes on. It is never bounced for it: at the end of its lifetime it is held.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from presets.reply import Reply
from presets.verdict import Phase
from relay.config.dkim_key import private_key
from relay.config.fault import BadValueError, Language
from relay.config.model import Dkim
from relay.config.secret import SecretError
from relay.delivery.outcome import Blame, Fate
from relay.delivery.outgoing import Loaded, stored_rest
from relay.message.dkim import BodyHash, Signer, author_domain, key_for, sign
from relay.monitor import mail_log
from relay.spool.model import Claim, Outcome
from relay.spool.protocol import Queue

_SHORT_BYTES = 16_384  # hashed in less time than it takes to hand it to a thread


@dataclass(frozen=True, slots=True)
class NotSigned:
    """Mail in the name of `domain` cannot be signed now; `detail` says why, for people."""

    domain: str
    detail: str

    @property
    def fate(self) -> Fate:
        """It waits by its own schedule, and is held where that ends: the trouble is ours."""
        reply = Reply(451, "4.7.5", self.detail)
        return Fate(Outcome.DEFERRED, Phase.MAIL, reply, Blame.UNSURE, "dkim-key")


@dataclass(slots=True)
class Text:
    """The body of a message under way; read and hashed once for all its transactions."""

    queue: Queue
    claim: Claim
    loaded: Loaded
    _hash: bytes | None = None

    async def hash(self, threads: Executor) -> bytes:
        """The hash to sign, computed beside the event loop. Raises SpoolError."""
        if self._hash is None:
            body, between = BodyHash(), b"\r\n"  # the empty line belongs to neither side
            async for piece in stored_rest(self.queue, self.claim, self.loaded):
                piece, between = piece.removeprefix(between), b""
                if len(piece) <= _SHORT_BYTES:
                    body.feed(piece)
                else:
                    await asyncio.get_running_loop().run_in_executor(threads, body.feed, piece)
            self._hash = body.digest()
        return self._hash


@dataclass(slots=True)
class Signatory:
    """Signs; calls for help once when a domain's key fails, until it works again."""

    failing: set[str] = field(default_factory=set)
    # One thread: several would keep the interpreter from the event loop by turns, and this one
    # hashes and signs faster than mail leaves.
    threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "dkim"))

    async def sign(
        self, keys: Sequence[Dkim], header: bytes, text: Text, at: datetime, language: Language
    ) -> bytes | NotSigned:
        """The DKIM-Signature to put before `header`; empty where its author's domain has no key.

        Raises SpoolError where the message cannot be read.
        """
        entry = key_for(author_domain(header), keys) if keys else None
        if entry is None:
            return b""
        try:
            # The key is read again each time: what replaced the file is what DNS shows.
            signer = await asyncio.to_thread(_signer, entry)
        except (SecretError, BadValueError) as error:
            return self._failed(entry, error.nl if language == "nl" else error.en, language)
        body_hash = await text.hash(self.threads)
        try:
            loop = asyncio.get_running_loop()
            signature = await loop.run_in_executor(
                self.threads, sign, header, body_hash, signer, at
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the mail waits unharmed
            return self._failed(entry, f"{type(error).__name__}: {error}", language)
        self.failing.discard(entry.domain)
        return signature

    def _failed(self, entry: Dkim, reason: str, language: Language) -> NotSigned:
        domain = entry.domain
        if language == "nl":
            detail = f"mail van {domain} wacht, want ondertekenen (DKIM) lukt niet: {reason}"
        else:
            detail = f"mail of {domain} waits, as it cannot be signed (DKIM): {reason}"
        if domain not in self.failing:
            self.failing.add(domain)
            mail_log.alert("dkim-key", detail, domain=domain)
        return NotSigned(domain, detail)


def _signer(entry: Dkim) -> Signer:
    """Raises SecretError or BadValueError."""
    return Signer(entry.domain, entry.selector, private_key(entry.key.read()))
