"""A name server on loopback: zone text, a fault for each name that shall have one, and a record.

It resolves for whoever asks, as the name server of an office does: aliases are followed, wildcards
apply, and what stands in no zone does not exist. UDP and TCP share one port.

    with NameServer("mijnbakkerij.nl. 300 IN TXT \"v=spf1 -all\"") as server:
        run("spf", "mijnbakkerij.nl", "--nameserver", server.address)
        server.faults["mijnbakkerij.nl"] = Fault("servfail")
"""

import socket
import socketserver
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from dnslib import QTYPE, RCODE, RR, DNSError, DNSRecord
from fakes.zone_records import Zones, kind_of, plain

_SMALLEST_UDP_BYTES = 512


Kind = Literal[
    "silent",
    "servfail",
    "refused",
    "nxdomain",
    "no-data",
    "truncated",
    "garbage",
    "wrong-id",
    "other-question",
    "liar",
    "none",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with each question about a name.

    silent: no answer; servfail, refused, nxdomain, no-data: this instead of the records;
    truncated: over UDP an empty answer with TC, so that the client must come back over TCP;
    garbage: bytes that are no DNS message; wrong-id: a good answer to nobody's question;
    other-question: a lie, the answer repeats another question; liar: `records` (zone text)
    instead of the zone's; none: the plain answer. `rdtypes` limits it to some types.
    """

    kind: Kind
    delay_seconds: float = 0.0
    """The answer comes after so long, or when the server stops."""
    rdtypes: frozenset[str] = frozenset()
    records: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it came. `name` is in lower case, without the final dot."""

    name: str
    rdtype: str
    tcp: bool


class NameServer:
    """Answers on `host`:`port` from `start` to `stop`. `faults` may change at any time.

    The key of a fault is a name, `*.name` for all below it, or `*` for every name.
    """

    def __init__(
        self, zone: str = "", faults: Mapping[str, Fault] | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.host = host
        self.port = 0
        self.faults = dict(faults or {})
        self.stopping = threading.Event()
        self._zones = Zones()
        self._questions: list[Question] = []
        self._lock = threading.Lock()
        self._servers: list[socketserver.BaseServer] = []
        self._threads: list[threading.Thread] = []
        self.publish(zone)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """For `--nameserver`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def pair(self) -> tuple[str, int]:
        """For `Circumstances(nameserver=...)`."""
        return self.host, self.port

    @property
    def questions(self) -> list[Question]:
        """All questions so far, in the order of their arrival."""
        with self._lock:
            return [*self._questions]

    def asked(self, name: str, rdtype: str | None = None) -> int:
        """How often somebody asked for `name`, of one type or of any."""
        wanted = name.lower().rstrip(".")
        return sum(each.name == wanted and rdtype in (None, each.rdtype) for each in self.questions)

    def publish(self, zone: str) -> None:
        """Adds the records of a zone's text.

        Names without a final dot belong to `$ORIGIN`, but for the target of SRV, which has one.
        """
        with self._lock:
            self._zones.add(zone)

    def withdraw(self, name: str, rdtype: str | None = None) -> None:
        """Takes away the records of a name, of one type or all."""
        with self._lock:
            kinds = self._zones.records.get(name.lower().rstrip("."), {})
            for kind in [rdtype] if rdtype else [*kinds]:
                kinds.pop(kind, None)
            if not kinds:
                self._zones.records.pop(name.lower().rstrip("."), None)

    def start(self) -> None:
        """Begins to answer, on a port of the system's choice."""
        self.stopping.clear()
        udp, tcp = self._bind()
        self._servers = [udp, tcp]
        for server in self._servers:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends it; what is still delayed is answered at once."""
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(10)
        self._servers, self._threads = [], []

    def _bind(self) -> tuple[socketserver.BaseServer, socketserver.BaseServer]:
        """UDP and TCP on one port; the port that UDP gets may be taken for TCP."""
        for _ in range(50):
            udp = _Udp((self.host, self.port), _UdpHandler, self)
            try:
                tcp = _Tcp((self.host, udp.server_address[1]), _TcpHandler, self)
            except OSError:
                udp.server_close()
                continue
            self.port = int(udp.server_address[1])
            return udp, tcp
        raise OSError(f"no port on {self.host} is free for both UDP and TCP")

    def answer(self, data: bytes, *, tcp: bool) -> bytes | None:
        """The message to send back, None for silence."""
        request = DNSRecord.parse(data)
        question = Question(plain(request.q.qname), kind_of(request.q.qtype), tcp)
        with self._lock:
            self._questions.append(question)
        fault = self._fault(question)
        if fault.delay_seconds:
            self.stopping.wait(fault.delay_seconds)
        if fault.kind == "silent":
            return None
        if fault.kind == "garbage":
            return data[:2] + b"\xff" * 30
        if fault.kind == "truncated" and not tcp:
            return _truncated(request)
        if fault.kind == "wrong-id":
            request.header.id ^= 0xFFFF
        if fault.kind == "other-question":
            request.q.qname = request.q.qname.add("other")
        reply = self._reply(request, question, fault)
        packed = bytes(reply.pack())
        most = max([_SMALLEST_UDP_BYTES, *(each.edns_len for each in _options(request))])
        return packed if tcp or len(packed) <= most else _truncated(request)

    def _fault(self, question: Question) -> Fault:
        labels = question.name.split(".")
        above = (f"*.{'.'.join(labels[cut:])}" for cut in range(1, len(labels)))
        for key in (question.name, *above, "*"):
            fault = self.faults.get(key)
            if fault is not None and question.rdtype in (fault.rdtypes or {question.rdtype}):
                return fault
        return Fault("none")

    def _reply(self, request: DNSRecord, question: Question, fault: Fault) -> DNSRecord:
        reply = request.reply()
        refusals = {"servfail": "SERVFAIL", "refused": "REFUSED", "nxdomain": "NXDOMAIN"}
        if fault.kind in refusals:
            reply.header.rcode = getattr(RCODE, refusals[fault.kind])
        elif fault.kind == "liar":
            reply.add_answer(*RR.fromZone(fault.records))
        elif fault.kind != "no-data":
            with self._lock:
                found = [*self._zones.find(question.name, question.rdtype)]
            known = [each for each in found if each is not None]
            reply.add_answer(*known)
            if None in found:
                reply.header.rcode = RCODE.NXDOMAIN
        return reply


class _Udp(socketserver.ThreadingUDPServer):
    def __init__(self, address: tuple[str, int], handler: Any, names: NameServer) -> None:
        self.address_family = _family(address[0])
        self.names = names
        super().__init__(address, handler)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: Any, names: NameServer) -> None:
        self.address_family = _family(address[0])
        self.names = names
        super().__init__(address, handler)


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        data, sock = self.request
        try:
            answer = self.server.names.answer(data, tcp=False)
        except DNSError:
            return
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _Tcp
    timeout = 2

    def handle(self) -> None:
        try:
            while len(head := self.rfile.read(2)) == 2:
                data = self.rfile.read(struct.unpack("!H", head)[0])
                answer = self.server.names.answer(data, tcp=True)
                if answer is None:
                    self.server.names.stopping.wait(60)
                    return
                self.wfile.write(struct.pack("!H", len(answer)) + answer)
        except (DNSError, OSError):
            return


def _truncated(request: DNSRecord) -> bytes:
    """TC and no records; dnslib's own would leave out the question, which clients insist on."""
    reply = request.reply()
    reply.header.tc = 1
    return bytes(reply.pack())


def _options(request: DNSRecord) -> list[Any]:
    return [each for each in request.ar if each.rtype == QTYPE.OPT]


def _family(host: str) -> Any:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
