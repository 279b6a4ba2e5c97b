"""Mail::DKIM, the verifier of other makers that mail programs in Perl use, asking our name server."""

import shutil
import subprocess
from dataclasses import dataclass

from fakes.nameserver import NameServer

_SCRIPT = """
use strict; use warnings;
use Net::DNS; use Mail::DKIM::Verifier; use Mail::DKIM::DNS;
my ($host, $port) = @ARGV;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(
    nameservers => [$host], port => $port, recurse => 1, udp_timeout => 5, tcp_timeout => 5));
binmode STDIN;
my $message = do { local $/; <STDIN> };
my $verifier = Mail::DKIM::Verifier->new();
$verifier->PRINT($message);
$verifier->CLOSE;
print join("\\t", $_->result, $_->result_detail, $_->domain), "\\n" for $verifier->signatures;
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it says of one signature: `pass`, `fail`, `invalid`, `temperror`; and why."""

    result: str
    detail: str
    domain: str


def verdicts(content: bytes, server: NameServer) -> list[Verdict]:
    """Of each signature on a message, lines ended by CR LF; the keys come from `server`."""
    perl = shutil.which("perl")
    assert perl is not None
    done = subprocess.run(
        [perl, "-e", _SCRIPT, server.host, str(server.port)],
        input=content,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [Verdict(*line.split("\t")) for line in done.stdout.decode().splitlines()]


def publish(server: NameServer, name: str, value: str) -> None:
    """A TXT record, cut into strings as a name server wants them."""
    pieces = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
    server.publish(f"{name}. 60 IN TXT {pieces}")
