"""`relay account login`: consent to sending with an account, or prove that an app may."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import cell, local_time, print_json
from relay.cli.session import EXIT_PROBLEMS, EXIT_UNCHECKED, Session, open_session, talk

if TYPE_CHECKING:
    from relay.account.provider import Consented
    from relay.config.model import OAuth2, Smarthost
    from relay.smarthost.tokens import NoToken

CONSENT_SECONDS = 900.0  # as long as the issuers keep their own codes
_TRIES = 3  # of pasting an address

Whose = tuple["OAuth2", str]
"""How tokens are obtained, and for which user name."""


class Way(Enum):
    """How a consent comes back."""

    BROWSER = auto()
    """To a listener on this machine, and the browser is opened here."""
    WAIT = auto()
    """To a listener on this machine; somebody else opens the address."""
    PASTE = auto()
    DEVICE = auto()


def login(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A smarthost's name, or a user name.")
    ],
    device: Annotated[
        bool, typer.Option("--device", help="Type a code on any device (Microsoft only).")
    ] = False,
    paste: Annotated[
        bool, typer.Option("--paste", help="Consent on another machine, and paste the address.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Wait for the browser, but do not open one.")
    ] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Consent once to sending with an account (OAuth2); an app proves itself.

    Exit 0 stored, 1 refused, 3 could not check.

    Example: relay account login m365
    """
    from relay.account.provider import Consented

    session = open_session(config, lang, as_json, secrets=True)
    smarthost, oauth2 = _chosen(session, name)
    _can_be_stored(session, smarthost)
    whose = (oauth2, smarthost.username or "")
    way = chosen_way((device or (oauth2.flow == "device" and not no_browser), paste, no_browser))
    try:
        outcome = obtain(session, whose, way)
    except KeyboardInterrupt:
        talk("", session.text("login.stopped"))
        raise typer.Exit(EXIT_UNCHECKED) from None
    if isinstance(outcome, Consented):
        _keep(session, smarthost, oauth2, outcome)
    else:
        _tell_refusal(session, smarthost, oauth2, outcome)


def chosen_way(options: tuple[bool, bool, bool]) -> Way:
    """The way for these options: device, paste, no browser."""
    device, paste, no_browser = options
    if paste:
        return Way.PASTE
    if device:
        return Way.DEVICE
    if no_browser:
        return Way.WAIT
    return Way.BROWSER if has_browser(os.environ, sys.platform) else Way.PASTE


