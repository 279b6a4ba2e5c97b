"""A login that the running relay makes: with its own token or password, and its breaker counts it.

So a refusal that is met here pauses the account, a login ends the pause, and no token is
refreshed by anybody but the relay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from diagnose.account import Chosen
from diagnose.breaker import account_in, pause_unknown, paused_finding
from diagnose.dialogue import Dialogue
from diagnose.finding import Document, Finding, Severity
from diagnose.refusal import no_connection
from diagnose.relay_desk import UNANSWERED, ask_running, reason_of
from diagnose.runner import STEPS_IN_ALL, Circumstances
from diagnose.wording import Language, finding, say
from presets.reply import Reply
from presets.verdict import Phase, Scope
from relay.account.refusal import causes
from relay.control.client import RemoteDesk
from relay.smarthost.connect import ConnectFailure

CONTENT = ("mechanism", "mechanisms_offered", "accepted", "reply", "explanation")

_NO_CREDENTIALS = frozenset({"secret-unreadable", "no-credentials"})
_PATIENCE = 0.8  # of the time of the whole command, so that there is some left to say so


@dataclass(frozen=True, slots=True)
class RelayLogin:
    """What came of it. `test` is the relay's document of it; None where it gave no answer."""

    finding: Finding
    test: Document | None = None


async def log_in_by_relay(
    chosen: Chosen, circumstances: Circumstances, *, force: bool
) -> RelayLogin | None:
    """The login of `chosen`, made by the relay; None where no relay runs that can be asked.

    Once the relay has been told to try, nobody else tries, whatever becomes of the answer.
    """
    smarthost, language = chosen.smarthost, circumstances.language
    config = chosen.config
    if config is None or smarthost.account is None:
        return None
    try:
        running = await ask_running(config, circumstances.timeout_seconds, _listed)
    except UNANSWERED as error:
        # Nothing was tried yet: a password may be, by who insists.
        unknown = RelayLogin(pause_unknown(error, smarthost, language))
        return None if force and smarthost.oauth2 is None else unknown
    if running is None:
        return None

    async def test(desk: RemoteDesk) -> tuple[Document, Document]:
        tested = await desk.account_test(smarthost.name, force, language)
        return tested, await desk.account_list(language)

    patience = circumstances.timeout_seconds * STEPS_IN_ALL * _PATIENCE
    try:
        answer = await ask_running(config, patience, test)
    except UNANSWERED as error:
        return RelayLogin(_no_answer(reason_of(error, language), chosen, language))
    if answer is None:
        return RelayLogin(_no_answer("-", chosen, language))
    tested, listed = answer
    if tested["refused_because"] is None:
        return RelayLogin(_verdict(tested, chosen, language), tested)
    entry = account_in(listed["accounts"], smarthost) or {"paused_at": None, **tested}
    return RelayLogin(paused_finding(entry, smarthost, language), tested)


async def _listed(desk: RemoteDesk) -> Document:
    return await desk.account_list()


def _no_answer(reason: str, chosen: Chosen, language: Language) -> Finding:
    name = chosen.smarthost.name
    return finding("auth/relay-no-answer", Severity.UNKNOWN, language, reason=reason, name=name)


def _verdict(test: Document, chosen: Chosen, language: Language) -> Finding:
    """What the login says, with the relay's own meaning and steps."""
    made = _of_login(test, chosen, language)
    explanation = test["explanation"]
    if explanation is not None:
        made = replace(made, detail=explanation["meaning"], remedy=tuple(explanation["steps"]))
    by_relay = say("auth/by-relay", language)
    evidence = {**made.evidence, "by": "relay"}
    return replace(made, detail=f"{made.detail} {by_relay}".strip(), evidence=evidence)


def _of_login(test: Document, chosen: Chosen, language: Language) -> Finding:
    who = {"host": test["host"], "username": test["username"], "name": test["smarthost"]}
    said = test["reply"]
    reply = None if said is None else Reply(said["code"], said["enhanced"], said["text"])
    if test["accepted"]:
        values = {"mechanism": test["mechanism"], "reply": str(reply)}
        return finding("auth/login-accepted", Severity.OK, language, **who, **values)
    why = {"cause": test["cause"], "detail": test["detail"]}
    if test["cause"] in _NO_CREDENTIALS and chosen.smarthost.oauth2 is None:
        # Root reads what the service's user does not.
        return finding("auth/secret-unreadable", Severity.ERROR, language, **who, **why)
    if reply is None and test["cause"] in causes() and chosen.smarthost.oauth2 is not None:
        for_good = test["scope"] == Scope.ACCOUNT
        severity = Severity.ERROR if for_good else Severity.UNKNOWN
        return finding("auth/no-token", severity, language, **who, **why)
    failure = ConnectFailure(
        Phase(test["phase"]), Scope(test["scope"]), test["cause"], test["detail"], reply
    )
    dialogue = Dialogue(
        mechanisms_offered=tuple(test["mechanisms_offered"]),
        mechanism=test["mechanism"],
        failure=replace(failure, address=test["address"]),
    )
    return no_connection(dialogue, chosen, language)
