"""`[[dkim]]` in relay.toml: keys that can sign, and what is said of those that cannot."""

import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from relay.config.load import load
from relay.config.model import Config, ConfigError

HEAD = '[[smarthost]]\nname = "isp"\nhost = "mail.example.net"\nauth = "none"\n'
TABLE = '[[dkim]]\ndomain = "Bakkerij.NL"\nselector = "Relay"\nkey = { file = "key.pem" }\n'
ENCODING = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
OPEN = serialization.NoEncryption()


def rsa_pem(bits: int, form: serialization.PrivateFormat = PKCS8) -> bytes:
    return rsa.generate_private_key(65537, bits).private_bytes(ENCODING, form, OPEN)


def read(directory: Path, pem: bytes, text: str = TABLE) -> Config:
    key = directory / "key.pem"
    key.touch(0o600)
    key.write_bytes(pem)
    file = directory / "relay.toml"
    file.write_text(HEAD + text)
    return load(file, {})


@pytest.mark.parametrize("form", [PKCS8, PKCS1])
def test_a_key_of_2048_bits(tmp_path: Path, form: serialization.PrivateFormat) -> None:
    config = read(tmp_path, rsa_pem(2048, form))
    (entry,) = config.dkim
    assert (entry.domain, entry.selector) == ("bakkerij.nl", "relay")
    assert config.warnings == ()


def test_a_short_key_warns(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, rsa_pem(1024)).warnings
    assert (warning.line, warning.key) == (8, "dkim[0].key")
    assert "1024 bits" in warning.nl
    assert "1024 bits" in warning.en


def short_pem() -> bytes:
    """A key of 600 bits, from two primes: the library makes none so short any more."""
    p, q = (
        next(n for n in range(2**299 + start, 2**300, 2) if n % 3 != 1 and pow(2, n - 1, n) == 1)
        for start in (2**298 + 1, 2**297 + 2**298 + 1)
    )
    d = pow(3, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(3, p * q),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numbers.private_key().private_bytes(ENCODING, PKCS8, OPEN)


def wrong() -> dict[str, tuple[bytes, str]]:
    key = rsa.generate_private_key(65537, 2048)
    secret = serialization.BestAvailableEncryption(b"x")
    return {
        "text": (b"geen sleutel", "no private RSA key"),
        "cut off": (rsa_pem(2048)[:900], "no private RSA key"),
        "public": (
            key.public_key().public_bytes(
                ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "no private RSA key",
        ),
        "encrypted": (key.private_bytes(ENCODING, PKCS8, secret), "passphrase"),
        "another type": (
            ed25519.Ed25519PrivateKey.generate().private_bytes(ENCODING, PKCS8, OPEN),
            "not of type RSA",
        ),
        "too short": (short_pem(), "600 bits"),
    }


WRONG = wrong()


@pytest.mark.parametrize("name", WRONG)
def test_a_key_that_cannot_sign_is_an_error_at_its_line(tmp_path: Path, name: str) -> None:
    pem, words = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, pem)
    (fault,) = caught.value.faults
    assert (fault.line, fault.key) == (8, "dkim[0].key")
    assert words in fault.en
    assert fault.nl != fault.en
    assert "BEGIN" not in fault.en + fault.nl


def test_a_missing_key_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, b"", TABLE.replace("key.pem", "weg.pem"))
    assert [fault.key for fault in caught.value.faults] == ["dkim[0].key"]


def test_a_domain_has_one_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, rsa_pem(2048), TABLE + TABLE.replace("Bakkerij.NL", "bakkerij.nl"))
    assert [(fault.line, fault.key) for fault in caught.value.faults] == [(10, "dkim[1].domain")]


def test_a_top_level_domain_is_nobodys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, rsa_pem(2048), TABLE.replace("Bakkerij.NL", "nl"))
    assert [fault.key for fault in caught.value.faults] == ["dkim[0].domain"]
