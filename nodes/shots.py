"""The nodes that a storyboard is made of: a shot that is kept, and shots joined to one film."""

from __future__ import annotations

from typing import Any

from ..sora_core.editing.card import TRANSITIONS
from ..sora_core.editing.joining import FADE_FRAMES
from ..sora_core.editing.stitch import stitch
from ..sora_core.request import MAX_CUES
from .adapters.board import MOST, label_of, read_borders
from .adapters.films import film_of, video_of
from .adapters.shot import shot_of, with_cues
from .adapters.shots import clear_shots, kept_shot, shots_kept
from .editor import CATEGORY, context_input, maker_of, model_inputs, sampling_inputs
from .host import io, say
from .pins import clip_inputs

GIB = 1 << 30


def limit_input() -> Any:
    """Return the input for how much of finished shots is kept."""
    return io.Float.Input(
        "limit",
        default=10.0,
        min=0.0,
        max=10000.0,
        step=0.5,
        advanced=True,
        tooltip="GiB of finished shots that are kept in ComfyUI's user folder, 0 to 10000. What was not used for longest goes first.",
    )


def fade_input() -> Any:
    """Return the input for a fade's length."""
    return io.Float.Input(
        "fade",
        default=0.5,
        min=0.0,
        max=60.0,
        step=0.05,
        tooltip="Seconds that two shots lie over each other in a fade, 0 to 60; 0.5 is usual.",
    )


class SoraShot(io.ComfyNode):
    """One shot, kept when it is finished."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraShot",
            display_name="Sora Shot",
            category=CATEGORY,
            description="Make one shot of a film and keep it on disk: the same shot is not made again, even after a crash. Sora Storyboard makes these nodes by itself.",
            search_aliases=["shot", "scene", "continue shot"],
            inputs=[
                *model_inputs("What the shot shows."),
                *clip_inputs(2.0),
                context_input(),
                limit_input(),
                io.String.Input(
                    "cue_times",
                    default="",
                    advanced=True,
                    tooltip="Seconds at which each cue takes over from the prompt, with commas: 0.75, 1.5. One for each cue that is connected.",
                ),
                io.Autogrow.Input(
                    "cues",
                    template=io.Autogrow.TemplatePrefix(
                        io.Conditioning.Input("cue", tooltip="A prompt that takes over within the shot."),
                        prefix="cue_",
                        min=0,
                        max=MAX_CUES,
                    ),
                    tooltip="Prompts that take over within the shot, for Sora's own model.",
                ),
                *sampling_inputs(),
                io.Video.Input(
                    "previous",
                    optional=True,
                    tooltip="The shot before, where this one goes on from its last frames. Two of them come first, to fade over.",
                ),
                io.Image.Input("image", optional=True, tooltip="The shot's first frame."),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="What the shot begins with. A longer clip is cut to the shot, a shorter one goes on.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            outputs=[io.Video.Output(display_name="video", tooltip="The shot, for Sora Stitch or Save Video.")],
        )

    @classmethod
    def execute(
        cls,
        seconds: float,
        width: int,
        height: int,
        fps: float,
        context: float,
        limit: float,
        cue_times: str,
        seed: int,
        cues: dict[str, Any] | None = None,
        previous: Any = None,
        image: Any = None,
        video: Any = None,
        **sampling: Any,
    ) -> io.NodeOutput:
        """Find it or make it."""
        prompt, own = cls.hidden.dynprompt, cls.hidden.unique_id
        shown, label = prompt.get_display_node_id(own), label_of(own)

        def report(done: int, total: int) -> None:
            say(f"{label}run {done} of {total}", shown)

        maker = with_cues(maker_of(seed=seed, **sampling), cues, cue_times)
        sizes = {"seconds": seconds, "width": width, "height": height, "fps": fps, "seed": seed, "context": context}
        begins = {"previous": previous, "image": image, "video": video}
        kept = kept_shot(
            lambda: shot_of(maker, **sizes, **begins, report=report), prompt, own, limit_bytes=int(limit * GIB)
        )
        return io.NodeOutput(kept.video, ui=say(f"{label}{kept.told}", shown))


class SoraStitch(io.ComfyNode):
    """Several clips as one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraStitch",
            display_name="Sora Stitch",
            category=CATEGORY,
            description="Join clips to one film, with cuts that do not click or with fades of picture and sound. Read and written piece by piece, however many there are.",
            search_aliases=["join videos", "concatenate", "crossfade", "merge clips"],
            inputs=[
                io.Autogrow.Input(
                    "videos",
                    template=io.Autogrow.TemplatePrefix(
                        io.Video.Input("video", tooltip="A clip; brought to the first one's size and frame rate."),
                        prefix="video_",
                        min=1,
                        max=MOST,
                    ),
                    tooltip="Clips in their order, 1 to 100. They are brought to the first one's size and frame rate.",
                ),
                io.Combo.Input(
                    "transition",
                    options=list(TRANSITIONS),
                    default=TRANSITIONS[0],
                    tooltip="How each clip begins: cut, fade over the one before, or continue for a Sora Shot that goes on from it.",
                ),
                fade_input(),
                io.String.Input(
                    "borders",
                    default="",
                    advanced=True,
                    tooltip="How each clip after the first begins, one by one in place of the transition: cut, fade 6, continue. A number is of frames.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The film, for Save Video.")],
        )

    @classmethod
    def execute(cls, videos: dict[str, Any], transition: str, fade: float, borders: str) -> io.NodeOutput:
        """Join them."""
        films = [film_of(video) for video in videos.values() if video is not None]
        frames = round(fade * films[0].fps) if films else 0
        told = read_borders(borders, max(0, len(films) - 1), transition, frames, FADE_FRAMES)
        return io.NodeOutput(video_of(stitch(films, told)))


class SoraClearShots(io.ComfyNode):
    """What is kept of finished shots, and away with it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraClearShots",
            display_name="Sora Clear Shots",
            category=CATEGORY,
            description="Say how many finished shots are kept in ComfyUI's user folder, or remove them all. Videos that are already made stay.",
            search_aliases=["clear cache", "free disk", "delete shots"],
            is_output_node=True,
            inputs=[
                io.Boolean.Input(
                    "clear", default=False, tooltip="Remove them all. Off only says how many there are and their size."
                )
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.String.Output(display_name="told", tooltip="How many shots, and how many bytes.")],
        )

    @classmethod
    def fingerprint_inputs(cls, clear: bool) -> float:  # noqa: ARG003  the host names it
        """Run each time."""
        return float("nan")

    @classmethod
    def execute(cls, clear: bool) -> io.NodeOutput:
        """Count them, or remove them."""
        shots, size = clear_shots() if clear else shots_kept()
        told = f"{shots} shots {'removed' if clear else 'kept'}, {size:,} bytes"
        return io.NodeOutput(told, ui=say(told, cls.hidden.unique_id))
