"""What every test may use: certificate authorities, peers of other makers, and their summary."""

import pytest
from fakes import peers
from fakes.certificates import Authority


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*peers): talks to programs of other makers")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        reason = peers.missing(marker.args)
        if reason is not None:
            peers.skip_or_fail(item.nodeid, reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"peer tests skipped: {len(peers.skipped)}")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the tests' clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def unknown_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("unknown"), "unknown")
