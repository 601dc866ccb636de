"""What a cameo looks and sounds like: encrypted on disk under a key that can be destroyed."""

# H W height and width, C channels, S samples

from __future__ import annotations

import hashlib
import io
import os
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import SoraError
from ..provenance.home import PRIVATE_FILE
from .canonical import canonical, parse
from .fields import HEX_ID, exactly, whole
from .owner_key import OwnerKey, seal

MAX_PICTURES = 2
MAX_PIXELS = 4 << 20
SMALLEST_SIDE = 16
MAX_SECONDS = 20.0
MAX_BLOB = 32 << 20

_KEY_BYTES, _NONCE = 32, 12
_RATES = whole(4000, 192_000)
_HEAD = struct.Struct("<I")
_MAX_HEADER = 1000


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Reference pictures and a voice.

    pictures: up to two, uint8 RGB ``[H, W, 3]``. sound: float32 ``[C, S]`` in [-1, 1] (kept with 16 bits), or None.
    sample_rate: of the sound, 0 without.
    """

    pictures: tuple[NDArray[np.uint8], ...] = ()
    sound: NDArray[np.float32] | None = None
    sample_rate: int = 0

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it holds: "face", "voice"."""
        return (("face",) if self.pictures else ()) + (("voice",) if self.sound is not None else ())

    def only(self, scopes: Sequence[str]) -> Likeness:
        """Return what the scopes allow to see and hear."""
        voice = "voice" in scopes
        return Likeness(
            pictures=self.pictures if "face" in scopes else (),
            sound=self.sound if voice else None,
            sample_rate=self.sample_rate if voice else 0,
        )


def make_likeness(
    pictures: Sequence[NDArray[np.uint8] | bytes],
    sound: NDArray[np.float32] | None = None,
    sample_rate: int = 0,
) -> Likeness:
    """Return a likeness of pictures and sound, large pictures made smaller; nothing but pixels and samples is kept.

    Args:
        pictures: one or two, uint8 ``[H, W, 3]``, or the bytes of a picture file.
        sound: float32 ``[C, S]`` with one or two channels, of up to 20 s.
        sample_rate: samples per second, 4000 to 192000.

    Raises:
        SoraError: there are none or too many, or one of them is empty, too small, too long, or not finite.
    """
    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise SoraError(f"a cameo has 1 or {MAX_PICTURES} pictures, not {len(pictures)}; choose the best")
    if sound is not None:
        seconds = sound.shape[-1] / max(1, sample_rate)
        fits = sound.ndim == 2 and sound.shape[0] in (1, 2) and _RATES(sample_rate)
        if not (fits and 0 < seconds <= MAX_SECONDS and np.isfinite(sound).all()):
            raise SoraError(
                f"the sound of a cameo is {seconds:.1f} s of shape {list(sound.shape)} at {sample_rate} Hz; give up to "
                f"{MAX_SECONDS:g} s of one or two channels at 4000 to 192000 Hz"
            )
        sound = (np.clip(sound, -1, 1) * 32767).round().astype(np.float32) / np.float32(32767)
    return Likeness(
        pictures=tuple(_picture(each) for each in pictures),
        sound=sound,
        sample_rate=sample_rate if sound is not None else 0,
    )


def keep(folder: Path, cameo: str, likeness: Likeness, key: OwnerKey) -> str:
    """Encrypt a likeness under a fresh data key, which is sealed to the owner's key; return the SHA-256 of the file.

    AES-256-GCM with the cameo's id as associated data.
    """
    data_key = secrets.token_bytes(_KEY_BYTES)
    blob = _encrypt(_packed(likeness), data_key, cameo)
    put(folder, cameo, blob, seal(data_key, key.did, cameo.encode()))
    return sha256_of(blob)


def put(folder: Path, cameo: str, blob: bytes, sealed: bytes) -> None:
    """Write an encrypted likeness and its sealed key, each 0600.

    Raises:
        SoraError: they cannot be written, for want of room or rights.
    """
    for path, data in zip(_paths(folder, cameo), (sealed, blob), strict=True):
        with replacing(path) as hidden:
            hidden.unlink(missing_ok=True)
            handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())