def has_browser(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser opened here would be in front of the person who asks."""
    if environ.get("SSH_CONNECTION"):
        return False
    if platform in ("win32", "darwin"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def obtain(session: Session, whose: Whose, way: Way) -> Consented | NoToken:
    """The grant; an app without a user needs no consent and fetches a token at once."""
    from relay.account.provider import Consented, provider_of
    from relay.clock import utc_now
    from relay.spool.vault_entry import Grant

    oauth2, username = whose
    if not oauth2.interactive:
        talk(session.text("login.proving", username=username))
        found = provider_of(oauth2).fetch(oauth2, username, None, utc_now())
        return Consented(found, None) if isinstance(found, Grant) else found
    if way is Way.DEVICE:
        return _by_device(session, whose)
    if way is Way.PASTE:
        return _by_paste(session, whose)
    return _by_loopback(session, whose, way)


def _by_device(session: Session, whose: Whose) -> Consented | NoToken:
    from relay.account.consent import wait_for_device
    from relay.account.provider import provider_of
    from relay.clock import utc_now
    from relay.smarthost.tokens import NoToken

    oauth2, username = replace(whose[0], flow="device"), whose[1]
    consent = provider_of(oauth2).begin_device(oauth2, username, utc_now())
    if isinstance(consent, NoToken):
        return consent
    known = {"address": consent.address, "code": consent.user_code, "username": username}
    talk(session.text("login.device", **known))
    return wait_for_device(consent, utc_now, threading.Event().wait)


def _by_paste(session: Session, whose: Whose) -> Consented | NoToken:
    from relay.account.consent import PASTE_PORT, finish, read_redirect, redirect_uri
    from relay.account.provider import provider_of
    from relay.clock import utc_now
    from relay.smarthost.tokens import NoToken

    oauth2, username = whose
    back = redirect_uri(oauth2, PASTE_PORT)
    consent = provider_of(oauth2).begin_code(oauth2, username, back, utc_now())
    if isinstance(consent, NoToken):
        return consent
    talk(session.text("login.paste", username=username, address=consent.address, back=back))
    answer = None
    for _ in range(_TRIES):
        line = sys.stdin.readline()
        if not line:
            break
        answer = read_redirect(line)
        if answer is not None:
            break
        talk(session.text("login.paste-again", back=back))
    return finish(consent, answer, whose, utc_now())


def _by_loopback(session: Session, whose: Whose, way: Way) -> Consented | NoToken:
    from presets.verdict import Scope
    from relay.account.consent import Loopback, finish, redirect_uri
    from relay.account.provider import provider_of
    from relay.clock import utc_now
    from relay.smarthost.tokens import NoToken

    oauth2, username = whose
    with Loopback(session.language) as loopback:
        back = redirect_uri(oauth2, loopback.port)
        consent = provider_of(oauth2).begin_code(oauth2, username, back, utc_now())
        if isinstance(consent, NoToken):
            return consent
        loopback.expect(consent.state)
        known = {"username": username, "address": consent.address, "port": loopback.port}
        talk(session.text("login.browser" if way is Way.BROWSER else "login.wait", **known))
        if way is Way.BROWSER:
            _open_browser(consent.address)
        answer = loopback.wait(CONSENT_SECONDS)
    if answer is None:
        return NoToken(Scope.UNKNOWN, "consent-timeout", f"{username}: no answer in time")
    return finish(consent, answer, whose, utc_now())


def _open_browser(address: str) -> None:
    """The address is printed already: a browser that does not open is no trouble."""
    import webbrowser

    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


def _chosen(session: Session, name: str) -> tuple[Smarthost, OAuth2]:
    """The smarthost that a name or a user name means, and how it gets tokens; else exit 2."""
    known = session.config.smarthosts
    found = [each for each in known if each.name == name]
    found = found or [each for each in known if each.username == name]
    for each in found:
        if each.oauth2 is not None:
            return each, each.oauth2
    session.stop("login.password" if found else "login.unknown", name=cell(name))


def _can_be_stored(session: Session, smarthost: Smarthost) -> None:
    """Ends with the reason where a consent would be lost: before anybody consents."""
    from relay.cli.ask import ask

    listed = ask(session, "account login", lambda desk: desk.account_list(session.language))
    for account in listed["accounts"]:
        if smarthost.name in account["smarthosts"] and account["auth"] == "oauth2":
            return
    session.stop("login.reload", name=smarthost.name)


def _keep(session: Session, smarthost: Smarthost, oauth2: OAuth2, outcome: Consented) -> None:
    from relay.account.validity import works_until
    from relay.cli.ask import ask
    from relay.clock import utc_now
    from relay.control.documents import document, time_text

    ask(
        session,
        "account login",
        lambda desk: desk.account_grant(smarthost.name, outcome.grant),
    )
    username, account = smarthost.username or "", outcome.account
    other = account is not None and account.casefold() != username.casefold()
    if other:
        talk(session.text("login.other", account=cell(account), username=username))
    validity = works_until(oauth2, outcome.grant, utc_now())
    if session.as_json:
        found = document(
            "account login",
            verdict="warn" if other else "pass",
            smarthost=smarthost.name,
            host=smarthost.host,
            username=username,
            account=account,
            scopes=list(outcome.grant.scopes),
            works_until=time_text(validity.until),
            works_until_reason=validity.reason,
        )
        print_json(found)
        return
    print(session.text("login.stored", username=username, name=smarthost.name))
    reason = validity.text(session.language)
    if validity.until is None:
        print(session.text("login.no-end", reason=reason))
    else:
        until = local_time(time_text(validity.until))
        print(session.text("login.until", until=until, reason=reason))


def _tell_refusal(session: Session, smarthost: Smarthost, oauth2: OAuth2, why: NoToken) -> None:
    from presets.verdict import Scope
    from relay.account.refusal import meaning, steps
    from relay.control.documents import document

    username, language = smarthost.username or "", session.language
    refused = why.scope is Scope.ACCOUNT
    told = meaning(why.cause, language) or why.cause
    todo = steps(why.cause, oauth2, username, language)
    if session.as_json:
        found = document(
            "account login",
            verdict="fail" if refused else "unknown",
            smarthost=smarthost.name,
            host=smarthost.host,
            username=username,
            scope=why.scope.value,
            cause=why.cause,
            detail=why.detail,
            meaning=told,
            steps=list(todo),
        )
        print_json(found)
    else:
        talk(told, f"  ({cell(why.detail)})")
        talk(*(f"  {number}. {step}" for number, step in enumerate(todo, 1)))
    raise typer.Exit(EXIT_PROBLEMS if refused else EXIT_UNCHECKED)
