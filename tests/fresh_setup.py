"""How long an office takes from the wheel to mail: built, installed, set up unattended, one mail out.

    .venv/bin/python tests/fresh_setup.py               # all of it, in a virtual environment of its own
    .venv/bin/python tests/fresh_setup.py --venv DIR    # in one that has the wheel already

The provider is Ziggo as its transcript has it, on loopback, and the name server is ours. Exit 1 when
no mail arrived, or it took more than ten minutes.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fakes.certificates import Authority
from fakes.nameserver import NameServer
from fakes.providers import PASSWORD, USERNAME, Provider
from fakes.setup_office import ZONE, Office

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 600.0
TO = "klant@elders.example"


def installed(directory: Path) -> Path:
    """The Python of a new virtual environment with the wheel of this checkout in it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", directory / "wheel"]
    subprocess.run([*pip, *build, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", directory / "venv"], check=True)
    python = directory / "venv" / "bin" / "python"
    into = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    subprocess.run([*into, "--require-hashes", "-r", ROOT / ".ci" / "constraints.txt"], check=True)
    (wheel,) = (directory / "wheel").glob("*.whl")
    subprocess.run([*into, "--no-deps", wheel], check=True)
    return python


def set_up(directory: Path, python: Path) -> bool:
    """Set up an office with this Python; whether its test message arrived and the file is good."""
    authority = Authority(directory)
    context = authority.issue().server_context()
    with NameServer(ZONE) as names, Provider("ziggo", context) as provider:
        office = Office(directory, names.address, python=str(python))
        office.at_provider(provider.port, authority.ca_file)
        login = ("--provider=ziggo", f"--password-file={office.password(PASSWORD)}")
        more = ("--machines=kassa=192.168.1.20", f"--test-to={TO}")
        done = office.run("--unattended", "--address", USERNAME, *login, *more)
        arrived = [each.address for mail in provider.accepted for each in mail.recipients]
        checked = office.relay("check", "--online")
    print(done.out, done.err, checked.out, checked.err, sep="", file=sys.stderr)
    return (done.code, arrived, checked.code) == (0, [TO], 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, help="a virtual environment with the wheel in it")
    given = parser.parse_args()
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="fresh-setup-"))
    try:
        python = given.venv.absolute() / "bin" / "python" if given.venv else installed(directory)
        ready = time.monotonic()
        works = set_up(directory, python)
    finally:
        shutil.rmtree(directory)
    ended = time.monotonic()
    seconds = f"{ready - began:.1f} s to install, {ended - ready:.1f} s to set up and check"
    print(f"{'works' if works else 'does not work'}: {seconds}")
    return 0 if works and ended - began < LIMIT_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
