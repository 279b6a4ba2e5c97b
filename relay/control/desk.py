"""Everything that an operator can see and do, over one spool and the configuration in force.

The same class answers the API inside the daemon and the commands while the daemon is stopped.
Each method returns a document of schema relay/1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from relay.config.model import Config, DeliveryMode
from relay.control import documents, health
from relay.control.account_documents import tested_document, untested_document
from relay.control.accounts import Accounts
from relay.control.daemon import Daemon
from relay.control.devices import Devices, one_address
from relay.control.documents import Document, document
from relay.control.errors import Declined
from relay.control.messages import Messages
from relay.control.messages import state as message_state
from relay.control.queue_actions import Action, QueueActions
from relay.control.sender_rules import SenderRules, Wish
from relay.control.why import Circumstances, Question, why
from relay.spool.ids import id_number, id_text
from relay.spool.ledger_entry import PausedAccount
from relay.spool.model import HeldFor
from relay.spool.protocol import Spool
from relay.spool.vault_entry import Grant

if TYPE_CHECKING:
    from relay.control.test_message import Wanted

MOST_LISTED = 10_000


class Desk:
    """The operator's actions. May raise Declined, and SpoolError where the store fails."""

    def __init__(self, spool: Spool, daemon: Daemon, clock: Callable[[], datetime]) -> None:
        self._spool = spool
        self._daemon = daemon
        self._clock = clock

    def config(self) -> Config:
        """The configuration in force."""
        return self._daemon.config()

    async def queue_list(
        self, state: str | None = None, limit: int = 100, client: str | None = None
    ) -> Document:
        """The oldest `limit` messages in `state`, or of all that are unfinished, and how many."""
        if not 1 <= limit <= MOST_LISTED:
            raise Declined(
                f"limit loopt van 1 tot {MOST_LISTED}", f"limit goes from 1 to {MOST_LISTED}"
            )
        wanted = None if state is None else message_state(state)
        total, messages = await self._spool.queue.page(wanted, limit, client)
        return {
            "schema": documents.SCHEMA,
            "total": total,
            "messages": [documents.message_document(message) for message in messages],
        }

    async def queue_ids(self) -> Document:
        """The ids of all messages that are unfinished, the oldest first."""
        numbers = await self._spool.queue.ids()
        return document("queue ids", ids=[id_text(number) for number in numbers])

    async def queue_show(self, id_: str, language: str = "en") -> Document:
        """One message with its attempts explained; `unknown` holds the id where there is none."""
        number = id_number(id_)
        message = None if number is None else await self._spool.queue.show(number)
        if message is None:
            return document("queue show", unknown=[id_])
        config = self.config()
        content = documents.full_message_document(message, config, language)
        content["cures"] = await self._sender_rules().proposals(message)
        content["leaves"] = await self._messages().leaves(message)
        return document("queue show", **content)

    def queue_body(self, id_: str) -> AsyncIterator[bytes]:
        """The message as it waits, in pieces; nothing where it is finished or not known."""
        return self._spool.queue.body(id_number(id_) or 0)

    async def queue_act(
        self, action: str, ids: Sequence[str] | None, to: str | None = None
    ) -> Document:
        """Retry, hold, release, delete or reroute the messages `ids`; None stands for all."""
        if action not in list(Action):
            names = ", ".join(Action)
            raise Declined(f"kies een actie uit {names}", f"choose an action from {names}")
        chosen = Action(action)
        tally = await self._actions().act(chosen, ids, to)
        if chosen is Action.RETRY:
            await self._daemon.retry_smarthosts()
        if tally.changed or chosen is Action.RETRY:
            self._daemon.mail_due()
        return tally.document(chosen)

    async def queue_cure(
        self, id_: str, address: str | None = None, domain: bool = False
    ) -> Document:
        """Adopt the sender rule that cures one message, and release all that it cures.

        `address` is what the account may send as where its user name does not tell; with `domain`
        the rule holds for everybody in the sender's domain.
        """
        rules = self._sender_rules()
        answer = await rules.adopt(id_, Wish(address, domain))
        if answer.get("rules"):
            await self._daemon.sender_rules_changed()
        if "unknown" not in answer and answer["reason"] is None:
            answer["released"] = await rules.release(answer)
            self._daemon.mail_due()
        return answer

    async def sender_list(self) -> Document:
        """The sender rules that were adopted."""
        return await self._sender_rules().listed()

    async def sender_remove(self, sender: str, smarthost: str | None = None) -> Document:
        """Take sender rules back; what left as another address leaves as itself again."""
        answer = await self._sender_rules().remove(sender, smarthost)
        if answer["removed"]:
            await self._daemon.sender_rules_changed()
        return answer

    async def client_list(self) -> Document:
        """Who may send."""
        return await self._devices().listed()

    async def client_refused(self) -> Document:
        """Who was turned away."""
        return await self._devices().refused()

    async def client_allow(self, address: str, name: str | None = None) -> Document:
        """Let one address in, and release what a learning window held of it."""
        where = one_address(address)
        answer = await self._devices().allow(where, name)
        if answer["adopted"]:
            await self._daemon.access_changed()
        held = await self._spool.queue.ids(HeldFor.LEARNING, str(where))
        if self.config().delivery.mode is DeliveryMode.HOLD:
            # In a trial nothing leaves unseen: it waits for its own release, like new mail.
            await self._spool.queue.hold_for(held, HeldFor.TRIAL)
            answer["released"] = []
        else:
            answer["released"] = await self._actions().release(held)
            self._daemon.mail_due()
        return answer

    async def client_remove(self, address: str) -> Document:
        """Take an adoption back."""
        answer = await self._devices().remove(one_address(address))
        if answer["removed"]:
            await self._daemon.access_changed()
        return answer

    async def client_learn(self, minutes: int) -> Document:
        """Open the learning window for so many minutes, or with 0 end it."""
        answer = await self._devices().learn(minutes)
        await self._daemon.access_changed()
        return answer

    async def account_list(self, language: str = "en") -> Document:
        """The accounts of the smarthosts: their consent, what they used, and which are paused."""
        return await self._accounts().listed(language)

    async def account_resume(self, name: str) -> Document:
        """Try a paused account again; `name` is its user name or that of a smarthost."""
        answer = await self._accounts().resume(name)
        for account in answer["resumed"]:
            await self._daemon.account_resumed(account["host"], account["username"])
        if answer["resumed"]:
            self._daemon.mail_due()
        return answer

    async def account_pause(self, name: str) -> Document:
        """Log in no more as an account until somebody resumes it; its mail waits."""
        paused = []
        for smarthost in self._accounts().meant(name):
            await self._daemon.account_pause(smarthost)
            paused.append({"host": smarthost.host, "username": smarthost.username})
        return document("account pause", paused=paused)

    async def account_test(self, name: str, force: bool = False, language: str = "en") -> Document:
        """Log in once, without mail. Not while the account is paused, unless `force`.

        It counts as the one try that a paused account has in a period: a refusal pauses it for
        the next, a login ends the pause.
        """
        smarthost = self._accounts().one_meant(name)
        found = await self._daemon.account_test(smarthost, force)
        if isinstance(found, PausedAccount):
            return untested_document(smarthost, found, language)
        if found.accepted:
            self._daemon.mail_due()
        return tested_document(smarthost, found, language)

    async def account_grant(self, name: str, grant: Grant) -> Document:
        """Keep what somebody's consent gave, and try the account again."""
        accounts = self._accounts()
        smarthost = accounts.one_meant(name)
        if smarthost.oauth2 is None or smarthost.account is None:
            raise Declined(
                f'{name} logt niet in met OAuth2; zet auth = "oauth2" bij de smarthost',
                f'{name} does not log in with OAuth2; set auth = "oauth2" at the smarthost',
            )
        await self._spool.vault.keep(*smarthost.account, grant)
        resumed = await accounts.end_pause(smarthost.account)
        await self._daemon.granted(*smarthost.account)
        self._daemon.mail_due()
        host, username = smarthost.account
        return document("account grant", host=host, username=username, resumed=resumed)

    async def test_message(self, wanted: Wanted) -> Document:
        """Accept a test message of our own; it goes the way of all others."""
        from relay.control.test_message import spool_test_message

        blocked = await self._actions().blocked()
        id_, sender = await spool_test_message(
            wanted, self._spool, self.config(), blocked, self._clock()
        )
        self._daemon.mail_due()
        return {**document("test message", id=id_, to=wanted.to.strip()), "from": sender}

    async def why(self, address: str, sender: str, recipient: str | None = None) -> Document:
        """What would become of one mail."""
        devices = self._devices()
        circumstances = Circumstances(
            rules=await devices.rules(),
            learning_until=await devices.learning_until(),
            blocked=await self._actions().blocked(),
            sender_rules=await self._spool.ledger.sender_rules(),
        )
        question = Question(one_address(address), sender, recipient)
        return why(self.config(), self._clock(), circumstances, question)

    async def status(self) -> Document:
        """Whether all is well, for people and for monitoring."""
        config = self.config()
        live = self._daemon.live()
        state = await health.health(self._spool, config, self._clock())
        if not live:
            state["problems"].insert(0, {"id": "not-running"})
        until = None if "queued" not in state else await self._devices().learning_until()
        return {
            **document("status", verdict="fail" if state["problems"] else "pass"),
            "running": bool(live),
            "sandbox": config.sandbox,
            **live,
            **state,
            "learning_until": documents.time_text(until),
        }

    async def alarm_test(self) -> Document:
        """Tell on each path of `[[alarm]]` that this is a test; `ways` says what came of each."""
        told = await self._daemon.alarm_test()
        return document(
            "alarm test",
            ways=[
                {
                    "way": each.way,
                    "target": each.target,
                    "told": not each.error,
                    "error": each.error,
                }
                for each in told
            ],
        )

    async def reload(self) -> Document:
        """Read the configuration again."""
        done = await self._daemon.reload()
        return document(
            "reload",
            running=bool(self._daemon.live()),
            applied=done.applied,
            faults=[
                {
                    "file": fault.file,
                    "line": fault.line,
                    "key": fault.key,
                    "nl": fault.text("nl"),
                    "en": fault.text("en"),
                }
                for fault in done.faults
            ],
            needs_restart=list(done.needs_restart),
        )

    def _actions(self) -> QueueActions:
        return QueueActions(self._spool, self.config(), self._clock())

    def _sender_rules(self) -> SenderRules:
        return SenderRules(self._spool, self.config(), self._clock())

    def _devices(self) -> Devices:
        return Devices(self._spool.ledger, self.config(), self._clock())

    def _messages(self) -> Messages:
        return Messages(self._spool, self.config())

    def _accounts(self) -> Accounts:
        return Accounts(self._spool, self.config(), self._clock())
