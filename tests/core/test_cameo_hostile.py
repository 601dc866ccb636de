"""What strangers, crashes, full disks and other processes do to the consent ledger."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("cryptography")

from sora_core.cameo.canonical import canonical, parse
from sora_core.cameo.checkpoint import read_checkpoint
from sora_core.cameo.ledger import Ledger
from sora_core.cameo.likeness import make_likeness
from sora_core.cameo.owner_key import raw_of, seal
from sora_core.cameo.proof import verify_proof
from sora_core.cameo.use import Ask, Refusal
from sora_core.errors import SoraError
from sora_core.provenance.home import Home

HASH = "ab" * 32
FACE = [Ask(cameo="nova")]
DID = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"

HOSTILE_NAMES = [
    "",
    "a",
    "a" * 31,
    "Nova",
    "../nova",
    "..",
    "/etc/passwd",
    "C:nova",
    "no va",
    "nova\0",
    "nova\n",
    "nova;drop table log",
    "' OR 1=1 --",
    "nov\u0430",
    "\u202enova",
    "nova\u200b",
    "\uff4eova",
    "nova.key",
    "no-va",
    "%6eova",
    "{name}",
    "\ud800x",
    "~root",
    "nul:",
    "\\\\host\\share",
]

NO_JSON = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe{}",
    b'{"a":1,"a":2}',
    b'{"a":1.5}',
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":99999999999999999999}',
    b'{"a":"\\ud800"}',
    b'{"\\ud800":1}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' * 30 + b"1" + b"}" * 30,
    b'{"a":' + b"9" * 50_000 + b"}",
]

WORKER = """
import sys
from pathlib import Path
from sora_core.cameo.ledger import Ledger
from sora_core.cameo.use import Ask, Refusal
from sora_core.provenance.home import Home
ledger = Ledger(Home(Path(sys.argv[1])))
done = 0
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    try:
        use = ledger.begin_use([Ask(cameo="nova")], prompt="a walk")
    except Refusal:
        continue
    ledger.finish_use(use, output_sha256="ab" * 32)
    done += 1
