"""Delivery status reports that an attempt causes, as messages ready for the spool.

Never for a null reverse-path, never about one of our own (invariant 8), and only where NOTIFY
lets us (RFC 3461 section 4.1).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from presets.explain import explain
from relay.config.model import AuthMethod, Config, NullSender, PolicyKind, Smarthost
from relay.delivery.outcome import Fate
from relay.delivery.report_pace import ReportPace
from relay.delivery.route import find_path
from relay.envelope import Envelope, Origin, Recipient
from relay.message import dsn
from relay.message.dsn_request import DsnRecipient, DsnRequest
from relay.spool.ids import id_text
from relay.spool.model import Claim, NewMessage, Placement

CLIENT = "relay"
"""The client name of what the relay itself sends."""

TO_POSTMASTER = "postmaster"
"""Where a report would have the client's address: it is about a failed report, and the last."""

Report = tuple[NewMessage, bytes]


@dataclass(frozen=True, slots=True)
class Original:
    """The message a report is about. `body` only where RET=FULL asked for it."""

    claim: Claim
    header: bytes
    body: bytes | None


class Reporter:
    """Builds reports in the language and with the sender of a configuration."""

    def __init__(
        self,
        config: Config,
        new_id: Callable[[], int],
        smarthost: Smarthost | None,
        pace: ReportPace,
    ) -> None:
        self._config = config
        self._new_id = new_id
        self._smarthost = smarthost
        self._pace = pace

    def failure(
        self, original: Original, fates: Sequence[tuple[Recipient, Fate]], now: datetime
    ) -> Report | None:
        """The report about recipients that failed; None if nobody may or wants to hear it."""
        is_dsn = original.claim.is_dsn  # a report that fails goes to the postmaster
        wanted = [
            (each, fate)
            for each, fate in fates
            if is_dsn or each.notify is None or "FAILURE" in each.notify
        ]
        return self._report(dsn.failure, original, wanted, now)

    def delay(
        self, original: Original, fates: Sequence[tuple[Recipient, Fate]], now: datetime
    ) -> Report | None:
        """The report that recipients still wait."""
        wanted = [pair for pair in fates if pair[0].notify is None or "DELAY" in pair[0].notify]
        return self._report(dsn.delay, original, wanted, now)

    def relayed(
        self, original: Original, fates: Sequence[tuple[Recipient, Fate]], now: datetime
    ) -> Report | None:
        """The report that a server without DSN took the message, for who asked for SUCCESS."""
        wanted = [pair for pair in fates if pair[0].notify and "SUCCESS" in pair[0].notify]
        return self._report(dsn.relayed, original, wanted, now)

    def _report(
        self,
        build: Callable[[DsnRequest], bytes],
        original: Original,
        wanted: Sequence[tuple[Recipient, Fate]],
        now: datetime,
    ) -> Report | None:
        claim = original.claim
        # Copies that the configuration added are the office's own affair.
        wanted = [pair for pair in wanted if pair[0].origin is not Origin.BCC]
        to_address = self._addressee(claim)
        if not wanted or to_address is None:
            return None
        number = self._new_id()
        message_id = f"<{id_text(number)}@{self._config.hostname}>"
        body = build(
            DsnRequest(
                reporting_mta=self._config.hostname,
                language=self._config.language,
                from_address=own_address(self._config, self._smarthost),
                to_address=to_address,
                message_id=message_id,
                now=now,
                arrived_at=claim.received_at,
                recipients=tuple(self._recipient(each, fate) for each, fate in wanted),
                original_header=original.header,
                original_body=original.body,
                envid=claim.envelope.envid,
                will_retry_until=claim.expires_at,
            )
        )
        return self._message(number, to_address, message_id, claim, now), body

    def _addressee(self, claim: Claim) -> str | None:
        if not claim.is_dsn:
            return claim.envelope.reverse_path
        return None if claim.client_address == TO_POSTMASTER else self._config.postmaster

    def _recipient(self, recipient: Recipient, fate: Fate) -> DsnRecipient:
        meaning, status = "", "5.0.0"
        steps: tuple[str, ...] = ()
        if fate.reply is not None:
            explanation = explain(
                fate.reply,
                provider=self._smarthost.preset if self._smarthost else None,
                phase=fate.phase,
                language=self._config.language,
            )
            meaning, steps = explanation.meaning, explanation.steps
            status = fate.reply.enhanced or f"{fate.reply.code // 100}.0.0"
            if fate.cause == "lifetime":
                status = "4.4.7"  # RFC 3463 section 3.5: delivery time expired
        return DsnRecipient(
            address=recipient.address,
            status=status,
            orcpt=recipient.orcpt,
            reply=fate.reply,
            remote_mta=self._smarthost.host if self._smarthost else None,
            meaning=meaning,
            steps=steps,
        )

    def _message(
        self, number: int, to_address: str, message_id: str, about: Claim, now: datetime
    ) -> NewMessage:
        path = find_path(self._config, CLIENT, None, to_address)
        lane = path.smarthosts[0] if path.smarthosts else ""
        return NewMessage(
            id=number,
            received_at=now,
            expires_at=now + self._config.spool.lifetime,
            client=CLIENT,
            client_address=TO_POSTMASTER if about.is_dsn else CLIENT,
            envelope=Envelope(
                reverse_path=None,
                recipients=(Recipient(to_address, notify=frozenset({"NEVER"})),),
            ),
            placements=(Placement(lane),),
            message_id=message_id,
            is_dsn=True,
            due_at=self._pace.due_at(to_address, now),
        )


def own_address(config: Config, smarthost: Smarthost | None) -> str:
    """An address that the smarthost lets us send as, for what the relay itself writes."""
    policies = [smarthost.sender if smarthost else None, config.sender]
    for policy in policies:
        if policy is not None and policy.policy is not PolicyKind.KEEP and policy.address:
            return policy.address
    if smarthost is not None:
        if smarthost.username is not None and "@" in smarthost.username:
            return smarthost.username
        exact = [each for each in smarthost.allowed_senders if "*" not in each]
        if exact:
            return exact[0]
    return config.postmaster or f"postmaster@{config.hostname}"


def null_path(config: Config, smarthost: Smarthost) -> str | None:
    """What stands for the null reverse-path at this smarthost.

    Submission services refuse `<>`; where the relay logs in, its account's address takes the
    place, unless the configuration says otherwise.
    """
    choice = config.delivery.null_sender
    if choice is NullSender.KEEP:
        return None
    if choice is NullSender.AUTO and smarthost.auth is AuthMethod.NONE:
        return None
    return own_address(config, smarthost)
