"""Certificate authorities for the tests, as PEM files and as ready TLS contexts."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's certificate chain and its private key, both PEM files."""

    chain: Path
    key: Path

    def server_context(self, maximum: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A context for the server's side, speaking at most TLS version `maximum`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        if maximum is not None:
            context.maximum_version = maximum
        return context


class Authority:
    """A private certificate authority whose files live in `directory`.

    A second one, made with another name, plays the authority that nobody trusts.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._authority = trustme.CA(organization_name=name)
        self._directory = directory
        self._name = name
        self._issued = 0
        self.ca_file = directory / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))

    def issue(self, *names: str, not_after: datetime | None = None) -> ServerCertificate:
        """A certificate for these host names and addresses; loopback's own by default."""
        self._issued += 1
        stem = f"{self._name}-{self._issued}"
        leaf = self._authority.issue_cert(*(names or LOOPBACK_NAMES), not_after=not_after)
        chain = self._directory / f"{stem}-chain.pem"
        key = self._directory / f"{stem}-key.pem"
        for part in leaf.cert_chain_pems:
            part.write_to_path(str(chain), append=True)
        leaf.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        return ServerCertificate(chain, key)

    def client_context(self) -> ssl.SSLContext:
        """A context for the client's side that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context
