"""Sora nodes for ComfyUI: the host finds ``comfy_entrypoint`` here and nothing is imported before it is called."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():  # noqa: ANN201  (a ComfyExtension, which only the host can name)
    """Return the extension with every node of the pack."""
    from .nodes import SoraExtension

    return SoraExtension()
