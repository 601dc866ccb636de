"""Load the pack into a ComfyUI of its own and print what that cost, as JSON. Run by `test_pack.py`.

Arguments: the host's folder, the folder of the pack. Torch and the host's modules are loaded before the clock starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import json
import sys
import threading
import time


def resident() -> int:
    """Return the resident bytes of this process."""
    import psutil

    return psutil.Process().memory_info().rss


def main() -> None:
    """Boot, load the pack, print."""
    comfyui, pack, base = sys.argv[1:4]
    sys.path.insert(0, comfyui)
    sys.argv = ["main.py", "--cpu", "--base-directory", base, "--disable-api-nodes"]
    importlib.import_module("comfy.options").enable_args_parsing()
    nodes, server = importlib.import_module("nodes"), importlib.import_module("server")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server.PromptServer(loop)
    loop.run_until_complete(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    used: list[str] = []

    def watch(event: str, _arguments: object) -> None:
        if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.system")):
            used.append(event)

    sys.addaudithook(watch)
    printed = io.StringIO()
    threads, modules, before = set(threading.enumerate()), set(sys.modules), resident()
    # processor time: what else the machine is doing says nothing about the pack
    start = time.process_time()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        loaded = loop.run_until_complete(nodes.load_custom_node(pack))
    seconds = time.process_time() - start
    told = {
        "loaded": loaded,
        "seconds": seconds,
        "bytes": resident() - before,
        "threads": [thread.name for thread in set(threading.enumerate()) - threads],
        "audited": used,
        "printed": printed.getvalue(),
        "modules": sorted(set(sys.modules) - modules),
        "nodes": sorted(name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("Sora")),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
