"""The log of uses and its proofs: hashes of RFC 6962, heads, and what a changed log or proof looks like."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sqlite3

import pytest

pytest.importorskip("cryptography")

from sora_core.cameo import tree
from sora_core.cameo.canonical import canonical
from sora_core.cameo.checkpoint import origin_of, read_checkpoint, sign_checkpoint
from sora_core.cameo.ledger import Ledger
from sora_core.cameo.likeness import make_likeness
from sora_core.cameo.owner_key import owner_key
from sora_core.cameo.proof import _violations, verify_proof
from sora_core.cameo.use import Ask
from sora_core.errors import SoraError
from sora_core.provenance.home import Home

MOST = 70
HASH = "cd" * 32
FACE = [Ask(cameo="nova")]

# inputs and roots of the reference implementation's test of RFC 6962
KNOWN_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
KNOWN_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def grown(leaves):
    """Return what reads the full subtrees of a tree, built leaf by leaf."""
    kept = {}

    def node(level, place):
        return kept[level, place]

    for place, leaf in enumerate(leaves):
        for level, at, found in tree.completed(place, tree.leaf_hash(leaf), node):
            kept[level, at] = found
    return node


def plain_root(leaves):
    """Return the root straight from the definition (RFC 6962, 2.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + plain_root(leaves[:half]) + plain_root(leaves[half:])).digest()


@pytest.fixture(autouse=True)
def _no_passphrase_of_the_user(monkeypatch):
    monkeypatch.delenv("SORA_PASSPHRASE", raising=False)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(Home(tmp_path / "home"))
    pixels = make_likeness([bytes_of_a_picture(tmp_path)])
    ledger.enroll("nova", subject="character", attested=True, likeness=pixels)
    return ledger


def bytes_of_a_picture(folder):
    import numpy as np

    from sora_core.media.png import write_png

    write_png(folder / "a.png", np.full((20, 20, 3), 9, np.uint8))
    return (folder / "a.png").read_bytes()


def used(ledger, times=1):
    for _ in range(times):
        use = ledger.begin_use(FACE, prompt="a walk")
        ledger.finish_use(use, output_sha256=HASH)
    return use


def test_roots_of_the_reference_implementation():
    for size, root in KNOWN_ROOTS.items():
        assert tree.root(0, size, grown(KNOWN_LEAVES[:size])).hex() == root


def test_roots_and_proofs_of_every_size():
    leaves = [bytes([number]) * 3 for number in range(MOST)]
    node = grown(leaves)
    for size in range(1, MOST + 1):
        root = plain_root(leaves[:size])
        assert tree.root(0, size, node) == root
        for index in range(size):
            path = tree.inclusion(index, size, node)
            leaf = tree.leaf_hash(leaves[index])
            assert tree.root_from_inclusion(index, size, leaf, path) == root
            assert len(path) <= (size - 1).bit_length()


def test_proofs_of_growth_between_every_two_sizes():
    leaves = [bytes([number]) for number in range(MOST)]
    node = grown(leaves)
    roots = [plain_root(leaves[:size]) for size in range(MOST + 1)]
    for size in range(1, MOST + 1):
        for earlier in range(1, size + 1):
            path = tree.consistency(earlier, size, node)
            assert tree.is_consistent(earlier, size, roots[earlier], roots[size], path)
            assert not tree.is_consistent(earlier, size, roots[earlier - 1], roots[size], path)
            if earlier < size:
                assert not tree.is_consistent(earlier, size, roots[earlier], roots[size - 1], path)
                assert not tree.is_consistent(earlier, size, roots[earlier], roots[size], path[:-1])
                assert not tree.is_consistent(earlier, size, roots[earlier], roots[size], [*path, path[-1]])


def test_wrong_paths_lead_nowhere():
    rng = random.Random(4)
    leaves = [bytes([number]) for number in range(33)]
    node = grown(leaves)
    for _ in range(2000):
        size = rng.randrange(1, 34)
        index = rng.randrange(size)
        path = tree.inclusion(index, size, node)
        leaf, root = tree.leaf_hash(leaves[index]), tree.root(0, size, node)
        act = rng.randrange(4)
        if act == 0 and path:
            path[rng.randrange(len(path))] = rng.randbytes(32)
        elif act == 1 and path:
            path.pop(rng.randrange(len(path)))
        elif act == 2:
            path.insert(rng.randrange(len(path) + 1), rng.randbytes(32))
        else:
            other = rng.randrange(-1, size + 2)
            if other == index:
                continue
            index = other
        if act in (0, 1) and size == 1:
            continue
        assert tree.root_from_inclusion(index, size, leaf, path) != root


