"""From the tables of the file to the `Config` that the relay works with; the smarthosts apart."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from relay.access.address import LARGEST_OPEN, Network, is_private_network
from relay.config import locate, schema
from relay.config.builder import Builder
from relay.config.defaults import default_spool_url, locale_language, own_hostname
from relay.config.dkim_key import GOOD_BITS, private_key
from relay.config.fault import BadValueError
from relay.config.model import (
    Alarm,
    Client,
    Config,
    Delivery,
    Dkim,
    Listener,
    Route,
    SenderPolicy,
    Smarthost,
    Spool,
    TlsMode,
    Web,
)
from relay.config.password_hash import check_password_hash
from relay.config.places import state_directory
from relay.config.secret import SecretError, SecretRef
from relay.config.server import neighbourhood
from relay.config.smarthost import resolve_smarthost
from relay.config.syntax import sqlite_path
from relay.config.tables import Read, Tables

LOCAL_CLIENT = "local"
_WAYS = ("webhook", "mail_to", "command", "syslog")


def resolve(tables: Tables, build: Builder) -> Config:
    """The configuration. What is wrong with it goes to `build.problems`; look there first."""
    listeners = tuple(_listener(table, path, build) for path, table in tables.listeners)
    _distinct(_names(tables.listeners, "address"), build)
    clients = _clients(tables.clients, build)
    smarthosts = tuple(resolve_smarthost(table, path, build) for path, table in tables.smarthosts)
    _distinct(_names(tables.smarthosts, "name"), build)
    spool = _spool(tables.spool, build)
    _check_tokens(spool, smarthosts, build)
    return Config(
        language=tables.top.language or locale_language(build.environ),
        hostname=tables.top.hostname or own_hostname(),
        postmaster=tables.top.postmaster,
        spool=spool,
        listeners=listeners or (Listener("127.0.0.1", 2525),),
        clients=clients,
        smarthosts=smarthosts,
        routes=_routes(tables, build),
        sender=build.policy(tables.sender, ("sender",)) or SenderPolicy(),
        dkim=_dkim(tables.dkim, build),
        delivery=Delivery(**dict(tables.delivery)),
        web=_web(tables.web, build),
        alarms=_alarms(tables, build),
    )


def _spool(table: schema.SpoolTable, build: Builder) -> Spool:
    url = table.url or default_spool_url(state_directory(build.environ))
    path = sqlite_path(url)
    if path is not None and table.password is not None:
        build.problems.warning(
            ("spool", "password"),
            "heeft geen effect: een SQLite-spool heeft geen wachtwoord",
            "has no effect: a SQLite spool has no password",
        )
    return Spool(
        url=url,
        path=path,
        state=state_directory(build.environ) if path is None else None,
        password=build.secret(table.password, ("spool", "password")),
        secret_key=build.secret(table.secret_key, ("spool", "secret_key")),
        lifetime=table.lifetime,
        reserve_bytes=table.reserve_bytes,
        history=table.history,
        statistics=table.statistics,
        refused=table.refused,
        keep_subjects=table.keep_subjects,
    )


def _check_tokens(spool: Spool, smarthosts: Iterable[Smarthost], build: Builder) -> None:
    """What the nodes of a shared spool have of one another is never kept in clear."""
    oauth2 = [smarthost.name for smarthost in smarthosts if smarthost.oauth2 is not None]
    if spool.path is None and spool.secret_key is None and oauth2:
        build.problems.error(
            ("spool", "secret_key"),
            f"ontbreekt; de tokens van {oauth2[0]} staan in een gedeelde spool en worden daarom"
            " versleuteld, met op elke node dezelfde sleutel",
            f"is missing; the tokens of {oauth2[0]} stand in a shared spool and are therefore"
            " encrypted, with the same key on each node",
        )


def _listener(table: schema.ListenerTable, path: locate.Path, build: Builder) -> Listener:
    certificate, key = build.pair(table.certificate, table.key, (path, "certificate", "key"))
    if table.tls is not TlsMode.NONE and certificate is None:
        build.problems.error(
            (*path, "certificate"),
            f'ontbreekt; tls = "{table.tls}" heeft een certificaat en sleutel nodig',
            f'is missing; tls = "{table.tls}" needs a certificate and key',
        )
    if table.tls is TlsMode.NONE and certificate is not None:
        build.problems.warning(
            (*path, "certificate"),
            'heeft geen effect bij tls = "none"; bedoelt u "starttls"?',
            'has no effect with tls = "none"; do you mean "starttls"?',
        )
    for network in table.proxy_protocol:
        _check_balancer(network, (*path, "proxy_protocol"), build)
    return Listener(
        host=table.address.host,
        port=table.address.port,
        tls=table.tls,
        certificate=certificate,
        key=key,
        min_tls=table.min_tls,
        proxy_protocol=tuple(table.proxy_protocol),
        max_connections=table.max_connections,
        max_message_bytes=table.max_message_bytes,
        max_recipients=table.max_recipients,
    )


def _clients(tables: Read[schema.ClientTable], build: Builder) -> tuple[Client, ...]:
    clients: list[Client] = []
    owners: dict[Network, str] = {}
    _distinct(_names(tables, "name"), build)
    for path, table in tables:
        name = table.name or f"client-{path[-1]}"
        for network in table.networks:
            _check_network(network, table.open, (*path, "networks"), build)
            if (owner := owners.setdefault(network, name)) != name:
                build.problems.error(
                    (*path, "networks"),
                    f"{network} staat ook bij client {owner}; laat het op een plaats staan",
                    f"{network} stands at client {owner} too; leave it in one place",
                )
        clients.append(
            Client(
                name=name,
                networks=tuple(table.networks),
                any_login=table.any_login,
                require_tls=table.require_tls,
                max_connections=table.max_connections,
                max_message_bytes=table.max_message_bytes,
                messages_per_minute=table.messages_per_minute,
                sender=build.policy(table.sender, (*path, "sender")),
            )
        )
    return tuple(clients)


def _check_network(network: Network, is_open: bool, path: locate.Path, build: Builder) -> None:
    widest = LARGEST_OPEN[network.version]
    if network.prefixlen < widest and not is_open and not is_private_network(network):
        build.problems.error(
            path,
            f"{network} laat een groot deel van internet toe; maak het /{widest} of kleiner, of zet open = true",
            f"{network} lets in a large part of the internet; make it /{widest} or smaller, or set open = true",
        )


def _check_balancer(network: Network, path: locate.Path, build: Builder) -> None:
    widest = LARGEST_OPEN[network.version]
    if network.prefixlen < widest and not is_private_network(network):
        build.problems.error(
            path,
            f"{network} laat een groot deel van internet elk adres opgeven; noem alleen de load balancers",
            f"{network} lets a large part of the internet claim any address; name the load balancers only",
        )


def _routes(tables: Tables, build: Builder) -> tuple[Route, ...]:
    clients = {table.name or f"client-{path[-1]}" for path, table in tables.clients}
    routes: list[Route] = []
    for path, table in tables.routes:
        for smarthost in table.smarthost:
            _known_smarthost(smarthost, (*path, "smarthost"), tables, build)
        # Without any [[client]] this machine itself is the client "local".
        if table.client is not None and table.client not in (clients or {LOCAL_CLIENT}):
            build.problems.error(
                (*path, "client"),
                f"er is geen [[client]] met de naam {table.client!r}",
                f"there is no [[client]] named {table.client!r}",
            )
        policy = table.sender if isinstance(table.sender, schema.SenderTable) else None
        routes.append(
            Route(
                sender=table.sender if isinstance(table.sender, str) else None,
                client=table.client,
                recipient=table.recipient,
                smarthosts=tuple(table.smarthost),
                policy=build.policy(policy, (*path, "sender")),
            )
        )
    return tuple(routes)


def _known_smarthost(name: str, path: locate.Path, tables: Tables, build: Builder) -> None:
    if name not in {table.name for _, table in tables.smarthosts}:
        build.problems.error(
            path,
            f"er is geen [[smarthost]] met de naam {name!r}",
            f"there is no [[smarthost]] named {name!r}",
        )


def _dkim(tables: Read[schema.DkimTable], build: Builder) -> tuple[Dkim, ...]:
    keys: list[Dkim] = []
    domains: list[tuple[locate.Path, object]] = []
    for path, table in tables:
        domain = table.domain.lower()
        domains.append(((*path, "domain"), domain))
        if "." not in domain:
            build.problems.error(
                (*path, "domain"),
                f"{domain!r} is geen domein van u; noem het deel achter de @",
                f"{domain!r} is no domain of yours; name the part behind the @",
            )
        key = build.secret(table.key, (*path, "key"))
        if key is not None:
            _check_dkim_key(key, (*path, "key"), build)
            keys.append(Dkim(domain, table.selector.lower(), key))
    _distinct(domains, build)
    return tuple(keys)


def _check_dkim_key(reference: SecretRef, path: locate.Path, build: Builder) -> None:
    try:
        bits = private_key(reference.read(build.environ)).key_size
    except SecretError:
        return  # noted by the builder
    except BadValueError as error:
        build.problems.unusable(path, error)
        return
    if bits < GOOD_BITS:
        build.problems.warning(
            path,
            f"de sleutel heeft maar {bits} bits; maak er een van {GOOD_BITS} onder een nieuwe selector: relay dkim keygen DOMEIN --selector S",
            f"the key has only {bits} bits; make one of {GOOD_BITS} under a new selector: relay dkim keygen DOMAIN --selector S",
        )


def _web(table: schema.WebTable, build: Builder) -> Web:
    certificate, key = build.pair(table.certificate, table.key, (("web",), "certificate", "key"))
    password_hash = build.secret(table.password_hash, ("web", "password_hash"))
    if password_hash is not None:
        _check_password_hash(password_hash, build)
    host = table.address.host
    if table.enabled and neighbourhood(host) != "loopback":
        _check_open_page(host, password_hash is not None, certificate is not None, build)
    return Web(
        enabled=table.enabled,
        host=table.address.host,
        port=table.address.port,
        hosts=tuple(table.hosts),
        password_hash=password_hash,
        certificate=certificate,
        key=key,
        show_bodies=table.show_bodies,
    )


def _check_password_hash(password_hash: SecretRef, build: Builder) -> None:
    try:
        text = password_hash.read(build.environ)
    except SecretError:
        return  # noted already
    try:
        check_password_hash(text)
    except BadValueError as error:
        build.problems.unusable(("web", "password_hash"), error)


def _check_open_page(host: str, has_password: bool, has_tls: bool, build: Builder) -> None:
    """What a page needs that other machines can reach."""
    if not has_password:
        build.problems.error(
            ("web", "address"),
            f"{host} is ook vanaf andere computers te bereiken; zet password_hash = {{ file = .. }} met een hash van relay web password, of gebruik 127.0.0.1",
            f"{host} can be reached from other machines; set password_hash = {{ file = .. }} with a hash from relay web password, or use 127.0.0.1",
        )
    elif not has_tls:
        build.problems.warning(
            ("web", "address"),
            f"{host} is zonder certificate onversleuteld te bereiken: het netwerk kan wachtwoord en mail meelezen; zet certificate en key",
            f"{host} is reached unencrypted without a certificate: the network can read password and mail; set certificate and key",
        )


def _alarms(tables: Tables, build: Builder) -> tuple[Alarm, ...]:
    alarms: list[Alarm] = []
    for path, table in tables.alarms:
        given = table.webhook or table.mail_to or table.command or table.syslog
        # A way with a fault of its own is one all the same.
        if not given and not any((*path, way) in build.problems.dropped for way in _WAYS):
            build.problems.error(
                path,
                "noemt geen weg: webhook, mail_to, command of syslog = true",
                "names no way: webhook, mail_to, command or syslog = true",
            )
        if table.webhook is not None and table.webhook.startswith("http://"):
            _check_webhook(table.webhook, (*path, "webhook"), build)
        if table.smarthost is not None:
            _known_smarthost(table.smarthost, (*path, "smarthost"), tables, build)
            if table.mail_to is None:
                build.problems.warning(
                    (*path, "smarthost"),
                    "heeft geen effect zonder mail_to",
                    "has no effect without mail_to",
                )
        command = None if table.command is None else tuple(table.command)
        alarms.append(Alarm(table.webhook, table.mail_to, table.smarthost, command, table.syslog))
    mail_only = not any(each.webhook or each.command or each.syslog for each in alarms)
    if alarms and mail_only and len(tables.smarthosts) == 1:
        build.problems.warning(
            ("alarm", 0),
            "gaat alleen over de smarthost waar een alarm over kan gaan; noem ook een andere weg: een tweede smarthost, webhook, command of syslog = true",
            "goes only by the smarthost that an alarm may be about; name another way too: a second smarthost, webhook, command or syslog = true",
        )
    return tuple(alarms)


def _check_webhook(url: str, path: locate.Path, build: Builder) -> None:
    if neighbourhood(urlsplit(url).hostname or "") == "public":
        build.problems.error(
            path,
            "http gaat alleen naar deze computer of het eigen netwerk; gebruik https://",
            "http goes to this machine or the own network only; use https://",
        )


def _names(
    tables: Iterable[tuple[locate.Path, schema.Table]], key: str
) -> list[tuple[locate.Path, object]]:
    return [((*path, key), getattr(table, key)) for path, table in tables]


def _distinct(values: list[tuple[locate.Path, object]], build: Builder) -> None:
    """Notes each value that stood at an earlier table already; one that was dropped is no value."""
    seen: set[object] = set()
    for path, value in values:
        if value is None or path in build.problems.dropped:
            continue
        if value in seen:
            shown = ":".join(map(str, value)) if isinstance(value, tuple) else value
            build.problems.error(
                path, f"{shown!r} staat er al een keer", f"{shown!r} stands there already"
            )
        seen.add(value)
