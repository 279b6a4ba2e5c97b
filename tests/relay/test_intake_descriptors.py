"""How many connections the limit of open files leaves, and when that limit is raised."""

import pytest

from relay.config.model import Config, Listener, Smarthost, Spool
from relay.intake.descriptors import RESERVED, most_connections

resource = pytest.importorskip("resource")  # Windows has no such limit
KEPT = RESERVED + 2


def config(*most: int) -> Config:
    return Config(
        hostname="relay.test",
        spool=Spool(url="sqlite:"),
        listeners=tuple(Listener("127.0.0.1", 0, max_connections=each) for each in most),
        smarthosts=(Smarthost(name="isp", host="127.0.0.1", max_connections=2),),
    )


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "raised"),
    [
        (1024, 1024, 500, None),
        (256, 4096, 500, 500 + KEPT),
        (256, 400, 400 - KEPT, 400),
        (80, 80, 80 - KEPT, None),
        (256, resource.RLIM_INFINITY, 500, 500 + KEPT),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 500, None),
        (20, 20, 1, None),
    ],
)
def test_the_limit_is_raised_as_far_as_it_helps(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, connections: int, raised: int | None
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert most_connections(config(300, 200)) == connections
    assert asked == ([] if raised is None else [(raised, hard)])
