"""Read a file's manifest: what it claims, who signed it, and whether it still fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .codes import OUTER_CHANGED, SELF_SIGNED, failures, sentences, state_of, successes
from .container import outer_boxes
from .formats import BOXED
from .generation import read_generation
from .labels import AI_DISCLOSURE, CONTAINER, GENERATION, LAYERS, TRAINING
from .lineage import ingredients_of
from .plain import plain
from .reading import ManifestReading, ManifestState
from .statements import actions_of, first_of, generator_of, mapping, marks_of, signer_of, texts
from .store import Store, read_store

_OUTER_SENTENCE = "bytes were changed or hidden where the signature does not reach"
_SELF_SENTENCE = "the certificate vouches for itself, which proves nothing of who signed"


def read_manifest(path: Path, *, anchors: bytes = b"", sidecar: Path | None = None) -> ManifestReading:
    """Read the manifest of any file, damaged and hostile ones included; nothing is fetched from anywhere.

    Args:
        path: the file.
        anchors: PEM certificates to trust, such as `local_anchors` of this machine.
        sidecar: the manifest beside it; by default as `find_sidecar` finds it.

    Raises:
        SoraError: the extra is missing.
    """
    store = read_store(path, anchors, sidecar)
    return reading_of(store, path, anchors)


def reading_of(store: Store, path: Path, anchors: bytes) -> ManifestReading:
    """Return what a store says of its file."""
    if store.trouble:
        return ManifestReading(state="unreadable", place=store.place, reasons=(store.trouble,))
    if not store.data:
        return ManifestReading(state="absent", reasons=(store.note,) if store.note else ())
    data, label = store.data, store.active
    manifest = mapping(mapping(data.get("manifests")).get(label))
    if not manifest:
        # the library could not put it together; it says so in codes, or not at all
        failed = failures(mapping(data.get("validation_results")).get("activeManifest"))
        state: ManifestState = "broken" if failed else "unreadable"
        reasons = _sentences(failed) or ("the manifest cannot be put together",)
        return ManifestReading(state=state, place=store.place, reasons=reasons, codes=tuple(failed))
    state, codes = _judged(store, path, anchors)
    marks, others = marks_of(manifest)
    layers = first_of(manifest, LAYERS)
    entries = mapping(first_of(manifest, TRAINING).get("entries"))
    training = mapping(entries.get("cawg.ai_generative_training")).get("use")
    return ManifestReading(
        state=state,
        place=store.place,
        label=plain(label),
        title=plain(manifest.get("title")),
        generator=generator_of(manifest),
        signer=signer_of(manifest),
        actions=actions_of(manifest),
        ingredients=ingredients_of(data, label, state),
        marks=marks,
        others=others,
        layers_on=texts(layers.get("present")),
        layers_off=texts(layers.get("off")),
        disclosure=plain(first_of(manifest, AI_DISCLOSURE).get("modelName")),
        training=plain(training, 40),
        generation=read_generation(first_of(manifest, GENERATION)) if first_of(manifest, GENERATION) else None,
        reasons=_sentences(codes),
        codes=tuple(codes),
    )


def _judged(store: Store, path: Path, anchors: bytes) -> tuple[ManifestState, list[str]]:
    results = mapping(store.data.get("validation_results")).get("activeManifest")
    failed = failures(results)
    manifest = mapping(mapping(store.data["manifests"]).get(store.active))
    claimed = first_of(manifest, CONTAINER).get("outer_sha256")
    if path.suffix.lower() in BOXED and store.place == "file":
        outer = outer_boxes(path)
        if outer is None or outer.stores != 1 or (claimed is not None and outer.sha256 != claimed):
            failed.append(OUTER_CHANGED)
    state = state_of(failed, successes(results))
    native = store.data.get("validation_state")
    if state != "broken" and native not in ("Valid", "Trusted") and not failed:
        # the library objects to something that it does not name
        return "broken", ["unknown"]
    if state == "trusted" and native != "Trusted":
        state = "intact"
    if state == "trusted" and _is_anchor(signer_of(manifest).serial, anchors):
        return "intact", [*failed, SELF_SIGNED]
    return state, failed


def _is_anchor(serial: str, anchors: bytes) -> bool:
    """Tell whether the leaf is itself what is trusted: the library lets that pass, C2PA forbids it."""
    if not anchors:
        return False
    from cryptography import x509

    try:
        return serial in {str(one.serial_number) for one in x509.load_pem_x509_certificates(anchors)}
    except ValueError:
        return False


def _sentences(codes: list[str]) -> tuple[str, ...]:
    own: dict[str, Any] = {OUTER_CHANGED: _OUTER_SENTENCE, SELF_SIGNED: _SELF_SENTENCE}
    return tuple(own[code] if code in own else sentences([code])[0] for code in dict.fromkeys(codes))
