"""Postfix as a relay: what the relay is measured against."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench.counting_smarthost import PASSWORD, USER
from bench.peers import Upstream
from fakes.peers import program
from fakes.ports import free_port
from fakes.postfix import Postfix
from fakes.postfix_layout import lay_out_queue

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup     unix n - n 60 1 pickup
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
error      unix - - n - - error
retry      unix - - n - - error
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
tlsproxy   unix - - n - 0 tlsproxy
postlog    unix-dgram n - n - 1 postlogd
"""

# Where it lives, whom it serves and where mail goes; all else is as the package brings it.
_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/mail.log
maillog_file_prefixes = {home}
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{smarthost}
smtp_tls_session_cache_database = btree:{home}/data/smtp_scache
message_size_limit = 60000000
mailbox_size_limit = 0
"""

_TLS = """\
smtp_tls_security_level = encrypt
smtp_tls_CAfile = {ca_file}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = static:{user}:{password}
smtp_sasl_security_options = noanonymous
"""

_LIMIT = """\
smtp_destination_concurrency_limit = {limit}
relay_destination_concurrency_limit = {limit}
initial_destination_concurrency = {limit}
"""


class PostfixRelay(Postfix):
    """Postfix that relays for loopback; `reuse` is smtp_tls_connection_reuse = yes."""

    def __init__(
        self, upstream: Upstream, *, reuse: bool = False, folder: str | None = None
    ) -> None:
        self.name = "postfix reuse" if reuse else "postfix"
        self.host = "127.0.0.1"
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix="bench-postfix-", dir=folder))
        self._upstream, self._reuse = upstream, reuse
        self._master = None
        self.ready_seconds = 0.0
        self.home.chmod(0o755)
        for name in ("config", "queue", "data"):
            (self.home / name).mkdir()
        lay_out_queue(self.home)
        (self.home / "config" / "master.cf").write_text(_MASTER.format(port=self.port))

    def start(self) -> None:
        began = time.monotonic()
        super().start()
        self.ready_seconds = time.monotonic() - began

    def processes(self) -> list[int]:
        if self._master is None:
            return []
        master = self._master.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, children)]

    def log(self) -> str:
        return super().log()[-4000:]

    def _configure(self) -> None:
        upstream = self._upstream
        main = _MAIN.format(home=self.home, smarthost=upstream.port)
        if upstream.tls:
            # Postfix's own users cannot look into the benchmark's directory.
            ca_file = Path(shutil.copy(upstream.ca_file, self.home / "ca.pem"))
            ca_file.chmod(0o644)
            main += _TLS.format(ca_file=ca_file, user=USER, password=PASSWORD)
        if self._reuse:
            main += "smtp_tls_connection_reuse = yes\n"
        if upstream.max_connections:
            main += _LIMIT.format(limit=upstream.max_connections)
        path = self.home / "config" / "main.cf"
        path.write_text(main)
        # Postfix waits until a fresh main.cf has stopped changing; this one looks an hour old.
        os.utime(path, (time.time() - 3600,) * 2)


def postfix_version() -> str:
    """Of the installed Postfix."""
    command = [program("postconf"), "-d", "-h", "mail_version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