def test_a_head_is_a_signed_note_that_others_can_read(tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = owner_key(Home(tmp_path))
    note = sign_checkpoint(key, 7, b"\5" * 32).note
    text, signatures = note.split("\n\n")
    origin, size, root = text.split("\n")
    dash, name, signature = signatures.rstrip("\n").split(" ")
    raw = base64.b64decode(signature)
    assert (origin, size, base64.b64decode(root), dash) == (origin_of(key.did), "7", b"\5" * 32, "\u2014")
    assert name == origin
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + key.raw).digest()[:4]
    Ed25519PublicKey.from_public_bytes(key.raw).verify(raw[4:], f"{text}\n".encode())
    assert read_checkpoint(note, key.did).size == 7


def test_a_changed_head_is_not_read(tmp_path):
    key, other = owner_key(Home(tmp_path / "a")), owner_key(Home(tmp_path / "b"))
    note = sign_checkpoint(key, 7, b"\5" * 32).note
    changed = [
        note.replace("\n7\n", "\n8\n"),
        note.replace("\n7\n", "\n07\n"),
        note.replace("\n7\n", "\n-7\n"),
        note.replace("BQUF", "BQUG", 1),
        note.replace("\u2014", "-"),
        note + note,
        "",
        "\n\n",
        note.split("\n\n")[0],
        "x" * 5000,
    ]
    for text in changed:
        with pytest.raises(SoraError, match="head of the log"):
            read_checkpoint(text, key.did)
    with pytest.raises(SoraError, match="head of the log"):
        read_checkpoint(note, other.did)


