"""The files that a Postfix smarthost runs from: its configuration, logins, queue and mail store."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fakes.certificates import ServerCertificate
from fakes.peers import program

HOSTNAME = "smarthost.test"

_QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming"),
    *("maildrop", "private", "public", "saved", "trace"),
)

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 1 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error      unix - - n - - error
retry      unix - - n - - error
virtual    unix - n n - - virtual
anvil      unix - - n - 1 anvil
postlog    unix-dgram n - n - 1 postlogd
"""

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
myhostname = {hostname}
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
in_flow_delay = 0
message_size_limit = {message_size_limit}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
smtpd_tls_security_level = {tls_level}
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {home}/key.pem, {home}/chain.pem
smtpd_tls_received_header = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {hostname}
smtpd_sasl_security_options = noanonymous
cyrus_sasl_config_path = {home}/config/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sender_login_maps = {login_maps}
smtpd_sender_restrictions = {sender_restrictions}
smtpd_recipient_restrictions = check_recipient_access regexp:{home}/config/recipients
"""

_SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
sasldb_path: {home}/sasldb2
"""


@dataclass(slots=True)
class Settings:
    """What one Postfix demands. Change it, then call `Postfix.reload`."""

    users: Mapping[str, str] = field(default_factory=lambda: {"bakker": "geheim"})
    """Passwords by user name."""
    starttls: bool = True
    """Without it neither STARTTLS nor AUTH is offered."""
    refused_recipients: Mapping[str, str] = field(default_factory=dict)
    """Replies by recipient address, such as "550 5.1.1 no such mailbox"."""
    own_senders: Mapping[str, str] = field(default_factory=dict)
    """User names by sender address; once there is one, each sender must belong to the login."""
    refuse_null_sender: bool = False
    message_size_limit: int = 60_000_000


def lay_out(home: Path, port: int, certificate: ServerCertificate) -> None:
    """Makes in `home` what never changes. Needs root: other users own parts of it."""
    home.chmod(0o755)
    for name in ("config", "config/sasl", "queue", "data", "mail"):
        (home / name).mkdir()
    for part in ("tmp", "new", "cur"):
        (home / "mail" / "all" / part).mkdir(parents=True)
    shutil.copy(certificate.key, home / "key.pem")
    shutil.copy(certificate.chain, home / "chain.pem")
    lay_out_queue(home)
    store = pwd.getpwnam("nobody")
    for folder in (home / "mail", *(home / "mail").rglob("*")):
        os.chown(folder, store.pw_uid, store.pw_gid)
    # Debian looks beside main.cf, whatever cyrus_sasl_config_path says.
    (home / "config" / "sasl" / "smtpd.conf").write_text(_SASL.format(home=home))
    (home / "config" / "master.cf").write_text(_MASTER.format(port=port))


def lay_out_queue(home: Path) -> None:
    """The folders that "postfix start" would make, with the owners that it would give."""
    shutil.chown(home / "data", "postfix")
    queue = home / "queue"
    (queue / "pid").mkdir()
    for name in _QUEUES:
        (queue / name).mkdir(mode=0o700)
        shutil.chown(queue / name, "postfix")


def configure(home: Path, settings: Settings) -> None:
    """Writes in `home` what the settings decide, the logins too."""
    config = home / "config"
    store = pwd.getpwnam("nobody")
    checks = [f"check_sender_access regexp:{config}/senders"]
    if settings.own_senders:
        checks.append("reject_sender_login_mismatch")
    main = _MAIN.format(
        home=home,
        hostname=HOSTNAME,
        uid=store.pw_uid,
        gid=store.pw_gid,
        tls_level="encrypt" if settings.starttls else "none",
        login_maps=f"regexp:{config}/logins",
        sender_restrictions=", ".join(checks),
        message_size_limit=settings.message_size_limit,
    )
    (config / "main.cf").write_text(main)
    # Postfix waits until a fresh main.cf has stopped changing; this one looks an hour old.
    os.utime(config / "main.cf", (time.time() - 3600,) * 2)
    null = {"<>": "550 5.7.1 null sender refused"} if settings.refuse_null_sender else {}
    (config / "senders").write_text(_table(null))
    owners = {sender: _qualified(user) for sender, user in settings.own_senders.items()}
    (config / "logins").write_text(_table(owners))
    (config / "recipients").write_text(_table(settings.refused_recipients))
    _set_users(home, settings.users)


def _set_users(home: Path, users: Mapping[str, str]) -> None:
    database = home / "sasldb2"
    database.unlink(missing_ok=True)
    for user, password in users.items():
        name, _, realm = _qualified(user).partition("@")
        subprocess.run(
            [program("saslpasswd2"), "-p", "-c", "-f", database, "-u", realm, name],
            input=password.encode(),
            check=True,
            timeout=20,
        )
    shutil.chown(database, "postfix")


def _qualified(user: str) -> str:
    """Cyrus SASL's full form of a user name."""
    return user if "@" in user else f"{user}@{HOSTNAME}"


def _table(rows: Mapping[str, str]) -> str:
    """A regexp table that maps exactly these addresses."""
    return "".join(f"/^{_quoted(key)}$/ {value}\n" for key, value in rows.items())


def _quoted(address: str) -> str:
    return "".join(c if c.isalnum() or c in "@<>-_" else f"\\{c}" for c in address)