def load(folder: Path, cameo: str, sha256: str, key: OwnerKey) -> Likeness:
    """Return a likeness that was kept.

    Raises:
        SoraError: it was destroyed, is damaged, or is sealed to another key.
    """
    data_key = data_key_of(folder, cameo, key)
    return opened(blob_of(folder, cameo, sha256), data_key, cameo)


def data_key_of(folder: Path, cameo: str, key: OwnerKey) -> bytes:
    """Return the key that opens a likeness.

    Raises:
        SoraError: it was destroyed, or is sealed to another key.
    """
    return key.open(_read(_paths(folder, cameo)[0]), cameo.encode())


def blob_of(folder: Path, cameo: str, sha256: str) -> bytes:
    """Return the encrypted likeness.

    Raises:
        SoraError: it was destroyed, or is not the one that the card names.
    """
    blob = _read(_paths(folder, cameo)[1])
    if sha256_of(blob) != sha256:
        raise SoraError("the likeness of this cameo is not the one that its card names; ask its owner for it again")
    return blob


def sha256_of(blob: bytes) -> str:
    """Return the hash by which a card names an encrypted likeness."""
    return hashlib.sha256(blob).hexdigest()


def opened(blob: bytes, data_key: bytes, cameo: str) -> Likeness:
    """Return the likeness in encrypted bytes.

    Raises:
        SoraError: the key does not fit, or what is in it is no likeness.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        plain = AESGCM(data_key).decrypt(blob[:_NONCE], blob[_NONCE:], cameo.encode())
    except (InvalidTag, ValueError) as error:
        raise SoraError("the likeness of this cameo was changed or is of another key; ask its owner again") from error
    return _unpacked(plain)


def destroy(folder: Path, cameo: str) -> bool:
    """Overwrite and remove the key and the likeness; return whether there was anything.

    What a file system or disk keeps of overwritten files, and copies that were made of the folder, are out of reach.
    """
    found = False
    for path in _paths(folder, cameo):
        try:
            with path.open("r+b", buffering=0) as file:
                size = path.stat().st_size
                file.write(secrets.token_bytes(min(size, 1 << 20)))
                os.fsync(file.fileno())
            path.unlink()
            found = True
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SoraError(f"{path} cannot be destroyed: {error.strerror}; remove it by hand") from error
    return found


def is_here(folder: Path, cameo: str) -> bool:
    """Return whether the key of a likeness lies here."""
    return _paths(folder, cameo)[0].is_file()


def _paths(folder: Path, cameo: str) -> tuple[Path, Path]:
    assert HEX_ID.fullmatch(cameo), "a checked id"
    return folder / f"{cameo}.key", folder / f"{cameo}.likeness"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SoraError("the likeness of this cameo is not here, or was destroyed; ask its owner for it") from error
    except OSError as error:
        raise SoraError(f"{path} cannot be read: {error.strerror}; mend the folder") from error


def _encrypt(plain: bytes, data_key: bytes, cameo: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(data_key).encrypt(nonce, plain, cameo.encode())


def _picture(picture: NDArray[np.uint8] | bytes) -> NDArray[np.uint8]:
    """Return pixels, made smaller by a whole factor where there are more than 4 million."""
    image_HWC = _decoded(picture) if isinstance(picture, bytes) else picture
    if image_HWC.dtype != np.uint8 or image_HWC.ndim != 3 or image_HWC.shape[2] != 3:
        raise SoraError(f"a picture of a cameo is uint8 [H, W, 3], not {image_HWC.dtype} {list(image_HWC.shape)}")
    height, width, _ = image_HWC.shape
    if min(height, width) < SMALLEST_SIDE:
        raise SoraError(f"a picture of a cameo is {width}x{height} and must be {SMALLEST_SIDE} or more each way")
    step = 1
    while height * width > MAX_PIXELS * step * step:
        step += 1
    if min(height, width) < SMALLEST_SIDE * step:
        raise SoraError(f"a picture of a cameo is {width}x{height}, which is too long and thin; cut it")
    if step > 1:
        rows, columns = height // step * step, width // step * step
        blocks = image_HWC[:rows, :columns].reshape(rows // step, step, columns // step, step, 3)
        image_HWC = blocks.mean((1, 3), dtype=np.float32).round().astype(np.uint8)
    return np.ascontiguousarray(image_HWC)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    import av
    from av.error import FFmpegError

    try:
        with av.open(io.BytesIO(data)) as container:
            return next(container.decode(video=0)).to_ndarray(format="rgb24")
    except (FFmpegError, StopIteration, IndexError, ValueError, OSError) as error:
        raise SoraError("a picture of the cameo cannot be read; give a PNG, JPEG or WebP file") from error


def _packed(likeness: Likeness) -> bytes:
    parts = [zlib.compress(image_HWC.tobytes(), 6) for image_HWC in likeness.pictures]
    sound = likeness.sound
    if sound is not None:
        parts.append(zlib.compress((sound * 32767).round().astype("<i2").tobytes(), 6))
    header = {
        "pictures": [list(image_HWC.shape[:2]) for image_HWC in likeness.pictures],
        "sound": None if sound is None else [*sound.shape, likeness.sample_rate],
        "sizes": [len(part) for part in parts],
    }
    head = canonical(header)
    return _HEAD.pack(len(head)) + head + b"".join(parts)


def _unpacked(plain: bytes) -> Likeness:
    """Return what `_packed` made; a stranger may have made it, so every size is checked before room is taken."""
    if len(plain) < _HEAD.size or (length := _HEAD.unpack_from(plain)[0]) > _MAX_HEADER:
        raise SoraError("the likeness of this cameo is no likeness; ask its owner again")
    header = parse(plain[_HEAD.size : _HEAD.size + length], "the likeness", _MAX_HEADER)
    side = whole(1, MAX_PIXELS)
    schema = {
        "pictures": lambda value: (
            isinstance(value, list)
            and 1 <= len(value) <= MAX_PICTURES
            and all(
                isinstance(shape, list)
                and len(shape) == 2
                and all(map(side, shape))
                and shape[0] * shape[1] <= MAX_PIXELS
                for shape in value
            )
        ),
        "sound": lambda value: (
            value is None
            or (
                isinstance(value, list)
                and len(value) == 3
                and whole(1, 2)(value[0])
                and _RATES(value[2])
                and whole(1, round(MAX_SECONDS * value[2]))(value[1])
            )
        ),
        "sizes": lambda value: isinstance(value, list) and len(value) <= 3 and all(map(whole(0, MAX_BLOB), value)),
    }
    exactly(header, schema, "the likeness")
    shapes = [(height, width, 3) for height, width in header["pictures"]]
    lengths = [height * width * 3 for height, width, _ in shapes]
    if header["sound"]:
        lengths.append(header["sound"][0] * header["sound"][1] * 2)
    at, parts = _HEAD.size + length, []
    for size, wanted in zip(header["sizes"], lengths, strict=False):
        parts.append(_inflated(plain[at : at + size], wanted))
        at += size
    if len(parts) != len(lengths) or at != len(plain):
        raise SoraError("the likeness of this cameo is cut short; ask its owner again")
    pictures = tuple(np.frombuffer(part, np.uint8).reshape(shape) for part, shape in zip(parts, shapes, strict=False))
    sound, rate = None, 0
    if header["sound"]:
        channels, _, rate = header["sound"]
        sound = np.divide(np.frombuffer(parts[-1], "<i2").reshape(channels, -1), 32767, dtype=np.float32)
    return Likeness(pictures=pictures, sound=sound, sample_rate=rate)


def _inflated(data: bytes, length: int) -> bytes:
    """Return exactly so many bytes, whatever the data would grow to."""
    try:
        plain = zlib.decompressobj().decompress(data, length + 1)
    except zlib.error as error:
        raise SoraError("the likeness of this cameo is damaged; ask its owner again") from error
    if len(plain) != length:
        raise SoraError("the likeness of this cameo has another size than it says; ask its owner again")
    return plain
