"""What the resolving of every table needs: where files lie, and checks that several tables share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.config import locate, schema
from relay.config.certificates import check_authority, check_pair
from relay.config.credentials import readable
from relay.config.fault import BadValueError
from relay.config.model import PolicyKind, SenderPolicy
from relay.config.problems import Problems
from relay.config.secret import SecretError, SecretRef


@dataclass(frozen=True, slots=True)
class Builder:
    """Turns values of the file into those of the model. Relative paths start at `base`."""

    base: Path
    environ: Mapping[str, str]
    problems: Problems

    def path(self, path: Path | None) -> Path | None:
        """The file, below the configuration's directory unless its path is absolute."""
        return None if path is None else readable(self.base / path, self.environ)

    def secret(self, reference: SecretRef | None, where: locate.Path) -> SecretRef | None:
        """The reference, after one trial reading; faults go to `where`."""
        if reference is None:
            return None
        if reference.kind == "file":
            reference = SecretRef("file", str(self.base / reference.name))
        try:
            reference.read(self.environ)
        except SecretError as error:
            self.problems.unusable(where, error)
        if reference.loose_group(self.environ):
            self.problems.warning(
                where,
                f"de groep van {reference.name} kan het geheim lezen; als dat niet de bedoeling is: chmod 600",
                f"the group of {reference.name} can read the secret; if that is not intended: chmod 600",
            )
        return reference

    def policy(
        self, table: schema.SenderTable | None, where: locate.Path, own_address: str | None = None
    ) -> SenderPolicy | None:
        """The sender policy, None where the file has none; `own_address` is the default to send as."""
        if table is None:
            return None
        if table.policy is PolicyKind.KEEP:
            if table.address is not None:
                self.problems.warning(
                    (*where, "address"),
                    'heeft geen effect bij policy = "keep"; bedoelt u "rewrite" of "force"?',
                    'has no effect with policy = "keep"; do you mean "rewrite" or "force"?',
                )
        elif table.address is None and own_address is None:
            self.problems.error(
                (*where, "address"),
                f'ontbreekt; policy = "{table.policy}" heeft het adres van de afzender nodig',
                f'is missing; policy = "{table.policy}" needs the address to send as',
            )
        default = None if table.policy is PolicyKind.KEEP else own_address
        return SenderPolicy(table.policy, table.address or default, tuple(table.bcc))

    def authority(self, ca_file: Path | None, where: locate.Path) -> Path | None:
        """The CA file, after one trial reading."""
        path = self.path(ca_file)
        if path is not None:
            try:
                check_authority(path)
            except BadValueError as error:
                self.problems.wrong(where, error)
        return path

    def pair(
        self, certificate: Path | None, key: Path | None, where: tuple[locate.Path, str, str]
    ) -> tuple[Path | None, Path | None]:
        """Certificate and key, after one trial loading; `where` is the table and the two keys."""
        table, certificate_name, key_name = where
        certificate, key = self.path(certificate), self.path(key)
        if certificate is not None:
            try:
                check_pair(certificate, key)
            except BadValueError as error:
                self.problems.wrong((*table, certificate_name), error)
        elif key is not None:
            self.problems.error(
                (*table, key_name),
                f"heeft ook {certificate_name} nodig",
                f"needs {certificate_name} too",
            )
        return certificate, key
