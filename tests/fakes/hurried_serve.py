"""`relay serve` in fast time: python hurried_serve.py FACTOR ORIGIN START serve --config FILE

The product is untouched: its clock and its event loop are given it from outside. So are the
time-outs of its connections, which stay real: a busy machine is no slow peer.
"""

import importlib
import sys
from dataclasses import asdict, astuple
from datetime import datetime
from functools import partial
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def hurry(factor: float, origin: float, start: datetime) -> None:
    """Let `relay serve` of this process live by the clock that these three make."""
    from fakes.scaled_time import ScaledClock, ScaledLoop

    clock = ScaledClock(factor, origin, start)
    service = importlib.import_module("relay.service")
    command = importlib.import_module("relay.cli.serve")
    connect = importlib.import_module("relay.smarthost.connect")
    intake = importlib.import_module("relay.intake.context")
    timeouts = connect.Timeouts(*(each * factor for each in astuple(connect.STANDARD_TIMEOUTS)))
    patience = asdict(intake.Patience())
    slow = {key: value * factor for key, value in patience.items() if key.endswith("_seconds")}
    least = patience["least_bytes_per_second"] / factor
    vars(service)["Dispatcher"] = partial(service.Dispatcher, timeouts=timeouts)
    vars(service)["Intake"] = partial(
        service.Intake,
        patience=intake.Patience(**{**patience, **slow, "least_bytes_per_second": least}),
    )
    vars(service)["serve"] = partial(service.serve, clock=clock.now)
    vars(command)["_fastest_loop"] = lambda: partial(ScaledLoop, factor)


def main() -> None:
    """Run the command in the rest of the arguments."""
    factor, origin, start = sys.argv[1:4]
    sys.argv[1:4] = []
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]
    hurry(float(factor), float(origin), datetime.fromisoformat(start))
    importlib.import_module("relay.cli.app").main()


if __name__ == "__main__":
    main()
