"""Where a smarthost's connection goes, and whether it may go there without TLS."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Literal

from relay.access.address import is_private
from relay.config.model import AuthMethod, TlsMode

if TYPE_CHECKING:
    from presets.model import Endpoint, Preset
    from relay.config import locate, schema
    from relay.config.builder import Builder

DEFAULT_PORTS = {TlsMode.NONE: 25, TlsMode.STARTTLS: 587, TlsMode.IMPLICIT: 465}
# Names that no public server has (RFC 6762, RFC 8375, and by custom); nothing is looked up.
LOCAL_DOMAINS = (".local", ".localdomain", ".lan", ".internal", ".home.arpa")


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and what is known to be offered there."""

    host: str
    port: int
    tls: TlsMode
    mechanisms: tuple[str, ...] = ()
    asks_login: bool = False


def resolve_server(
    table: schema.SmarthostTable, preset: Preset | None, path: locate.Path, build: Builder
) -> Server:
    """The server by the file's keys, the preset's endpoint where they are silent."""
    endpoint = _endpoint(table, preset, path, build)
    named = table.host or _named_host(table, endpoint) or (endpoint.host if endpoint else "")
    host = named.lower()  # two spellings are one account (RFC 4343)
    if endpoint is not None and endpoint.blanks and named == endpoint.host:
        build.problems.error(
            (*path, "host"),
            f"ontbreekt: bij deze provider is het {endpoint.host!r}; vul het deel tussen < > in, uw provider noemt het",
            f"is missing: at this provider it is {endpoint.host!r}; fill in the part between < >, your provider tells it",
        )
    elif not host:
        build.problems.error(
            (*path, "host"),
            "ontbreekt; noem de server van uw provider, of een preset die er een kent",
            "is missing; name your provider's server, or a preset that knows one",
        )
    if endpoint is None:
        tls = table.tls
        if tls is None:
            # RFC 8314 section 7.3: port 465 is implicit TLS.
            tls = TlsMode.IMPLICIT if table.port == 465 else TlsMode.STARTTLS
        return Server(host, table.port or DEFAULT_PORTS[tls], tls)
    return Server(
        host=host,
        port=table.port or endpoint.port,
        tls=table.tls or TlsMode(endpoint.tls),
        mechanisms=tuple(name for name in endpoint.auth if name != "none"),
        asks_login="none" not in endpoint.auth,
    )


def _named_host(table: schema.SmarthostTable, endpoint: Endpoint | None) -> str | None:
    """The server where the preset was named by one, its blank filled in: web0123.zxcs.nl."""
    if table.preset is None or endpoint is None or not endpoint.blanks:
        return None
    from presets.names import fits, plain

    name = plain(table.preset)
    return name if fits(endpoint, name) else None


def _endpoint(
    table: schema.SmarthostTable, preset: Preset | None, path: locate.Path, build: Builder
) -> Endpoint | None:
    """The preset's endpoint that the keys point at; None where they stand on their own."""
    if preset is None or (best := preset.endpoint()) is None:
        return None
    if table.port is not None:
        endpoint = preset.endpoint(table.port)
        if endpoint is None and table.tls is None:
            ports = ", ".join(sorted({str(known.port) for known in preset.endpoints}))
            build.problems.error(
                (*path, "tls"),
                f"ontbreekt: de preset kent poort {table.port} niet (wel {ports}); geef tls erbij",
                f"is missing: the preset does not know port {table.port} (it knows {ports}); add tls",
            )
        # The port may be new to the preset; its host and mechanisms still hold.
        return endpoint or best
    if table.tls in (None, TlsMode.NONE, TlsMode(best.tls)):
        return best
    for endpoint in preset.endpoints:
        if TlsMode(endpoint.tls) is table.tls:
            return endpoint
    build.problems.error(
        (*path, "port"),
        f'ontbreekt: de preset kent geen poort met tls = "{table.tls}"',
        f'is missing: the preset knows no port with tls = "{table.tls}"',
    )
    return best


def check_plain(server: Server, auth: AuthMethod, path: locate.Path, build: Builder) -> None:
    """Without TLS: a login only on this machine, mail without one only inside the office."""
    where = neighbourhood(server.host)
    if server.tls is not TlsMode.NONE or where == "loopback" or not server.host:
        return
    if auth is not AuthMethod.NONE:
        build.problems.error(
            path,
            f'tls = "none" zou het wachtwoord leesbaar naar {server.host} sturen; gebruik "starttls" of "implicit"',
            f'tls = "none" would send the password readable to {server.host}; use "starttls" or "implicit"',
        )
    elif where == "private":
        build.problems.warning(
            path,
            f'tls = "none": mail gaat leesbaar naar {server.host}',
            f'tls = "none": mail goes readable to {server.host}',
        )
    else:
        build.problems.error(
            path,
            f'tls = "none" mag alleen binnen het kantoor, en {server.host} kan daarbuiten staan; gebruik "starttls", of noem het adres (192.168..)',
            f'tls = "none" is for inside the office only, and {server.host} may be outside; use "starttls", or give its address (192.168..)',
        )


def neighbourhood(host: str) -> Literal["loopback", "private", "public"]:
    """Loopback, private or public, by what the name says."""
    name = host.lower()
    try:
        address = ip_address(name)
    except ValueError:
        if name == "localhost":
            return "loopback"
        return "private" if "." not in name or name.endswith(LOCAL_DOMAINS) else "public"
    if not isinstance(address, IPv4Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return "loopback"
    return "private" if is_private(address) else "public"
