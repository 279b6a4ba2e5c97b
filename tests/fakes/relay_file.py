"""The relay's configuration as a test needs it: relay.toml, its secrets, its ports."""

from pathlib import Path

from fakes.canary import PREFIX
from fakes.ports import free_port


class RelayFile:
    """A relay.toml below `directory`, with the secrets, the spool and the ports that it names.

    `tables` is the part that the test is about: [[client]], [[smarthost]] and so on. The head
    (language, names, spool, listener, page) is written here; `listener` adds keys to the
    listener's table, `top` keys before the first table.
    """

    def __init__(
        self, directory: Path, tables: str = "", *, listener: str = "", top: str = ""
    ) -> None:
        self.directory = directory
        self.host = "127.0.0.1"
        self.port = free_port()
        self.web_port = free_port()
        self.language = "en"
        self.tables, self.listener, self.top = tables, listener, top
        self.config = directory / "relay.toml"
        self.spool = directory / "spool.db"
        self.spool_url = ""
        """Where the spool is, if it is not the file `spool`."""
        self.canaries: set[str] = set()
        """Secrets of this relay for which its log, answers and spool are searched at its end."""

    def secret(self, name: str, text: str) -> Path:
        """A file, readable by the owner only, that holds this secret and a newline."""
        if text.startswith(PREFIX):
            self.canaries.add(text)
        path = self.directory / f"{name}.secret"
        path.touch(0o600)
        path.write_text(f"{text}\n")
        return path

    def add_smarthost(
        self,
        port: int,
        ca_file: Path,
        *,
        name: str = "isp",
        preset: str = "",
        username: str = "bakker",
        password: str = "geheim",
        more: str = "",
    ) -> Path:
        """Adds a [[smarthost]] on loopback with STARTTLS and a login; returns the secret's file.

        `preset` names one whose endpoint is overridden, `more` adds keys.
        """
        secret = self.secret(name, password)
        self.tables += f"""
[[smarthost]]
name = "{name}"
{f'preset = "{preset}"' if preset else ""}
host = "127.0.0.1"
port = {port}
tls = "starttls"
ca_file = "{ca_file}"
auth = "password"
username = "{username}"
password = {{ file = "{secret}" }}
{more}
"""
        return secret

    def write_config(self) -> Path:
        """Writes relay.toml from the settings as they are now."""
        text = f"""\
language = "{self.language}"
hostname = "relay.test"
postmaster = "postmaster@mijnbakkerij.nl"
{self.top}

[spool]
url = "{self.spool_url or f"sqlite://{self.spool}"}"
reserve_bytes = 1000000

[[listener]]
address = "{self.host}:{self.port}"
{self.listener}

[web]
address = "{self.host}:{self.web_port}"

{self.tables}
"""
        self.config.write_text(text)
        return self.config
