"""Explain an SMTP reply: its cause, what it is about, whether to retry, and the steps that cure it."""

from __future__ import annotations

import re

from presets.knowledge import LANGUAGES, Kind, knowledge
from presets.matching import INNER, Match, find
from presets.reply import TEXT_LIMIT, Reply, sanitise
from presets.verdict import OURS, Explanation, Phase, Retry, Scope, Verdict

__all__ = ["Explanation", "Phase", "Retry", "Scope", "Verdict", "explain", "judge"]

_PASTE_LIMIT = 20_000
# "The server response was: 5.7.57 Client not authenticated": no basic code. An IP address is none.
_BARE_ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII)

# In these phases a smarthost may pass on what the recipient's server told it.
_PASSED_ON = {
    Phase.RCPT: Scope.RECIPIENT,
    Phase.DATA: Scope.MESSAGE,
    Phase.DOT: Scope.MESSAGE,
}
_SECOND_HAND = re.compile(
    r"\bhost \S{1,255} said|\bin reply to\b|\bresponse to\b|\bremote (?:mail )?(?:server|host)\b"
    r"|\bsaid: [45]\d\d|\bcall-?out\b",
    re.IGNORECASE,
)


def explain(
    reply: Reply | str,
    *,
    provider: str | None = None,
    phase: Phase | None = None,
    language: str = "en",
) -> Explanation:
    """What `reply` means and what to do, in `language` ("nl" or "en"; any other is "en").

    `reply` may be any text: a reply, several lines of one, a bounce that quotes one, or the message
    of a program. `provider` is a preset id or a family name; without it the provider is recognised
    by its wording. Never raises for whatever text.
    """
    if isinstance(reply, str):
        reply = Reply.parse(reply) or _plain(reply)
    match = find(reply, provider, phase)
    verdict = _verdict(match, reply, phase)
    entry = match.entry
    if language not in LANGUAGES:
        language = "en"
    return Explanation(
        cause=verdict.cause,
        scope=verdict.scope,
        retry=verdict.retry,
        provider=_provider(match, provider),
        meaning=entry.meaning[language],
        steps=entry.steps[language],
        known=verdict.known,
        source=entry.source,
    )


def judge(reply: Reply, *, provider: str | None = None, phase: Phase | None = None) -> Verdict:
    """The verdict of `explain` without its texts, for every refusal: well under a millisecond."""
    return _verdict(find(reply, provider, phase), reply, phase)


def _plain(text: str) -> Reply:
    """Text that does not start with a reply code: a program's message, or a reply quoted in one."""
    text = sanitise(text, _PASTE_LIMIT)
    if len(text) > TEXT_LIMIT and (inner := INNER.search(text)):
        # A long bounce: keep the part around the reply that it quotes.
        text = text[max(0, inner.start() - TEXT_LIMIT // 4) :]
    text = text[:TEXT_LIMIT]
    enhanced = _BARE_ENHANCED.search(text)
    return Reply(0, enhanced[0] if enhanced else None, text)


def _verdict(match: Match, reply: Reply, phase: Phase | None) -> Verdict:
    entry = match.entry
    return Verdict(entry.cause, _scope(match, reply, phase), _retry(match), entry.known)


def _scope(match: Match, reply: Reply, phase: Phase | None) -> Scope:
    """The entry's scope, unless the words are those of the recipient's server.

    "Relay access denied" or "blocked using zen.spamhaus.org" from our smarthost stops everything;
    the same words passed on by it concern one recipient, and must not pause the account.
    """
    entry = match.entry
    if phase is None:
        return entry.scope
    scope = entry.scope_at.get(phase, entry.scope)
    passed_on = _PASSED_ON.get(phase)
    if passed_on and scope in OURS and (match.foreign or _SECOND_HAND.search(reply.text)):
        return passed_on
    return scope


def _retry(match: Match) -> Retry:
    """The entry's retry; the class of the basic code decides where the entry is silent or differs."""
    entry, reply = match.entry, match.reply
    by_class = Retry.NEVER if reply.positive or reply.permanent else Retry.LATER
    if entry.retry is None:
        return by_class
    if not entry.known:
        # Of the RFC meanings only those about login and encryption outweigh "try again later".
        sure = entry.scope in (Scope.ACCOUNT, Scope.TLS) or reply.permanent
        return entry.retry if sure else by_class
    if match.same_class or entry.retry is Retry.AFTER_CHANGE:
        return entry.retry
    return by_class


def _provider(match: Match, provider: str | None) -> str | None:
    entry = match.entry
    if entry.kind is not Kind.PROVIDER:
        return provider
    asked_about = knowledge().family_of.get(provider) if provider else None
    return provider if asked_about == entry.family else entry.family
