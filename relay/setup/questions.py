"""What `relay setup` asks, and in which order: from the answers so far to the next question.

Nothing is read, dialled or printed here. An answer is text, as it is kept in the draft; what the
texts may be is said in `relay.setup.answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from presets.catalog import catalog
from presets.model import Endpoint, Preset
from relay.config.fault import Language
from relay.config.server import neighbourhood
from relay.config.syntax import account_address

OTHER = "other"
"""The provider that no preset stands for."""

HERE = "here"
LEARN = "learn"
NOBODY = "none"
YES, NO = "yes", "no"

_TLS = ("starttls", "implicit", "none")
_OAUTH2 = frozenset({"XOAUTH2", "OAUTHBEARER"})
_FLOWS = ("code", "device", "client-credentials", "service-account")
_MICROSOFT = "login.microsoftonline.com"


@dataclass(frozen=True, slots=True)
class Found:
    """A server that the address's domain leads to: by mail-domain, mx or srv."""

    way: str
    evidence: str
    preset: str | None
    host: str
    port: int
    tls: str


@dataclass(frozen=True, slots=True)
class Situation:
    """The answers so far, which secrets were given, and what was found out for them."""

    answers: Mapping[str, str]
    secrets: frozenset[str] = frozenset()
    found: tuple[Found, ...] = ()
    language: Language = "en"

    @property
    def preset(self) -> Preset | None:
        """The provider chosen; None for another, or while nothing is chosen."""
        name = self.answers.get("provider", OTHER)
        return None if name == OTHER else catalog().resolve(name).preset

    @property
    def endpoint(self) -> Endpoint | None:
        """The provider's server."""
        preset = self.preset
        return preset.endpoint() if preset is not None else None


@dataclass(frozen=True, slots=True)
class Question:
    """One question. Enter takes `proposal`; the answer to a `secret` one is kept nowhere."""

    name: str
    proposal: str | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False

    @property
    def option(self) -> str:
        """The option that answers it."""
        return "--" + self.name.replace("_", "-") + ("-file" if self.secret else "")


Asker = Callable[[Situation], Question | None]


def next_question(situation: Situation, given: Collection[str] = frozenset()) -> Question | None:
    """The first question that needs an answer and has none; None when all is answered.

    What is `given` has an answer that was not read yet, and is asked for even where the answers
    before it leave it open: a host that overrides the preset's.
    """
    for name, asker in QUESTIONS.items():
        if name in situation.answers or name in situation.secrets:
            continue
        question = asker(situation)
        if question is None and name in given:
            choices = {"tls": _TLS, "auth": auth_choices(situation)}.get(name, ())
            question = Question(name, choices=choices)
        if question is not None:
            return question
    return None


ALONE = frozenset(
    {
        *("password", "client_secret", "sender", "any_login"),
        *("listen", "postmaster", "ordernow", "test_to"),
    }
)
"""Questions whose answer no other question depends on."""


def _language(at: Situation) -> Question:
    return Question("language", at.language, ("nl", "en"))


def _address(_: Situation) -> Question:
    return Question("address")


def _provider(at: Situation) -> Question:
    named = next((each.preset for each in at.found if each.preset), None)
    return Question("provider", named or (OTHER if at.found else None))


def _host(at: Situation) -> Question | None:
    end = at.endpoint
    if end is not None and not end.blanks:
        return None
    published = _published(at)
    return Question("host", published.host if end is None and published else None)


def _port(at: Situation) -> Question | None:
    if at.endpoint is not None:
        return None
    published = _published(at)
    return Question("port", str(published.port) if published else "587")


def _tls(at: Situation) -> Question | None:
    if at.endpoint is not None:
        return None
    # RFC 8314 section 7.3: port 465 is implicit TLS.
    usual = "implicit" if at.answers.get("port") == "465" else "starttls"
    published = _published(at)
    return Question("tls", published.tls if published else usual, _TLS)


def _published(at: Situation) -> Found | None:
    return next((each for each in at.found if each.preset is None), None)


def auth_choices(at: Situation) -> tuple[str, ...]:
    """The ways to log in that the server takes, the one to propose first."""
    end, preset = at.endpoint, at.preset
    if end is None or preset is None:
        # A password crosses a network only inside TLS.
        plain = at.answers.get("tls") == "none" and neighbourhood(at.answers["host"]) != "loopback"
        return ("none",) if plain else ("password", "none")
    ways = []
    if any(name not in {"none", *_OAUTH2} for name in end.auth):
        ways.append("password")
    if _OAUTH2 & set(end.auth) and flows(preset):
        # Where passwords end OAuth2 is worth its trouble; elsewhere a password is the short way.
        ways.insert(0 if preset.password_ends else len(ways), "oauth2")
    if "none" in end.auth:
        ways.append("none")
    return tuple(ways)


