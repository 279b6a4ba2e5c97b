"""The two files by which commands enter a running relay."""

import os
import stat
from pathlib import Path

import pytest

from relay.control.token import publish, read_address, read_token, withdraw


def test_the_token_is_for_the_service_alone(tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    first = publish(spool, "http://127.0.0.1:8025")
    second = publish(spool, "http://127.0.0.1:8026")
    assert first != second
    assert len(second) > 40
    assert read_token(spool) == second
    assert read_address(spool) == "http://127.0.0.1:8026"
    if os.name == "posix":
        mode = stat.S_IMODE((tmp_path / "control.token").stat().st_mode)
        assert mode == 0o600


def test_nothing_is_left_of_a_relay_that_stopped(tmp_path: Path) -> None:
    spool = tmp_path / "spool.db"
    publish(spool, "http://127.0.0.1:8025")
    withdraw(spool)
    withdraw(spool)
    assert list(tmp_path.iterdir()) == []
    assert read_address(spool) is None
    with pytest.raises(FileNotFoundError):
        read_token(spool)
