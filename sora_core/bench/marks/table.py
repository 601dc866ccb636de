"""The figures of the marks, as rows for the table and as markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .peers import SOURCE

Row = tuple[str, str, str]
"""What, the figure, and what stands beside it."""

FAMILIES = {
    "none": "not attacked",
    "compression": "compression",
    "geometry": "geometry",
    "look": "look",
    "time": "time",
    "overlay": "overlays",
    "estimate": "estimated without the key and subtracted",
    "codec": "encoders",
    "resample": "other rates",
    "filter": "filters",
    "gain": "levels",
    "noise": "noise",
    "trim": "parts",
    "speed": "speed",
    "mix": "mixed",
}
"""Headings of the families; one that is missing here is its own heading."""


def rows(figures: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows of `suite.bench_marks`, with aims and peers."""
    yield (
        f"marks, {figures['variant']} variant",
        f"{figures['seconds']:,.0f} s",
        f"{figures['cpu_seconds']:,.0f} s of processors; every interval holds 95 times in 100",
    )
    if "picture" in figures:
        yield from _picture(figures["picture"], aims, figures["peers"])
    if "sound" in figures:
        yield from _sound(figures["sound"], aims)
    if "visible" in figures:
        yield "visible mark", "", ""
        yield from _visible(figures["visible"])


def _picture(picture: dict[str, Any], aims: dict[str, Any], peers: dict[str, Any]) -> Iterator[Row]:
    clips = picture["clips"]
    yield (
        "invisible mark of the picture",
        "",
        f"{clips['natural']} natural clips of 854 x 480, {clips['cartoon']} cartoons",
    )
    for kind, quality in picture["quality"].items():
        yield (
            f"  PSNR, {kind}",
            _plain(quality, "psnr_db", "dB", 1),
            _aim(aims, f"marks.picture.quality.{kind}.psnr_db"),
        )
        yield f"  SSIM, {kind}", _plain(quality, "ssim", "", 4), ""
        yield f"  flicker, {kind}", _plain(quality, "flicker", "levels", 3), ""
    speed = picture["speed"]
    yield (
        "  marking, 480p, two threads",
        f"{speed['embed_fps']:.0f} frames/s",
        _aim(aims, "marks.picture.speed.embed_fps"),
    )
    yield "  reading", f"{speed['detect_s']:.1f} s", f"of a clip of {speed['length_s']:g} s"
    yield from _attacks(picture["attacks"], aims, "marks.picture.attacks", peers)
    yield "  forged without the key, found as marked", "", "lower is better"
    for forged in picture["forgery"].values():
        yield f"    {forged['name']}", _share(forged, "found"), f"read with an id {_share(forged, 'named')}"
    removed = picture["removed_in_the_middle"]
    states = ", ".join(f"{removed[s]} {s}" for s in ("present", "partial", "absent") if s in removed)
    if "right" in removed:
        yield "  removed in the middle half", f"{_share(removed, 'right')} stretches told right", states
    yield from _false(picture["false_positives"], ", whole search")
    yield from _false(picture["false_positives_upright"], ", upright search")
    for name, why in picture["not_run"].items():
        yield f"  not run: {name}", "", why


def _attacks(attacks: dict[str, Any], aims: dict[str, Any], place: str, peers: dict[str, Any]) -> Iterator[Row]:
    family = ""
    for key, attack in sorted(attacks.items(), key=lambda item: list(FAMILIES).index(item[1]["family"])):
        if attack["family"] != family:
            family = attack["family"]
            yield f"  {FAMILIES[family]}", "bits right", "found; aim; others"
        for kind in ("natural", "cartoon", "sound"):
            if kind not in attack:
                continue
            seen = attack[kind]
            beside = [f"found {_share(seen, 'found')}, named {_share(seen, 'named')}"]
            if family == "estimate" and seen["damage_db"] is not None:
                beside.append(f"costs the attacker {seen['damage_db']:.1f} dB")
            beside.append(_aim(aims, f"{place}.{key}.{kind}.bits"))
            if kind == "natural" and key in peers:
                at = f" at {peers[key]['at']}" if "at" in peers[key] else ""
                beside.append(f"VideoSeal 0.0 publishes {100 * peers[key]['bits']:.1f} %{at}")
            yield (
                f"    {attack['name']}{'' if kind == 'sound' else f', {kind}'}",
                _share(seen, "bits"),
                "; ".join(filter(None, beside)),
            )


def _sound(sound: dict[str, Any], aims: dict[str, Any]) -> Iterator[Row]:
    yield "invisible mark of the sound", "", ""
    yield "  SI-SNR", _plain(sound["quality"], "si_snr_db", "dB", 1), ""
    yield from _attacks(sound["attacks"], aims, "marks.sound.attacks", {})
    yield from _false(sound["false_positives"])
    for name, why in sound["not_run"].items():
        yield f"  not run: {name}", "", why


def _false(found: dict[str, Any], search: str = "") -> Iterator[Row]:
    yield (
        f"  found where there is none{search}",
        f"{found['found']} of {found['pairs']:,}",
        f"pairs of {found['clips']} clips and wrong keys: {_share(found, 'rate', 3)}; "
        f"clips with any {_share(found, 'clip_rate', 1)}",
    )
    yield (
        "    by an exponential tail",
        f"{found['tail']:.0e}",
        f"extrapolated; highest score {found['highest']:.2f}, threshold {found['threshold']:.2f}",
    )


def _visible(found: dict[str, Any], indent: str = "  ") -> Iterator[Row]:
    """Yield the figures of the badge as they come: names, numbers, and groups of them."""
    for name, value in found.items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            yield f"{indent}{words}", "", ""
            yield from _visible(value, indent + "  ")
        elif isinstance(value, float):
            yield f"{indent}{words}", f"{value:.4g}", ""
        else:
            yield f"{indent}{words}", str(value), ""


def _share(found: dict[str, Any], name: str, places: int = 1) -> str:
    """Return ``"98.4 % [96.0, 99.6]"``."""
    value, low, high = (100 * found[key] for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:.{places}f} % [{low:.{places}f}, {high:.{places}f}]"


def _plain(found: dict[str, Any], name: str, unit: str, places: int) -> str:
    value, low, high = (found[key] for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:.{places}f}{f' {unit}' if unit else ''} [{low:.{places}f}, {high:.{places}f}]"


def _aim(aims: dict[str, Any], key: str) -> str:
    if key not in aims:
        return ""
    return f"aim {aims[key]['aim']}: {'met' if aims[key]['met'] else 'missed'}"


def markdown(figures: dict[str, Any], aims: dict[str, Any]) -> str:
    """Return the same rows as tables in markdown, one for each mark, with what the peers' figures are."""
    lines: list[str] = []
    for what, value, beside in rows(figures, aims):
        depth = len(what) - len(what.lstrip())
        if not depth:
            lines += [
                "",
                f"### {what.strip().capitalize()}",
                "",
                " ".join(filter(None, (value, beside))),
                "",
                "| | figure | beside it |",
                "|---|---|---|",
            ]
        else:
            text = (
                f"**{what.strip()}**" if depth == 2 and not value.strip(" abcdefghijklmnopqrstuvwxyz") else what.strip()
            )
            lines.append(f"| {text} | {value} | {beside} |")
    return "\n".join([*lines, "", f"Peers: {SOURCE}.", ""]).lstrip("\n")
