"""Who signs: made once, sealed, renewed; or the user's own certificate, refused with a reason where it is no good."""

# ruff: noqa: E402 (what follows needs the extra)

from __future__ import annotations

import os
import pickle
import re
import stat
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from multiprocessing import get_context
from pathlib import Path

import pytest

pytest.importorskip("c2pa")
x509 = pytest.importorskip("cryptography.x509")

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from sora_core.errors import SoraError
from sora_core.provenance.home import PASSPHRASE_VARIABLE, Home
from sora_core.provenance.manifest.identity import AUTHORITY_FILE, LEAF_FILE, Identity, local_anchors, local_identity
from sora_core.provenance.manifest.own_certificate import own_identity

NOW = datetime.now(timezone.utc)
YEAR = timedelta(days=365)
EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    return Home(tmp_path / "home")


def leaf_of(identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificates(identity.chain_pem)[0]


def key_bytes(identity: Identity) -> bytes:
    return identity._key_pem


# the local signer


def test_chain_is_leaf_and_authority_without_root(home):
    identity = local_identity(home)
    leaf, authority = x509.load_pem_x509_certificates(identity.chain_pem)
    root = x509.load_pem_x509_certificate(identity.anchors_pem)
    leaf.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert root.fingerprint(hashes.SHA256()) not in {one.fingerprint(hashes.SHA256()) for one in (leaf, authority)}
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert identity.algorithm == "es256"
    assert identity.local
    assert timedelta(days=365) <= leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=367)
    assert re.fullmatch(r"Sora Nodes local signer [0-9a-f]{8}", identity.common_name)
    assert identity.organisation == "Sora Nodes local signer"


def test_it_stays_the_same(home):
    assert local_identity(home).chain_pem == local_identity(home).chain_pem
    assert local_anchors(home) == local_identity(home).anchors_pem


def test_looking_for_anchors_makes_nothing(home):
    assert local_anchors(home) == b""
    assert not home.folder.exists()


def test_files_are_the_owners_alone_and_hold_no_open_key(home):
    identity = local_identity(home)
    secret = load_pem_private_key(key_bytes(identity), None).private_numbers().private_value.to_bytes(32, "big")
    assert {path.name for path in home.folder.iterdir()} == {LEAF_FILE.format(1), AUTHORITY_FILE, "passphrase.key"}
    for path in home.folder.iterdir():
        data = path.read_bytes()
        assert b"BEGIN PRIVATE KEY" not in data
        assert b"EC PRIVATE KEY" not in data
        assert secret not in data
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    # the root's key is forgotten: one key for the authority and one for the leaf
    assert (home.folder / AUTHORITY_FILE).read_bytes().count(b"BEGIN ENCRYPTED PRIVATE KEY") == 1


def test_the_key_shows_nowhere(home):
    identity = local_identity(home)
    body = key_bytes(identity).split(b"\n")[1].decode()
    assert body not in repr(identity)
    assert body not in str(identity)
    assert not hasattr(identity, "__dict__")
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(identity)


def _make(folder: str) -> bytes:
    return local_identity(Home(Path(folder))).chain_pem


@pytest.mark.slow
def test_processes_that_come_first_at_once_end_with_one_signer(home):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        chains = set(pool.map(_make, [str(home.folder)] * 8))
    assert len(chains) == 1
    assert not list(home.folder.glob(".*part"))


@pytest.mark.parametrize(("days", "renewed"), [(300, False), (334, False), (336, True), (400, True), (5000, True)])
def test_the_leaf_is_renewed_before_it_ends(home, days, renewed):
    first = local_identity(home)
    later = local_identity(home, NOW + timedelta(days=days))
    assert (later.chain_pem != first.chain_pem) is renewed
    assert later.anchors_pem == first.anchors_pem
    assert later.common_name == first.common_name
    leaf = leaf_of(later)
    assert leaf.not_valid_before_utc <= NOW + timedelta(days=days) < leaf.not_valid_after_utc


def test_old_leaves_go_and_the_last_one_is_spared(home):
    for year in range(4):
        local_identity(home, NOW + year * YEAR)
    assert [path.name for path in sorted(home.folder.glob("signer-leaf*"))] == [LEAF_FILE.format(n) for n in (3, 4)]


