"""The pack's nodes. Inside ComfyUI this is not its module ``nodes``: everything of ours is imported relatively."""

from __future__ import annotations

from .cameo import SoraCameoEnroll, SoraCameoGrant, SoraCameoLog, SoraCameoRevoke, SoraCameoUse
from .conditioning import SoraReference
from .decode import SoraDecode
from .editing import SoraBlend, SoraConnect, SoraExtend, SoraLoop, SoraRecut, SoraRemix
from .host import ComfyExtension, io
from .latent import SoraEmptyLatent, SoraEncode, SoraImageToVideo
from .loaders import SoraLoader
from .moderation import SoraModerate
from .pins import SoraKeyframes, SoraVariations
from .prompt import SoraPrompt, SoraPromptExpand
from .provenance import SoraSaveVideo, SoraVerify, SoraWatermark
from .sampling import SoraSampler, SoraSigmas, SoraSolver
from .shots import SoraClearShots, SoraShot, SoraStitch
from .sound import SoraFoley, SoraSoundToVideo
from .storyboard import SoraCard, SoraStoryboard


class SoraExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return every node class."""
        return [
            SoraLoader,
            SoraPrompt,
            SoraPromptExpand,
            SoraEmptyLatent,
            SoraImageToVideo,
            SoraEncode,
            SoraReference,
            SoraSampler,
            SoraSolver,
            SoraSigmas,
            SoraDecode,
            SoraExtend,
            SoraLoop,
            SoraConnect,
            SoraBlend,
            SoraRemix,
            SoraRecut,
            SoraKeyframes,
            SoraVariations,
            SoraFoley,
            SoraSoundToVideo,
            SoraCard,
            SoraStoryboard,
            SoraShot,
            SoraStitch,
            SoraClearShots,
            SoraWatermark,
            SoraSaveVideo,
            SoraVerify,
            SoraModerate,
            SoraCameoEnroll,
            SoraCameoGrant,
            SoraCameoRevoke,
            SoraCameoUse,
            SoraCameoLog,
        ]
