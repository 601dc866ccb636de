"""The nodes' surface is frozen: a saved workflow counts on ids, inputs, their order and their ranges.

It changes only on purpose, with this one line, and the difference belongs into the same change:

    python tests/nodes/test_schema.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

SNAPSHOT = Path(__file__).with_name("schema.json")

FROZEN = ("default", "min", "max", "step", "control_after_generate", "multiline", "advanced", "multiselect")

MACHINE = {("SoraLoader", "checkpoint"), ("SoraVerify", "file"), ("SoraModerate", "policy")}
"""Inputs whose choices depend on the machine's folders."""

pytestmark = pytest.mark.comfy


def surface(host: Any) -> dict[str, Any]:
    """Return what a saved workflow counts on, by node id."""
    classes = host.loop.run_until_complete(host.pack("nodes").SoraExtension().get_node_list())
    return {node.GET_SCHEMA().node_id: _node(node) for node in classes}


def _node(node: Any) -> dict[str, Any]:
    told = node.GET_NODE_INFO_V1()
    inputs = {
        key: {"group": group, **_input(told["name"], key, given)}
        for group in ("required", "optional")
        for key, given in told["input"].get(group, {}).items()
    }
    return {
        "display_name": told["display_name"],
        "category": told["category"],
        "output_node": told["output_node"],
        "inputs": [{"name": key, **value} for key, value in inputs.items()],
        "outputs": [
            {"name": name, "type": kind, "list": listed}
            for name, kind, listed in zip(told["output_name"], told["output"], told["output_is_list"], strict=True)
        ],
    }


def _input(node: str, key: str, given: Any) -> dict[str, Any]:
    kind, options = given[0], given[1] if len(given) > 1 else {}
    choices = kind if isinstance(kind, list) else options.get("options")
    frozen: dict[str, Any] = {"type": "COMBO" if isinstance(kind, list) else kind}
    if choices is not None:
        frozen["options"] = "of the machine" if (node, key) in MACHINE else choices
    frozen.update({name: options[name] for name in FROZEN if name in options})
    return frozen


def test_the_surface_is_the_frozen_one(host):
    wanted = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    made = json.loads(json.dumps(surface(host)))
    assert list(made) == list(wanted)
    for name, node in wanted.items():
        assert made[name] == node, name


def test_every_widget_lies_on_its_own_grid(host):
    for name, node in surface(host).items():
        for given in node["inputs"]:
            where = (name, given["name"])
            if given["type"] in {"INT", "FLOAT"}:
                assert given["min"] <= given["default"] <= given["max"], where
            if given["type"] == "INT" and "step" in given:
                assert given["default"] % given["step"] == 0, where
                assert given["min"] % given["step"] == 0, where
            if given["type"] == "COMBO" and given["options"] != "of the machine":
                assert given["default"] in given["options"], where


def test_required_inputs_come_before_optional_ones(host):
    """Widgets are stored by place, and the host lists the required ones first."""
    for name, node in surface(host).items():
        groups = [given["group"] for given in node["inputs"]]
        assert groups == sorted(groups, key=["required", "optional"].index), name


def rewrite() -> None:
    """Write the snapshot anew."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from hosting import boot, find_comfyui

    comfyui, reason = find_comfyui()
    if comfyui is None:
        sys.exit(reason)
    text = json.dumps(surface(boot(comfyui)), indent=1, ensure_ascii=True)
    SNAPSHOT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    rewrite()