def test_a_clock_before_the_signer_is_said(home):
    local_identity(home)
    with pytest.raises(SoraError, match="set the clock"):
        local_identity(home, NOW - 20 * YEAR)
    with pytest.raises(SoraError, match="set the clock"):
        local_identity(home, NOW + 40 * YEAR)


def test_another_passphrase_is_said_and_not_shown(home, monkeypatch):
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    local_identity(home)
    assert not (home.folder / "passphrase.key").exists()
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "battery staple")
    with pytest.raises(SoraError, match=PASSPHRASE_VARIABLE) as told:
        local_identity(home)
    assert "battery" not in str(told.value)
    assert "BEGIN" not in str(told.value)


@pytest.mark.parametrize("name", [AUTHORITY_FILE, LEAF_FILE.format(1)])
@pytest.mark.parametrize("data", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_damaged_files_are_said(home, name, data):
    local_identity(home)
    (home.folder / name).write_bytes(data)
    with pytest.raises(SoraError, match="damaged"):
        local_identity(home)


def test_without_the_extra_a_sentence_says_so(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)
    with pytest.raises(SoraError, match=r'pip install "sora-nodes\[provenance\]"'):
        local_identity(home)
    assert not home.folder.exists()


# the user's own


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(subject, key, issuer, issuer_key, *, ca=False, drop=(), usage=None, purposes=(EMAIL,), start=None, stop=None):
    extensions = {
        "constraints": (x509.BasicConstraints(ca=ca, path_length=None), True),
        "usage": (usage or key_usage(sign=not ca, certify=ca), True),
        "skid": (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        "akid": (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    }
    if purposes and not ca:
        extensions["purposes"] = (x509.ExtendedKeyUsage(list(purposes)), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start or NOW - timedelta(days=1))
        .not_valid_after(stop or NOW + YEAR)
    )
    for label, (extension, critical) in extensions.items():
        if label not in drop:
            builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, algorithm)


def key_usage(*, sign: bool, certify: bool) -> x509.KeyUsage:
    return x509.KeyUsage(sign, False, False, False, False, certify, certify, False, False)


class Shop:
    """An authority, a leaf, and the files that a user would name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.ca = issue("shop", self.ca_key, "shop", self.ca_key, ca=True)

    def leaf(self, key=None, **options) -> x509.Certificate:
        return issue("customer", key or self.key, "shop", self.ca_key, **options)

    def files(self, *certificates, key=None, form=PrivateFormat.PKCS8, seal=None) -> tuple[Path, Path]:
        chain, path = self.folder / "chain.pem", self.folder / "key.pem"
        chain.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
        path.write_bytes((key or self.key).private_bytes(Encoding.PEM, form, seal or NoEncryption()))
        return chain, path


@pytest.fixture
def shop(tmp_path) -> Shop:
    return Shop(tmp_path)


def test_a_good_certificate_is_taken(shop):
    identity = own_identity(*shop.files(shop.leaf(), shop.ca))
    assert identity.common_name == "customer"
    assert not identity.local
    assert len(x509.load_pem_x509_certificates(identity.chain_pem)) == 1, "the root is left out"
    assert x509.load_pem_x509_certificate(identity.anchors_pem) == shop.ca


KINDS = {
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("algorithm", KINDS)
def test_other_kinds_of_keys_are_taken(shop, algorithm):
    key = KINDS[algorithm]()
    assert own_identity(*shop.files(shop.leaf(key), shop.ca, key=key)).algorithm == algorithm


def test_an_encrypted_key_needs_its_passphrase(shop):
    files = shop.files(shop.leaf(), shop.ca, seal=BestAvailableEncryption(b"word"))
    assert own_identity(*files, passphrase=b"word").common_name == "customer"
    with pytest.raises(SoraError, match="give its passphrase"):
        own_identity(*files)
    with pytest.raises(SoraError, match="does not open"):
        own_identity(*files, passphrase=b"other")


PURPOSES = {
    "document signing": ["1.3.6.1.5.5.7.3.36"],
    "claim signing": ["1.3.6.1.4.1.62558.2.1"],
    "e-mail and server": [EMAIL.dotted_string, ExtendedKeyUsageOID.SERVER_AUTH.dotted_string],
}


@pytest.mark.parametrize("purposes", PURPOSES.values(), ids=PURPOSES)
def test_other_purposes_are_taken(shop, purposes):
    leaf = shop.leaf(purposes=[ObjectIdentifier(one) for one in purposes])
    assert own_identity(*shop.files(leaf, shop.ca)).common_name == "customer"


REFUSED = {
    "no purpose": (lambda shop: shop.leaf(purposes=()), "extended key usage none"),
    "code signing": (lambda shop: shop.leaf(purposes=[ExtendedKeyUsageOID.CODE_SIGNING]), "extended key usage"),
    "client": (lambda shop: shop.leaf(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), "extended key usage"),
    "any": (lambda shop: shop.leaf(purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), "any-purpose"),
    "stamps too": (lambda shop: shop.leaf(purposes=[EMAIL, ExtendedKeyUsageOID.TIME_STAMPING]), "time stamping"),
    "no key usage": (lambda shop: shop.leaf(drop=["usage"]), "digitalSignature"),
    "may not sign": (lambda shop: shop.leaf(usage=key_usage(sign=False, certify=False)), "digitalSignature"),
    "may certify": (lambda shop: shop.leaf(usage=key_usage(sign=True, certify=True)), "keyCertSign"),
    "no authority's key": (lambda shop: shop.leaf(drop=["akid"]), "authorityKeyIdentifier"),
    "expired": (lambda shop: shop.leaf(start=NOW - 2 * YEAR, stop=NOW - YEAR), "expired"),
    "early": (lambda shop: shop.leaf(start=NOW + YEAR, stop=NOW + 2 * YEAR), "not valid yet"),
    "self-signed": (lambda shop: issue("me", shop.key, "me", shop.key), "signed by itself"),
    "an authority's": (lambda shop: shop.leaf(ca=True), "an authority's"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_bad_certificates_are_refused_with_a_reason(shop, make, words):
    with pytest.raises(SoraError, match=words):
        own_identity(*shop.files(make(shop), shop.ca))


def test_what_does_not_belong_together_is_refused(shop):
    leaf, other = shop.leaf(), ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SoraError, match="belongs to none"):
        own_identity(*shop.files(leaf, shop.ca, key=other))
    with pytest.raises(SoraError, match="put that one first"):
        own_identity(*shop.files(shop.ca, leaf))
    with pytest.raises(SoraError, match="leaf alone"):
        own_identity(*shop.files(leaf))
    stranger = issue("stranger", other, "stranger", other, ca=True)
    with pytest.raises(SoraError, match="not issued by"):
        own_identity(*shop.files(leaf, stranger))


def test_old_and_foreign_forms_of_keys_are_refused(shop):
    leaf = shop.leaf()
    with pytest.raises(SoraError, match="PKCS#8") as told:
        own_identity(*shop.files(leaf, shop.ca, form=PrivateFormat.TraditionalOpenSSL))
    assert "BEGIN" not in str(told.value)
    chain, key = shop.files(leaf, shop.ca)
    for data, words in (
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n", "open"),
    ):
        key.write_bytes(data)
        with pytest.raises(SoraError, match=words):
            own_identity(chain, key)
    with pytest.raises(SoraError, match="cannot be read"):
        own_identity(chain, shop.folder / "none.pem")
    chain.write_bytes(b"\x00" * 100)
    key.write_bytes(shop.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SoraError, match="no certificates"):
        own_identity(chain, key)
    chain.write_bytes(b"x" * (2 << 20))
    with pytest.raises(SoraError, match="larger than"):
        own_identity(chain, key)


@pytest.mark.parametrize(
    "make", [lambda: dsa.generate_private_key(1024), lambda: ec.generate_private_key(ec.SECP192R1())]
)
def test_kinds_that_cannot_sign_are_refused(shop, make):
    with pytest.raises(SoraError, match="cannot sign manifests"):
        own_identity(*shop.files(shop.leaf(), shop.ca, key=make()))
