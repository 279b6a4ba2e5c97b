"""Consents from the page, as documents: `relay account login` for who has a browser only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from relay.account.page_consent import PageConsent, PageConsents, Texts, Way
from relay.account.provider import Consented
from relay.account.refusal import meaning, steps
from relay.account.validity import works_until
from relay.config.model import Smarthost
from relay.control.accounts import Accounts
from relay.control.documents import Document, document, time_text
from relay.control.errors import Declined
from relay.smarthost.tokens import NoToken
from relay.spool.errors import SpoolError, VaultError
from relay.spool.vault_entry import Grant

LONGEST_REDIRECT = 16_384

_NONE: Texts = ("er is geen toestemming gevraagd", "no consent was asked for")
_WAITING: dict[Way, Texts] = {
    Way.LOOPBACK: (
        "Open het adres in een browser op deze computer, meld u aan als {username} en geef toestemming. Staat uw browser op een andere computer en toont hij een fout, plak dan hier het hele adres uit de adresbalk.",
        "Open the address in a browser on this machine, sign in as {username} and consent. If your browser is on another machine and shows an error, paste here the whole address from its address bar.",
    ),
    Way.DEVICE: (
        "Open {address}, typ de code {code}, meld u aan als {username} en geef toestemming.",
        "Open {address}, type the code {code}, sign in as {username} and consent.",
    ),
    Way.PASTE: (
        "Open het adres, meld u aan als {username} en geef toestemming. Daarna toont de browser een fout op {back}: dat hoort zo. Plak hier het hele adres uit de adresbalk.",
        "Open the address, sign in as {username} and consent. Then the browser shows an error at {back}: that is as it should be. Paste here the whole address from its address bar.",
    ),
    Way.APP: (
        "Een token voor {username} wordt opgehaald; een browser is niet nodig.",
        "Fetching a token for {username}; no browser is needed.",
    ),
}
_DONE: Texts = (
    "De toestemming voor {username} is bewaard.",
    "The consent for {username} is stored.",
)
_OTHER: Texts = (
    "Let op: {account} gaf toestemming, en de relay logt in als {username}. Dat werkt alleen als {account} in het postvak van {username} mag (gedeeld postvak); meld u anders opnieuw aan.",
    "Note: {account} consented, and the relay logs in as {username}. That works only if {account} may use the mailbox of {username} (a shared mailbox); else sign in again.",
)
_CHANGED: Texts = (
    "de configuratie van dit account veranderde intussen; begin opnieuw",
    "the configuration of this account changed meanwhile; start again",
)


class Consents:
    """The desk's consents. `grant(name, grant)` keeps one, and tries the account again."""

    def __init__(
        self,
        accounts: Callable[[], Accounts],
        grant: Callable[[str, Grant], Awaitable[Document]],
        clock: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._grant = grant
        self._clock = clock
        self.under_way = PageConsents(self._keep, clock)

    async def begin(self, name: str, flow: str | None, here: bool, language: str) -> Document:
        """Start a consent for the account that `name` means; an earlier one of it ends.

        `flow` chooses the way back, None leaves that to us; `here`: the browser is on this
        machine. Raises Declined, and VaultError where a grant could not be kept anyway.
        """
        smarthost = self._smarthost(name)
        assert smarthost.oauth2 is not None
        assert smarthost.account is not None
        # Before anybody consents: what cannot be kept is asked of nobody.
        await self._accounts().spool.vault.grant(*smarthost.account)
        way = _way(flow, smarthost.oauth2.interactive)
        consent = await self.under_way.begin(smarthost, way, here, language)
        return self._document(smarthost, consent)

    def show(self, name: str) -> Document:
        """What became of the last consent of this account; state `none` where there was none."""
        smarthost = self._smarthost(name)
        assert smarthost.account is not None
        return self._document(smarthost, self.under_way.find(smarthost.account))

    def paste(self, name: str, redirect: str) -> Document:
        """Take the address that a browser ended at. Raises Declined: it is another address."""
        smarthost = self._smarthost(name)
        assert smarthost.account is not None
        consent = self.under_way.find(smarthost.account)
        if consent is None or consent.outcome is not None or consent.back is None:
            raise Declined(
                "er wordt hier op geen adres gewacht; begin opnieuw",
                "no address is awaited here; start again",
            )
        if len(redirect) > LONGEST_REDIRECT or not consent.paste(redirect):
            raise Declined(
                f"dit is niet het adres van na deze toestemming; het begint met {consent.back} en bevat code=",
                f"this is not the address from after this consent; it begins with {consent.back} and has code= in it",
            )
        return self._document(smarthost, consent)

    def cancel(self, name: str) -> Document:
        """End the consent of this account, if one is under way."""
        smarthost = self._smarthost(name)
        assert smarthost.account is not None
        self.under_way.cancel(smarthost.account)
        return self.show(name)

    async def _keep(self, smarthost: Smarthost, grant: Grant) -> Texts | None:
        try:
            present = self._smarthost(smarthost.name)
            if (present.account, present.oauth2) != (smarthost.account, smarthost.oauth2):
                return _CHANGED
            await self._grant(smarthost.name, grant)
        except (Declined, VaultError) as error:
            return error.nl, error.en
        except SpoolError as error:
            return f"de spool werkt niet: {error}", f"the spool does not work: {error}"
        return None

    def _smarthost(self, name: str) -> Smarthost:
        smarthost = self._accounts().one_meant(name)
        if smarthost.oauth2 is None:
            raise Declined(
                f'{name} logt niet in met OAuth2; zet auth = "oauth2" bij de smarthost',
                f'{name} does not log in with OAuth2; set auth = "oauth2" at the smarthost',
            )
        return smarthost

    def _document(self, smarthost: Smarthost, consent: PageConsent | None) -> Document:
        """`url` is to be opened; beside a `user_code` stands the `verification_url` to type it at."""
        known: Document = {
            "name": smarthost.name,
            "host": smarthost.host,
            "username": smarthost.username,
            "flow": None,
            "state": "none",
            "text": _both(_NONE),
            "steps": {"nl": [], "en": []},
            "cause": None,
            "account": None,
            "works_until": None,
        }
        where = dict.fromkeys(("url", "user_code", "verification_url", "redirect", "expires_at"))
        if consent is None:
            return document("account consent", **known, **where)
        known["flow"] = consent.way.value
        if consent.outcome is None:
            known |= {"state": "waiting", "text": _both(_waiting(consent))}
            where = _where(consent)
        else:
            known |= self._ended(consent)
        return document("account consent", **known, **where)

    def _ended(self, consent: PageConsent) -> Document:
        outcome, username = consent.outcome, consent.username
        if isinstance(outcome, Consented):
            account = outcome.account
            other = account is not None and account.casefold() != username.casefold()
            texts = [_filled(_DONE, username=username)]
            if other:
                texts.append(_filled(_OTHER, username=username, account=account))
            validity = works_until(consent.oauth2, outcome.grant, self._clock())
            return {
                "state": "done",
                "text": _both((" ".join(nl for nl, _ in texts), " ".join(en for _, en in texts))),
                "account": account,
                "works_until": time_text(validity.until),
            }
        if isinstance(outcome, NoToken):
            told = {each: meaning(outcome.cause, each) or outcome.detail for each in ("nl", "en")}
            todo = {
                each: list(steps(outcome.cause, consent.oauth2, username, each))
                for each in ("nl", "en")
            }
            return {"state": "failed", "text": told, "steps": todo, "cause": outcome.cause}
        assert outcome is not None
        return {"state": "failed", "text": _both(outcome)}


def _way(flow: str | None, interactive: bool) -> Way | None:
    if flow is None or not interactive:
        return None
    ways = [each for each in Way if each is not Way.APP]
    if flow not in ways:
        names = ", ".join(ways)
        raise Declined(f"kies een flow uit {names}", f"choose a flow from {names}")
    return Way(flow)


def _where(consent: PageConsent) -> Document:
    device = consent.user_code is not None
    return {
        "url": None if device else consent.address,
        "user_code": consent.user_code,
        "verification_url": consent.address if device else None,
        "redirect": consent.back,
        "expires_at": time_text(consent.expires_at),
    }


def _waiting(consent: PageConsent) -> Texts:
    return _filled(
        _WAITING[consent.way],
        username=consent.username,
        address=consent.address,
        code=consent.user_code,
        back=consent.back,
    )


def _filled(texts: Texts, **values: object) -> Texts:
    return texts[0].format_map(values), texts[1].format_map(values)


def _both(texts: Texts) -> dict[str, str]:
    return {"nl": texts[0], "en": texts[1]}
