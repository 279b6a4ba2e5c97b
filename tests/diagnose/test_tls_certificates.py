"""Certificates as values: for which host they are, who stands in between, what cannot be read."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from diagnose.checks.antivirus import INTERCEPTORS, interceptor, masks_banner, masks_capabilities
from diagnose.checks.chain import fits, linked, read_certificate, sent_chain


def certificate(*names: str, authority: trustme.CA | None = None) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = (authority or trustme.CA()).issue_cert(*names)
    found = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    return found.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("name", "host", "expected"),
    [
        ("smtp.example.net", "smtp.example.net", True),
        ("smtp.example.net", "SMTP.example.net", True),
        ("smtp.example.net", "mail.example.net", False),
        ("*.example.net", "mail.example.net", True),
        ("*.example.net", "example.net", False),
        ("*.example.net", "a.mail.example.net", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("2001:db8::7", "2001:db8::7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("smtp.example.net", "192.0.2.7", False),
    ],
)
def test_for_which_host(name: str, host: str, expected: bool) -> None:
    assert fits(read_certificate(certificate(name)), host) is expected


@pytest.mark.parametrize(
    ("issuer", "product"),
    [
        ("avast! Web/Mail Shield Root", "Avast"),
        ("Avast Web/Mail Shield Self-signed Root", "Avast"),
        ("AVG Web/Mail Shield Root", "AVG"),
        ("Norton Web/Mail Shield Root", "Norton"),
        ("ESET SSL Filter CA", "ESET"),
        ("Kaspersky Anti-Virus Personal Root Certificate", "Kaspersky"),
        ("Bitdefender Personal CA.Net-Defender", "Bitdefender"),
        ("FortiGate CA", "Fortinet FortiGate"),
        ("Sophos SSL CA_C1234-5", "Sophos"),
        ("Zscaler Inc.", "Zscaler"),
    ],
)
def test_a_scanner_by_its_issuer(issuer: str, product: str) -> None:
    found = interceptor(["NL", issuer])
    assert found is not None
    assert found.product == product


@pytest.mark.parametrize(
    "issuer", ["Let's Encrypt", "DigiCert Inc", "Cisco Systems", "Eset Bakery CA", "Avast", ""]
)
def test_an_honest_authority(issuer: str) -> None:
    assert interceptor([issuer]) is None


def test_every_entry_of_the_list_has_a_source() -> None:
    assert all(each.source.startswith("https://") for each in INTERCEPTORS)


def test_what_inspection_blots_out() -> None:
    assert masks_banner("220 *************2******0*")
    assert not masks_banner("220 *** welcome ***")
    assert masks_capabilities(["SIZE 100", "XXXXXXXA"])
    assert not masks_capabilities(["XCLIENT", "XFORWARD NAME", "XXX"])


def test_a_certificate_that_is_none() -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_certificate(b"\x30\x03\x02\x01\x01")


def test_days_left_are_whole_days_and_negative_once_it_is_over() -> None:
    found = read_certificate(certificate("x.test"))
    assert found.days_left(found.not_after - timedelta(days=2, hours=1)) == 2
    assert found.days_left(found.not_after + timedelta(seconds=1)) == -1
    assert found.not_before < datetime.now(UTC)


def test_a_chain_is_followed_as_far_as_it_was_sent() -> None:
    root = trustme.CA(organization_name="Root")
    between = root.create_child_ca()
    leaf, other = certificate("x.test", authority=between), certificate("y.test")
    chain = [read_certificate(each) for each in (leaf, other)]
    assert linked(chain) is chain[0]


class OldPython:
    """The TLS object of a Python that tells of no chain."""

    def getpeercert(self, *, binary_form: bool) -> bytes:
        return b"own" if binary_form else b""


def test_the_servers_own_certificate_is_all_there_is_where_python_tells_no_more() -> None:
    assert sent_chain(OldPython()) == (b"own",)  # type: ignore[arg-type]