def test_the_log_refuses_to_be_changed(ledger):
    used(ledger, 2)
    with sqlite3.connect(ledger.store.path) as connection:
        for statement in (
            "UPDATE log SET leaf = x'00'",
            "DELETE FROM log",
            "DELETE FROM log WHERE place = 4",
            "UPDATE nodes SET hash = x'00'",
            "DELETE FROM nodes",
            "UPDATE heads SET note = ''",
            "DELETE FROM heads",
            "INSERT INTO log VALUES (9, x'00')",
            "INSERT OR REPLACE INTO log VALUES (1, x'00')",
        ):
            with pytest.raises(sqlite3.IntegrityError, match=r"never changed|at its end"):
                connection.execute(statement)
    assert ledger.audit().size == 5


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE log SET leaf = CAST(replace(CAST(leaf AS TEXT), 'saved', 'draft') AS BLOB) WHERE place = 2",
        "DELETE FROM log WHERE place = 4",
        "DELETE FROM log WHERE place = 2",
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND place = 1",
        "UPDATE heads SET root = zeroblob(32) WHERE size = 3",
        "UPDATE heads SET note = (SELECT note FROM heads WHERE size = 2) WHERE size = 3",
        "DELETE FROM heads WHERE size = 3",
        "INSERT INTO nodes VALUES (9, 0, zeroblob(32))",
    ],
)
def test_whoever_removes_the_triggers_is_found_out(ledger, attack):
    used(ledger, 2)
    with sqlite3.connect(ledger.store.path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(attack).rowcount == 1
    with pytest.raises(SoraError, match=r"damaged|head of the log"):
        ledger.audit()


def test_nothing_is_added_to_a_damaged_log(ledger):
    used(ledger, 2)
    with sqlite3.connect(ledger.store.path) as connection:
        connection.execute("DROP TRIGGER log_no_DELETE")
        connection.execute("DELETE FROM log WHERE place = 4")
        connection.execute("DROP TRIGGER heads_no_DELETE")
        connection.execute("DELETE FROM heads WHERE size = 5")
    with pytest.raises(SoraError):
        ledger.begin_use(FACE, prompt="")


def test_nothing_is_built_on_a_changed_hash(ledger):
    used(ledger, 2)
    with sqlite3.connect(ledger.store.path) as connection:
        connection.execute("DROP TRIGGER nodes_no_UPDATE")
        connection.execute("UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND place = 4")
    with pytest.raises(SoraError, match="do not lead to its head"):
        ledger.begin_use(FACE, prompt="")


def test_a_proof_needs_the_file_and_the_key_alone(ledger):
    use = used(ledger, 4)
    data = ledger.export_proof("nova", since=use.head.size)
    reading = verify_proof(data, ledger.did, record=use.record())
    assert reading.complete
    assert reading.violations == ()
    assert reading.earlier.size == use.head.size
    assert reading.head.size == ledger.head().size == 9
    assert len(ledger.export_proof()) == len(ledger.export_proof("nova"))


def test_a_manifest_pins_the_log_with_three_numbers(ledger):
    use = used(ledger, 2)
    data = ledger.export_proof(since=use.head.size)
    pinned = {"log_index": use.index, "log_head": use.head.root.hex(), "grant_sha256": use.lent[0].grant}
    verify_proof(data, ledger.did, record=pinned)
    for change in ({"log_index": 0}, {"log_head": "0" * 64}, {"grant_sha256": "0" * 64}, {"log_index": "1"}):
        with pytest.raises(SoraError):
            verify_proof(data, ledger.did, record=pinned | change)
    with pytest.raises(SoraError):
        verify_proof(data, ledger.did, record={})


def test_a_proof_of_one_cameo_does_not_claim_to_be_all(ledger, tmp_path):
    shape = make_likeness([bytes_of_a_picture(tmp_path)])
    ledger.enroll("bolt", subject="character", attested=True, likeness=shape)
    ledger.begin_use([Ask(cameo="bolt")], prompt="")
    reading = verify_proof(ledger.export_proof("bolt"), ledger.did)
    assert not reading.complete
    assert list(reading.entries) == [1, 2]
    assert reading.orphans == (2,)


def test_every_changed_proof_is_refused(ledger):
    use = used(ledger, 3)
    data = ledger.export_proof(since=3)
    value = json.loads(data)

    def change(act):
        copy = json.loads(data)
        act(copy)
        return canonical(copy)

    changes = [
        lambda v: v["entries"][2]["leaf"].update(output="ef" * 32),
        lambda v: v["entries"][2]["leaf"].update(decision="draft"),
        lambda v: v["entries"][2]["leaf"].pop("reason"),
        lambda v: v["entries"][2]["leaf"].update(extra=1),
        lambda v: v["entries"][2].update(index=3),
        lambda v: v["entries"][2]["path"].pop(),
        lambda v: v["entries"].reverse(),
        lambda v: v["entries"].insert(0, v["entries"][0]),
        lambda v: v["entries"].pop(1),  # a result whose intent is left out
        lambda v: v.update(log="did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"),
        lambda v: v["earlier"]["path"].append("00" * 32),
        lambda v: v["earlier"].update(checkpoint=v["checkpoint"]),
        lambda v: v.update(earlier={"checkpoint": "x", "path": []}),
        lambda v: v.update(checkpoint=v["earlier"]["checkpoint"]),
        lambda v: v["grants"][0]["body"].update(max_uses=5),
        lambda v: v["grants"][0].update(signature="A" * 86 + "=="),
    ]
    for number, act in enumerate(changes):
        changed = change(act)
        assert changed != data, number
        with pytest.raises(SoraError):
            verify_proof(changed, ledger.did)
    assert value["entries"][2]["leaf"]["decision"] == "saved"
    for act in (
        {"index": 4},
        {"index": 1},
        {"size": 3},
        {"head": "00" * 32},
        {"cameos": []},
        {"log": "x"},
        {"index": None},
    ):
        with pytest.raises(SoraError):
            verify_proof(ledger.export_proof(since=use.head.size), ledger.did, record=use.record() | act)


def test_random_damage_never_passes(ledger):
    used(ledger, 2)
    data = ledger.export_proof(since=2)
    honest = verify_proof(data, ledger.did)
    rng = random.Random(11)
    for _ in range(400):
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        if bytes(copy) == data:
            continue
        try:
            reading = verify_proof(bytes(copy), ledger.did)
        except SoraError:
            continue
        # a grant that nothing names any more, or a letter of its JSON that means the same
        assert reading.entries == honest.entries
        assert reading.head.root == honest.head.root


def test_a_rewritten_history_is_seen_by_whoever_holds_one_clip(ledger, tmp_path):
    pinned = used(ledger).record()
    # the same key, another past
    other = Ledger(Home(tmp_path / "home2"))
    object.__setattr__(other.key, "private", ledger.key.private)
    object.__setattr__(other.key, "did", ledger.key.did)
    object.__setattr__(other.key, "raw", ledger.key.raw)
    other.enroll("nova", subject="character", attested=True, likeness=make_likeness([bytes_of_a_picture(tmp_path)]))
    used(other, 2)
    data = other.export_proof(since=pinned["size"])
    verify_proof(data, ledger.did)
    with pytest.raises(SoraError, match="rewritten"):
        verify_proof(data, ledger.did, record=pinned)


def test_a_log_that_broke_its_grants_says_so_itself(ledger, tmp_path, monkeypatch):
    ben = Ledger(Home(tmp_path / "ben"))
    grant = ledger.grant("nova", level="approved", grantee=ben.did, max_uses=1, scopes=["face"])
    ben.take(ledger.export_grant(grant.hash))
    # a changed program: no rule holds any more
    monkeypatch.setattr("sora_core.cameo.rules.weigh", lambda *_, **__: iter(()))
    used(ben, 2)
    reading = verify_proof(ben.export_proof(), ledger.did)
    assert reading.violations == ("entry 3 is one use more than its grant allows",)
    broken = _violations(reading.entries, {grant.hash: grant}, ledger.did, ledger.did)
    assert "entry 1 uses a grant that was given to another key" in list(broken)
    # of another owner's key it says nothing
    assert verify_proof(ben.export_proof(), ben.did).violations == ()