print(done, flush=True)
"""


@pytest.fixture(autouse=True)
def _no_passphrase_of_the_user(monkeypatch):
    monkeypatch.delenv("SORA_PASSPHRASE", raising=False)


@pytest.fixture
def shape():
    return make_likeness([np.full((20, 20, 3), 9, np.uint8)], np.zeros((1, 400), np.float32), 8000)


@pytest.fixture
def anna(tmp_path, shape):
    ledger = Ledger(Home(tmp_path / "anna"))
    ledger.enroll("nova", subject="character", attested=True, likeness=shape)
    return ledger


@pytest.fixture
def ben(tmp_path):
    return Ledger(Home(tmp_path / "ben"))


def lent(anna, ben, **wish):
    grant = anna.grant("nova", **({"level": "approved", "grantee": ben.did} | wish))
    return anna.export_grant(grant.hash)


def start(folder, times):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(times)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- names -----------------------------------------------------------------------------------------


def test_hostile_names_make_nothing(anna, shape, tmp_path):
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for name in HOSTILE_NAMES:
        with pytest.raises(SoraError, match="no name of a cameo") as caught:
            anna.enroll(name, subject="character", attested=True, likeness=shape)
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()
        for act in (anna.challenge, anna.revoke, anna.card, lambda name: anna.grant(name, level="everyone")):
            with pytest.raises(SoraError):
                act(name)
        with pytest.raises(Refusal) as caught:
            anna.begin_use([Ask(cameo=name)], prompt="")
        assert caught.value.reason == "unknown"
        assert str(caught.value).isprintable()
        assert anna.entries(newest=1)[0].value["cameos"] == []
    after = sorted(str(path) for path in tmp_path.rglob("*"))
    assert [path for path in after if "sqlite" not in path] == [path for path in before if "sqlite" not in path]


def test_ids_are_looked_up_and_never_opened(anna):
    for cameo in ("0" * 32, "f" * 32, "0" * 64):
        with pytest.raises(Refusal, match="no cameo"):
            anna.begin_use([Ask(cameo=cameo)], prompt="")


def test_hostile_scopes_tags_policies_and_prompts(anna):
    with pytest.raises(SoraError):
        Ask(cameo="nova", scopes=())
    with pytest.raises(SoraError):
        Ask(cameo="nova", scopes=("face", "../x"))
    with pytest.raises(SoraError, match="policy"):
        anna.begin_use(FACE, prompt="", policy="../../policy")
    with pytest.raises(SoraError, match="shorten"):
        anna.begin_use(FACE, prompt="x" * (1 << 21))
    anna.begin_use(FACE, prompt="\ud800\0\u202e" * 100, tags=["\0", "x" * 100_000])


def test_hostile_keys(anna):
    ends = ("x", "\n", " ")
    cut = [DID[:-1], DID[:-1] + "0", DID.replace("z6Mk", "z6Ml"), DID.upper(), "did:key:z6Mk", "did:key:", ""]
    for did in [*cut, *(DID + end for end in ends)]:
        with pytest.raises(SoraError):
            raw_of(did)
        with pytest.raises(SoraError):
            anna.grant("nova", level="approved", grantee=did)


def test_keys_of_small_order_get_no_likeness():
    from sora_core.cameo.owner_key import did_of

    for raw in (b"\0" * 32, b"\1" + b"\0" * 31, (2**255 - 20).to_bytes(32, "little")):
        with pytest.raises(SoraError):
            seal(b"secret", did_of(raw), b"")


# -- files of strangers ----------------------------------------------------------------------------


def test_json_that_is_no_honest_json(anna):
    for data in NO_JSON:
        for act in (lambda data: parse(data, "the file"), anna.take, lambda data: verify_proof(data, anna.did)):
            with pytest.raises(SoraError):
                act(data)


def test_too_long_is_refused_before_it_is_read():
    with pytest.raises(SoraError, match="may have 10"):
        parse(b"{" + b" " * 20 + b"}", "the file", 10)


def test_what_is_written_is_read_the_same():
    value = {"b": [1, None, True], "a": '\u00e4\u4e2d\U0001f600"\\\n', "\u00e9": {}}
    assert parse(canonical(value), "it") == value
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_every_changed_field_of_a_bundle_is_refused(anna, ben):
    data = json.loads(lent(anna, ben))
    spoiled = 0
    for part in ("card", "grant", "revocations"):
        for key, value in data[part]["body"].items():
            for other in (None, "", [], {}, 0, -1, True, "../x", "x" * 10_000, DID, value * 2 if value else 7):
                if other == value and type(other) is type(value):
                    continue
                copy = json.loads(json.dumps(data))
                copy[part]["body"][key] = other
                with pytest.raises(SoraError):
                    ben.take(canonical(copy))
                spoiled += 1
    for key in data:
        for other in (None, "", [], {}, 5, "A" * 40):
            copy = json.loads(json.dumps(data)) | {key: other}
            if copy == data or (key == "vouches" and other == []):
                continue
            with pytest.raises(SoraError):
                ben.take(canonical(copy))
            spoiled += 1
    assert spoiled > 250
    assert ben.head().size == 0
    assert ben.standings() == []
    assert not list(ben.folder.glob("*.key"))


def test_well_signed_nonsense_is_refused_too(anna, ben):
    """The stranger signs what they like with a key of their own."""
    data = json.loads(lent(anna, ben))
    card, grant, revocations = (data[part]["body"] for part in ("card", "grant", "revocations"))
    for part, body in (
        ("card", card | {"name": "../../etc"}),
        ("card", card | {"cameo": "../" + "0" * 29}),
        ("card", card | {"extra": 1}),
        ("card", card | {"attestation": "none"}),
        ("card", card | {"subject": "person", "attestation": "I am the person shown, and I am 18 or older"}),
        ("card", card | {"likeness": "0" * 64}),
        ("card", card | {"scopes": ["face"]}),
        ("grant", grant | {"delegation": True}),
        ("grant", grant | {"delegation": 0}),
        ("grant", grant | {"v": True}),
        ("grant", grant | {"v": 2}),
        ("grant", grant | {"level": "only_me"}),
        ("grant", grant | {"level": "everyone"}),
        ("grant", grant | {"not_after": 2**53}),
        ("grant", grant | {"not_after": grant["not_before"] + 400 * 86400}),
        ("grant", grant | {"scopes": ["voice", "face"]}),
        ("grant", grant | {"deny": ["a"] * 2}),
        ("grant", grant | {"deny": ["\u202e"]}),
        ("grant", grant | {"deny": [{}]}),
        ("grant", grant | {"card": "0" * 64}),
        ("grant", grant | {"type": "cameo"}),
        ("revocations", revocations | {"next_update": revocations["issued"] + 32 * 86400}),
        ("revocations", revocations | {"grants": [grant["nonce"]]}),
        ("revocations", revocations | {"counter": 0}),
    ):
        copy = dict(data) | {part: anna.key.sign(body)}
        with pytest.raises(SoraError):
            ben.take(canonical(copy))
    assert ben.head().size == 0
    ben.take(canonical(data))


def test_one_kind_of_signed_thing_is_not_another(anna, ben):
    data = json.loads(lent(anna, ben))
    swapped = dict(data) | {"grant": data["card"], "card": data["grant"]}
    with pytest.raises(SoraError):
        ben.take(canonical(swapped))
    # a signature over the same bytes under another type
    body = data["grant"]["body"]
    envelope = {"body": body, "signature": anna.key.sign(body | {"type": "vouch"})["signature"]}
    with pytest.raises(SoraError, match="not signed"):
        ben.take(canonical(dict(data) | {"grant": envelope}))


def test_a_likeness_of_a_stranger_is_measured_before_room_is_taken():
    import struct
    import zlib

    from sora_core.cameo import likeness

    bomb = zlib.compress(bytes(200 << 20), 9)
    for pictures, sizes in (
        ([[20, 20]], [len(bomb)]),
        ([[60_000, 60_000]], [len(bomb)]),
        ([[20, 20]], [1 << 40]),
        ([[-5, 20]], [3]),
        ([[20, 20]], []),
        ([], []),
        ([[20, 20, 3]], [3]),
        ("x", [3]),
    ):
        head = canonical({"pictures": pictures, "sound": None, "sizes": sizes})
        with pytest.raises(SoraError):
            likeness._unpacked(struct.pack("<I", len(head)) + head + bomb)
    for plain in (b"", b"\xff\xff\xff\xff", b"\5\0\0\0abc"):
        with pytest.raises(SoraError):
            likeness._unpacked(plain)


def test_random_damage_of_a_bundle_leaves_nothing(anna, ben):
    data = lent(anna, ben)
    rng = random.Random(5)
    for _ in range(300):
        copy = bytearray(data)
        for _ in range(rng.randrange(1, 5)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
        if rng.random() < 0.2:
            copy = copy[: rng.randrange(len(copy))]
        if bytes(copy) == data:
            continue
        with pytest.raises(SoraError):
            ben.take(bytes(copy))
    assert ben.head().size == 0
    assert not list(ben.folder.glob("*.key"))


def test_an_owner_who_signs_two_lists_of_one_number(anna, ben):
    ben.take(lent(anna, ben))
    body = json.loads(anna.export_revocations())["revocations"]["body"]
    two = anna.key.sign(body | {"issued": body["issued"] + 1, "next_update": body["next_update"] + 1})
    with pytest.raises(SoraError, match="two revocation lists"):
        ben.take(canonical({"v": 1, "type": "revocations", "revocations": two}))


def test_a_list_that_forgets_is_refused(anna, ben):
    data = lent(anna, ben)
    ben.take(data)
    anna.revoke("nova")
    ben.take(anna.export_revocations())
    body = json.loads(anna.export_revocations())["revocations"]["body"]
    forgetful = anna.key.sign(body | {"counter": body["counter"] + 1, "cameos": []})
    with pytest.raises(SoraError, match="leaves out"):
        ben.take(canonical({"v": 1, "type": "revocations", "revocations": forgetful}))
    with pytest.raises(SoraError, match="took this grant back"):
        ben.take(data)


def test_a_row_put_into_the_database_is_not_believed(anna, ben):
    ben.take(lent(anna, ben, max_uses=1))
    with sqlite3.connect(ben.store.path) as connection:
        raw = connection.execute("SELECT envelope FROM grants").fetchone()[0]
        connection.execute("UPDATE grants SET envelope = ?", (raw.replace(b'"max_uses":1', b'"max_uses":9'),))
    with pytest.raises(SoraError, match="not signed"):
        ben.begin_use(FACE, prompt="")


def test_keys_are_in_no_output(anna, ben):
    data = lent(anna, ben)
    use = anna.begin_use(FACE, prompt="")
    secrets = [anna.key.private.private_bytes_raw(), anna.secret]
    outputs = [data, anna.export_proof(), anna.export_card("nova"), anna.export_revocations()]
    outputs += [repr((use, anna.key, anna.standings())).encode(), canonical(use.record())]
    for secret in secrets:
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert not any(form in output for output in outputs)


def test_a_likeness_lies_encrypted(tmp_path):
    ledger = Ledger(Home(tmp_path / "h"))
    picture_HWC = np.tile(np.frombuffer(b"RECOGNIZABLE", np.uint8).reshape(1, 4, 3), (40, 10, 1))
    card = ledger.enroll("nova", subject="character", attested=True, likeness=make_likeness([picture_HWC]))
    for path in ledger.folder.iterdir():
        assert b"RECOGNIZABLE" not in path.read_bytes()
    blob = ledger.folder / f"{card.cameo}.likeness"
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(SoraError, match="not the one that its card names"):
        ledger.likeness(ledger.begin_use(FACE, prompt=""))
    blob.unlink()
    (ledger.folder / f"{card.cameo}.key").unlink()
    with pytest.raises(Refusal) as caught:
        ledger.begin_use(FACE, prompt="")
    assert caught.value.reason == "gone"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_everything_is_the_owners_alone(tmp_path, shape):
    mask = os.umask(0)
    try:
        ledger = Ledger(Home(tmp_path / "h"))
        ledger.enroll("nova", subject="character", attested=True, likeness=shape)
        with ledger.store.writing():
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "h").rglob("*")}
    finally:
        os.umask(mask)
    assert any(name.endswith("-wal") for name in modes)
    assert modes.pop("cameo") == 0o700
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_place_of_the_ledger_is_not_followed(tmp_path):
    (tmp_path / "h" / "cameo").mkdir(parents=True)
    (tmp_path / "h" / "cameo" / "ledger.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SoraError, match="cannot be opened"):
        Ledger(Home(tmp_path / "h"))
    assert not (tmp_path / "elsewhere").exists()


def test_no_network(anna, ben, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the ledger opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    ben.take(lent(anna, ben))
    ben.finish_use(ben.begin_use(FACE, prompt=""), output_sha256=HASH)
    verify_proof(ben.export_proof(), anna.did)


# -- crashes, full disks, other processes ----------------------------------------------------------


def test_what_is_no_ledger_is_refused(tmp_path, anna):
    with sqlite3.connect(anna.store.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(SoraError, match="version 9"):
        Ledger(Home(tmp_path / "anna"))
    (tmp_path / "h" / "cameo").mkdir(parents=True)
    (tmp_path / "h" / "cameo" / "ledger.sqlite").write_bytes(b"no database at all " * 100)
    with pytest.raises(SoraError, match="cannot be used"):
        Ledger(Home(tmp_path / "h"))


def test_a_full_disk_says_so_and_loses_nothing(anna, monkeypatch):
    open_use = anna.begin_use(FACE, prompt="")
    pages = anna.store.path.stat().st_size // 4096
    connect = sqlite3.connect

    def small(*args, **settings):
        connection = connect(*args, **settings)
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    begun = 0
    said = ""
    while not said:
        try:
            anna.begin_use(FACE, prompt="")
            begun += 1
        except SoraError as error:
            said = str(error)
    assert "full" in said
    assert "make room" in said
    monkeypatch.undo()
    assert anna.audit().size == 2 + begun
    assert len(anna.orphans()) == 1 + begun
    anna.finish_use(open_use, output_sha256=HASH)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_disk_that_takes_no_more_bytes(anna, tmp_path):
    """The limit that the system sets on files stands for a disk without room."""
    limit = max(path.stat().st_size for path in anna.folder.iterdir()) + 40_000
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from sora_core.errors import SoraError\n"
        f"worker = {WORKER!r}\n"
        "try:\n    exec(compile(worker, 'worker', 'exec'))\n"
        "except SoraError as error:\n    print('SENTENCE', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "anna"), "5000"], capture_output=True, text=True, check=False
    )
    assert "SENTENCE the ledger" in done.stdout, done.stderr
    size = anna.audit().size
    assert size > 3
    anna.begin_use(FACE, prompt="")
    assert anna.audit().size == size + 1


def test_a_full_disk_while_enrolling_leaves_no_half(anna, shape, monkeypatch):
    before = sorted(path.name for path in anna.folder.iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SoraError, match="No space left"):
        anna.enroll("bolt", subject="character", attested=True, likeness=shape)
    monkeypatch.undo()
    assert sorted(path.name for path in anna.folder.iterdir()) == before
    anna.enroll("bolt", subject="character", attested=True, likeness=shape)


def test_threads_share_a_ledger(anna, ben):
    ben.take(lent(anna, ben, max_uses=7))
    allowed, others = [], []

    def run():
        for _ in range(4):
            try:
                allowed.append(ben.begin_use(FACE, prompt=""))
            except Refusal as refusal:
                others.append(refusal.reason)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 7
    assert others == ["used_up"] * 13
    assert ben.audit().size == 21
    assert len({use.index for use in allowed}) == 7


@pytest.mark.slow
def test_processes_never_fork_the_log_or_use_too_often(anna, ben, tmp_path):
    ben.take(lent(anna, ben, max_uses=30))
    workers = [start(tmp_path / "ben", 20) for _ in range(3)]
    done = [worker.communicate(timeout=120) for worker in workers]
    counts = [int(out.split()[-1]) for out, _ in done]
    assert sum(counts) == 30, done
    # one import, 30 intents and results, 30 refusals
    assert ben.audit().size == 1 + 60 + 30
    reading = verify_proof(ben.export_proof(), anna.did)
    assert reading.complete
    assert reading.violations == ()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_killed_while_appending_the_log_stays_whole(anna, tmp_path):
    rng = random.Random(8)
    seen: list[str] = []
    killed = 0
    for _ in range(8):
        worker = start(tmp_path / "anna", 100_000)
        assert worker.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.02, 0.25))
        worker.send_signal(signal.SIGKILL)
        worker.communicate(timeout=60)
        killed += worker.returncode == -signal.SIGKILL
        again = Ledger(Home(tmp_path / "anna"))
        head = again.audit()
        # no head that was given out is ever lost
        for note in seen:
            old = read_checkpoint(note, again.did)
            assert verify_proof(again.export_proof(since=old.size), again.did).earlier.root == old.root
        seen.append(head.note)
        intents = sum(entry.value["kind"] == "intent" for entry in again.entries())
        results = sum(entry.value["kind"] == "result" for entry in again.entries())
        assert intents - results == len(again.orphans())
    assert killed == 8
    assert read_checkpoint(seen[-1], anna.did).size > 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_killed_while_enrolling_nothing_half_stays(tmp_path):
    home = tmp_path / "home"
    Ledger(Home(home))
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from sora_core.cameo.ledger import Ledger\nfrom sora_core.cameo.likeness import make_likeness\n"
        "from sora_core.provenance.home import Home\n"
        "ledger = Ledger(Home(Path(sys.argv[1])))\n"
        "shape = make_likeness([np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)])\n"
        "print('ready', flush=True)\n"
        "for n in range(10000):\n"
        "    ledger.enroll(f'n{sys.argv[2]}_{n}', subject='character', attested=True, likeness=shape)\n"
    )
    rng = random.Random(9)
    for turn in range(5):
        worker = subprocess.Popen([sys.executable, "-c", code, str(home), str(turn)], stdout=subprocess.PIPE, text=True)
        assert worker.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.25))
        worker.send_signal(signal.SIGKILL)
        worker.communicate(timeout=60)
        ledger = Ledger(Home(home))
        ledger.audit()
        kept = {each.card.cameo for each in ledger.standings() if each.here}
        assert {path.stem for path in ledger.folder.glob("*.key")} == kept
        assert {path.stem for path in ledger.folder.glob("*.likeness")} == kept
        assert len(kept) == len(ledger.standings())
