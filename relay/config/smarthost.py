"""A `[[smarthost]]` with its preset merged in: each key of the file overrides the preset's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.config import locate, schema
from relay.config.builder import Builder
from relay.config.model import AuthMethod, Smarthost
from relay.config.oauth2 import resolve_oauth2
from relay.config.server import Server, check_plain, resolve_server
from relay.config.syntax import account_address

if TYPE_CHECKING:
    from presets.model import Preset

DEFAULT_CONNECTIONS = 2
DEFAULT_RECIPIENTS = 100
OAUTH2_ONLY = {"XOAUTH2", "OAUTHBEARER"}


def resolve_smarthost(table: schema.SmarthostTable, path: locate.Path, build: Builder) -> Smarthost:
    """The smarthost. What is missing or contradicts goes to `build.problems`."""
    if table.name is None:
        build.problems.error(
            (*path, "name"),
            'ontbreekt; geef een naam, zoals "isp"',
            'is missing; give a name such as "isp"',
        )
    preset = _preset(table.preset, (*path, "preset"), build)
    server = resolve_server(table, preset, path, build)
    auth = _auth(table, path, build)
    check_plain(server, auth, (*path, "tls"), build)
    _compare_login(server, auth, path, build)
    username = None if auth is AuthMethod.NONE else table.username
    certificate, key = build.pair(
        table.client_certificate, table.client_key, (path, "client_certificate", "client_key")
    )
    limit = preset.limit if preset is not None else lambda _: None
    return Smarthost(
        name=table.name or "",
        preset=preset.id if preset is not None else None,
        host=server.host,
        port=server.port,
        tls=server.tls,
        ca_file=build.authority(table.ca_file, (*path, "ca_file")),
        auth=auth,
        username=username,
        password=build.secret(table.password, (*path, "password")),
        mechanisms=server.mechanisms,
        allowed_senders=_allowed_senders(table, preset, username, (path, build)),
        max_connections=table.max_connections
        or min(DEFAULT_CONNECTIONS, limit("concurrent_connections") or DEFAULT_CONNECTIONS),
        messages_per_minute=table.messages_per_minute or limit("messages_per_minute"),
        messages_per_day=table.messages_per_day or limit("messages_per_day"),
        recipients_per_day=table.recipients_per_day or limit("recipients_per_day"),
        max_recipients=table.max_recipients
        or limit("recipients_per_message")
        or DEFAULT_RECIPIENTS,
        sender=build.policy(table.sender, (*path, "sender"), account_address(username)),
        oauth2=resolve_oauth2(table.oauth2, preset, username, ((*path, "oauth2"), build))
        if auth is AuthMethod.OAUTH2
        else None,
        client_certificate=certificate,
        client_key=key,
    )


def _preset(name: str | None, path: locate.Path, build: Builder) -> Preset | None:
    if name is None:
        return None
    from presets.catalog import UnknownPreset, catalog

    try:
        resolution = catalog().resolve(name)
    except UnknownPreset as unknown:
        build.problems.error(path, unknown.text.get("nl"), unknown.text.get("en"))
        # Only the name is wrong: what the preset would have filled in is not missing as well.
        for key in ("host", "port", "tls"):
            build.problems.dropped.add((*path[:-1], key))
        return None
    if resolution.warning is not None:
        build.problems.warning(path, resolution.warning["nl"], resolution.warning["en"])
    return resolution.preset


def _auth(table: schema.SmarthostTable, path: locate.Path, build: Builder) -> AuthMethod:
    auth = table.auth
    if auth is None and table.oauth2 is not None:
        auth = AuthMethod.OAUTH2
    elif auth is None:
        has_login = table.username is not None or table.password is not None
        auth = AuthMethod.PASSWORD if has_login else AuthMethod.NONE
    if table.oauth2 is not None and auth is not AuthMethod.OAUTH2:
        build.problems.warning(
            (*path, "oauth2"),
            f'heeft geen effect bij auth = "{auth}"',
            f'has no effect with auth = "{auth}"',
        )
    if auth is AuthMethod.OAUTH2 and table.password is not None:
        build.problems.warning(
            (*path, "password"),
            'heeft geen effect bij auth = "oauth2"',
            'has no effect with auth = "oauth2"',
        )
    for key in ("username", "password"):
        given = getattr(table, key) is not None
        if auth is AuthMethod.PASSWORD and not given:
            build.problems.error(
                (*path, key),
                "ontbreekt; zonder lukt het inloggen niet",
                "is missing; the login needs it",
            )
        if auth is AuthMethod.NONE and given:
            build.problems.warning(
                (*path, key),
                'heeft geen effect bij auth = "none"',
                'has no effect with auth = "none"',
            )
    return auth


def _compare_login(server: Server, auth: AuthMethod, path: locate.Path, build: Builder) -> None:
    """Warns of a login that the preset's server does not take, or takes mail without."""
    if auth is AuthMethod.NONE and server.asks_login:
        build.problems.warning(
            (*path, "username"),
            f"ontbreekt; {server.host} vraagt een inlog",
            f"is missing; {server.host} asks for a login",
        )
    if auth is AuthMethod.PASSWORD and server.mechanisms and set(server.mechanisms) <= OAUTH2_ONLY:
        build.problems.warning(
            (*path, "password"),
            f"{server.host} neemt alleen OAuth2 aan en zal een wachtwoord weigeren",
            f"{server.host} takes OAuth2 only and will refuse a password",
        )


def _allowed_senders(
    table: schema.SmarthostTable,
    preset: Preset | None,
    username: str | None,
    where: tuple[locate.Path, Builder],
) -> tuple[str, ...]:
    """What the account may send as: as written, else by the preset's sender rule.

    Only the account's own address where sender and account must match or nothing is known of
    it, and where the server writes that address itself; anything where they need not match, or
    without a login.
    """
    if table.allowed_senders is not None:
        return tuple(table.allowed_senders)
    if username is None or (preset and preset.sender_rule.must_match_account is False):
        return ("*",)
    if (own := account_address(username)) is not None:
        return (own,)
    if preset is None:
        return ("*",)  # the login says nothing about addresses, and nobody else does
    path, build = where
    build.problems.warning(
        (*path, "allowed_senders"),
        f"ontbreekt; {preset.name} neemt alleen mail van het eigen adres aan, en {username!r} is geen adres",
        f"is missing; {preset.name} takes mail from the account's own address only, and {username!r} is no address",
    )
    return ("*",)
