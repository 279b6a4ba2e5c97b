"""What an installation is made of: the unit of systemd and the Containerfile, as text."""

from importlib.resources import files

UNIT = "relay.service"
CONTAINERFILE = "Containerfile"


def packaged(name: str) -> str:
    """The text of a file that lies here."""
    return (files(__name__) / name).read_text(encoding="utf-8")
