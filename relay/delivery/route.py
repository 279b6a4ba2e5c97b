"""Which smarthost takes a recipient's mail, and which sender policy applies.

Computed anew at each attempt from the configuration in force, never stored: a reload moves what
is queued.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from relay.config.model import Config, Route, SenderPolicy
from relay.message.policy import matches

PolicyPlace = Literal["client", "route", "smarthost", "sender"]
"""A table of the configuration that may hold a sender policy."""


@dataclass(frozen=True, slots=True)
class Path:
    """The smarthosts for one recipient in order of failover; `route` is the rule that matched.

    `rule` is the place of that rule in the file, counted from 0; None: no rule matched, and the
    first smarthost takes it.
    """

    smarthosts: tuple[str, ...]
    route: Route | None = None
    rule: int | None = None


def find_path(config: Config, client: str, sender: str | None, recipient: str) -> Path:
    """The first route whose conditions all hold; without one, the first smarthost."""
    for rule, route in enumerate(config.routes):
        if _applies(route, client, sender, recipient):
            return Path(route.smarthosts, route, rule)
    return Path(tuple(smarthost.name for smarthost in config.smarthosts[:1]))


def choose_lane(path: Path, blocked: Collection[str]) -> str:
    """The first smarthost of a path that is not blocked; if all are, the first.

    Without any smarthost (sandbox) the lane has no name.
    """
    for name in path.smarthosts:
        if name not in blocked:
            return name
    return path.smarthosts[0] if path.smarthosts else ""


def sender_policy(config: Config, client: str, path: Path, smarthost: str) -> SenderPolicy:
    """The most specific policy that is set: client, route, smarthost, `[sender]`."""
    return policy_and_place(config, client, path, smarthost)[0]


def policy_and_place(
    config: Config, client: str, path: Path, smarthost: str
) -> tuple[SenderPolicy, PolicyPlace]:
    """The policy that `sender_policy` gives, and the table in which it stands."""
    found = _policies(config, client, path, smarthost)
    return next((policy, place) for policy, place in found if policy is not None)


def copies(config: Config, client: str, path: Path) -> tuple[str, ...]:
    """The addresses that get a copy of a message, decided when it is accepted."""
    smarthost = path.smarthosts[0] if path.smarthosts else None
    return sender_policy(config, client, path, smarthost or "").bcc


def _policies(
    config: Config, client: str, path: Path, smarthost: str
) -> Iterable[tuple[SenderPolicy | None, PolicyPlace]]:
    yield from ((each.sender, "client") for each in config.clients if each.name == client)
    if path.route is not None:
        yield path.route.policy, "route"
    yield from ((each.sender, "smarthost") for each in config.smarthosts if each.name == smarthost)
    yield config.sender, "sender"


def _applies(route: Route, client: str, sender: str | None, recipient: str) -> bool:
    if route.client is not None and route.client != client:
        return False
    if route.sender is not None and (sender is None or not matches(route.sender, sender)):
        return False
    return route.recipient is None or matches(route.recipient, recipient)