def flows(preset: Preset) -> tuple[str, ...]:
    """The ways to get tokens that the relay knows for a provider."""
    known = preset.oauth2.flows if preset.oauth2 is not None else ()
    return tuple(name for name in _FLOWS if any(flow.kind == name for flow in known))


def _auth(at: Situation) -> Question | None:
    choices = auth_choices(at)
    return Question("auth", choices[0], choices) if len(choices) > 1 else None


def auth_of(at: Situation) -> str:
    """The way to log in that was chosen, or is the only one."""
    return at.answers.get("auth") or next(iter(auth_choices(at)), "none")


def _username(at: Situation) -> Question | None:
    if auth_of(at) == "none":
        return None
    end = at.endpoint
    whole = end is None or "full e-mail address" in end.username
    return Question("username", at.answers.get("address") if whole else None)


def _password(at: Situation) -> Question | None:
    return Question("password", secret=True) if auth_of(at) == "password" else None


def _flow(at: Situation) -> Question | None:
    preset = at.preset
    if auth_of(at) != "oauth2" or preset is None:
        return None
    return Question("flow", flows(preset)[0], flows(preset))


def _client_id(at: Situation) -> Question | None:
    if auth_of(at) != "oauth2" or at.answers.get("flow") == "service-account":
        return None
    return Question("client_id")


def _tenant(at: Situation) -> Question | None:
    if auth_of(at) != "oauth2" or not is_microsoft(at):
        return None
    tenants = at.preset.oauth2.tenants if at.preset and at.preset.oauth2 else ()
    alone = at.answers.get("flow") == "client-credentials"  # signs in at one tenant
    return Question("tenant", None if alone else next(iter(tenants), "organizations"))


def _client_secret(at: Situation) -> Question | None:
    if auth_of(at) != "oauth2":
        return None
    if is_microsoft(at) and at.answers.get("flow") != "client-credentials":
        return None
    return Question("client_secret", secret=True)


def is_microsoft(at: Situation) -> bool:
    """Whether Microsoft issues the provider's tokens; Google does else."""
    oauth2 = at.preset.oauth2 if at.preset is not None else None
    return oauth2 is not None and _MICROSOFT in (oauth2.value("authority") or "")


def _sender(at: Situation) -> Question:
    rule = at.preset.sender_rule.must_match_account if at.preset is not None else None
    own = account_address(at.answers.get("username"))
    proposal = "rewrite" if rule is True and own is not None else "keep"
    return Question("sender", proposal, ("keep", "rewrite", "force"))


def _machines(_: Situation) -> Question:
    return Question("machines", HERE)


def _any_login(_: Situation) -> Question:
    return Question("any_login", NO, (YES, NO))


def _listen(at: Situation) -> Question:
    # A name of this machine's own network card would fail once the router hands out another.
    return Question("listen", f"{'127.0.0.1' if here_only(at) else '0.0.0.0'}:2525")


def here_only(at: Situation) -> bool:
    """Whether only programs on this machine send."""
    return at.answers.get("machines", HERE) == HERE


def _postmaster(at: Situation) -> Question:
    return Question("postmaster", at.answers.get("address"))


def _ordernow(at: Situation) -> Question | None:
    return Question("ordernow", NO, (YES, NO)) if own_domain(at) else None


def own_domain(at: Situation) -> str | None:
    """The domain whose records the office can change; None where it is a provider's."""
    domain = at.answers.get("address", "").rpartition("@")[2].lower()
    return domain if domain and catalog().by_domain(domain) is None else None


def _test_to(at: Situation) -> Question:
    return Question("test_to", at.answers.get("postmaster"))


QUESTIONS: Mapping[str, Asker] = {
    "language": _language,
    "address": _address,
    "provider": _provider,
    "host": _host,
    "port": _port,
    "tls": _tls,
    "auth": _auth,
    "username": _username,
    "password": _password,
    "flow": _flow,
    "client_id": _client_id,
    "tenant": _tenant,
    "client_secret": _client_secret,
    "sender": _sender,
    "machines": _machines,
    "any_login": _any_login,
    "listen": _listen,
    "postmaster": _postmaster,
    "ordernow": _ordernow,
    "test_to": _test_to,
}
"""Every question by its name, in the order in which they are asked."""
