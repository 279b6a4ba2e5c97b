"""Explain an SMTP reply: its cause, what it is about, whether to retry, and the steps that cure it."""

from __future__ import annotations

import re

from presets.knowledge import LANGUAGES, Entry, Kind, knowledge
from presets.matching import Match, find
from presets.pattern import compiled
from presets.reply import Reply
from presets.verdict import OURS, Explanation, Phase, Retry, Scope, Verdict

__all__ = [
    "Explanation",
    "Phase",
    "Retry",
    "Scope",
    "Verdict",
    "explain",
    "explain_text",
    "judge",
    "old_advice",
]

# In these phases a smarthost may pass on what the recipient's server told it.
_PASSED_ON = {
    Phase.RCPT: Scope.RECIPIENT,
    Phase.DATA: Scope.MESSAGE,
    Phase.DOT: Scope.MESSAGE,
}
_OLD_ADVICE = "old-advice"
_MOST_ADVICE_CHARACTERS = 10_000
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
        return explain_text(reply, provider=provider, phase=phase, language=language)[0]
    match = find(reply, provider, phase)
    verdict = _verdict(match, reply, phase)
    return _explanation(match.entry, verdict, _provider(match, provider), language)


def explain_text(
    text: str,
    *,
    provider: str | None = None,
    phase: Phase | None = None,
    language: str = "en",
) -> tuple[Explanation, Reply]:
    """The explanation of a pasted text, and the reply in it that is explained.

    Of several replies the first one that is known counts, then the first refusal, then a
    program's own message. What the text tells of the phase is heeded where `phase` is None.
    """
    from presets.paste import passages  # who only judges replies never needs it

    matches = [(find(each.reply, provider, phase or each.phase), each) for each in passages(text)]
    match, passage = min(matches, key=lambda each: _order(each[0]))
    scope = _scope(match, passage.reply, phase)
    if phase is None and passage.phase is not None:
        # Who speaks is not told: that the words were passed on must not be concluded from it.
        scope = match.entry.scope_at.get(passage.phase, scope)
    entry = match.entry
    verdict = Verdict(entry.cause, scope, _retry(match), entry.known)
    return _explanation(entry, verdict, _provider(match, provider), language), match.reply


def old_advice(text: str, *, language: str = "en") -> Explanation | None:
    """What replaced the first piece of outdated advice that `text` holds, beside its reply."""
    from presets.paste import cleaned

    line = " ".join(cleaned(text).split())[:_MOST_ADVICE_CHARACTERS]
    for entry in knowledge().entries:
        if entry.family == _OLD_ADVICE and entry.pattern and compiled(entry.pattern).search(line):
            verdict = Verdict(entry.cause, entry.scope, entry.retry or Retry.NEVER, True)
            return _explanation(entry, verdict, None, language)
    return None


def _order(match: Match) -> tuple[int, int]:
    """Which match of a pasted text counts: the lowest. Old advice yields to a program's message."""
    reply, known = match.reply, match.entry.known
    if known and (reply.enhanced or reply.transient or reply.permanent):
        return 0, 0
    if reply.transient or reply.permanent:
        return 1, 0
    if known:
        return 2, -match.entry.kind
    if reply.enhanced:
        return 3, 0
    return (4, 0) if reply.code else (5, 0)


def judge(reply: Reply, *, provider: str | None = None, phase: Phase | None = None) -> Verdict:
    """The verdict of `explain` without its texts, for every refusal: well under a millisecond."""
    return _verdict(find(reply, provider, phase), reply, phase)


def _explanation(
    entry: Entry, verdict: Verdict, provider: str | None, language: str
) -> Explanation:
    if language not in LANGUAGES:
        language = "en"
    return Explanation(
        cause=verdict.cause,
        scope=verdict.scope,
        retry=verdict.retry,
        provider=provider,
        meaning=entry.meaning[language],
        steps=entry.steps[language],
        known=verdict.known,
        source=entry.source,
    )


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
    permanent = reply.permanent or (not reply.code and (reply.enhanced or "").startswith("5"))
    by_class = Retry.NEVER if reply.positive or permanent else Retry.LATER
    if entry.retry is None:
        return by_class
    if not entry.known:
        # Of the RFC meanings only those about login and encryption outweigh "try again later".
        sure = entry.scope in (Scope.ACCOUNT, Scope.TLS) or permanent
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
