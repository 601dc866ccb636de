"""Marks and manifests: put in, saved in one step, and checked."""

from __future__ import annotations

from typing import Any

from ..sora_core.provenance.marking.layers import TEXT, Layers
from .adapters.checking import check_file, file_choices, file_of, save_report
from .adapters.saving import FORMATS, Wish, logo_of, mark_video, save_video
from .editor import VIDEO
from .host import io, say, ui

CATEGORY = "sora/provenance"
CameoInUse = io.Custom("SORA_CAMEO")
"""A use of a cameo that was allowed, with its place in the owner's log; no type of core's stands for a permission."""

BADGE = "Text of the badge, up to 32 letters, digits and signs. A logo carries other scripts."
SCALE = "Whole factor by which a small picture is drawn larger first, 1 to 32. 0 takes the least that brings the short side to 360 pixels, which a mark needs."
MARKS = ("invisible", "visible", "both")


def badge_inputs() -> list[Any]:
    """Return what the badge shows, and the factor."""
    return [
        io.String.Input("badge_text", default=TEXT, tooltip=BADGE),
        io.Int.Input("scale", default=0, min=0, max=32, advanced=True, tooltip=SCALE),
    ]


def logo_input() -> Any:
    """Return the socket of the badge's picture."""
    return io.Image.Input(
        "logo", optional=True, tooltip="A picture beside the badge's text; a fourth channel is its transparency."
    )


class SoraWatermark(io.ComfyNode):
    """Marks in a video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraWatermark",
            display_name="Sora Watermark",
            category=CATEGORY,
            description="Put an id into picture and sound that nobody sees or hears, a badge that moves, or both. Sora Save Video does this by itself; use this node where something else saves. A mark is a pointer and no proof.",
            search_aliases=["watermark", "invisible watermark", "badge"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO),
                io.Combo.Input(
                    "marks",
                    options=list(MARKS),
                    default=MARKS[0],
                    tooltip="invisible: an id of 64 bits in the picture and half of it in the sound. visible: a badge that moves and a faint texture. both: all of that.",
                ),
                *badge_inputs(),
                logo_input(),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The video with its marks, for a node that saves.")],
        )

    @classmethod
    def execute(cls, video: Any, marks: str, badge_text: str, scale: int, logo: Any = None) -> io.NodeOutput:
        """Mark it."""
        layers = Layers(
            invisible=marks != "visible",
            visible=marks != "invisible",
            manifest=False,
            text=badge_text,
            logo=logo_of(logo),
            scale=scale,
        )
        return io.NodeOutput(mark_video(video, layers))


class SoraSaveVideo(io.ComfyNode):
    """A video into a marked and signed file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraSaveVideo",
            display_name="Sora Save Video",
            category=CATEGORY,
            description="Save a video with its marks and a signed manifest in one step: no file without its marks is ever in the output folder, and the preview shows what was saved. What is switched off here is told in the manifest and in the file's name. The signer is made on this machine; others see that nothing was changed, and not who you are.",
            search_aliases=["save video", "export video", "c2pa", "content credentials", "watermark"],
            inputs=[
                io.Video.Input("video", tooltip=VIDEO),
                io.String.Input(
                    "filename_prefix",
                    default="video/sora",
                    tooltip="Beginning of the file's name, with folders inside the output folder. %year%, %month%, %day%, %hour%, %minute%, %second%, %width% and %height% are filled in.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default=FORMATS[0],
                    tooltip="mp4, mov and png hold their manifest; mkv and webm have it in a .c2pa file beside them. H.264, in webm AV1; png for a single frame.",
                ),
                io.Boolean.Input(
                    "invisible", default=True, tooltip="An id in picture and sound. Off, the name says _no-invisible."
                ),
                io.Combo.Input(
                    "badge",
                    options=["auto", "on", "off"],
                    default="auto",
                    tooltip="A badge that moves. auto: on where a cameo is connected. off with a cameo is told in the manifest.",
                ),
                io.Boolean.Input(
                    "manifest", default=True, tooltip="A signed C2PA manifest. Off, the name says _no-manifest."
                ),
                *badge_inputs(),
                io.Boolean.Input(
                    "workflow",
                    default=True,
                    advanced=True,
                    tooltip="Write the graph into the file, as core's Save Video does. It holds your prompts and your model files' names.",
                ),
                io.Boolean.Input(
                    "prompt_in_manifest",
                    default=False,
                    advanced=True,
                    tooltip="Put the prompt itself into the manifest. Off, only a salted hash, by which whoever knows the prompt can prove it.",
                ),
                io.String.Input(
                    "prompt",
                    optional=True,
                    force_input=True,
                    tooltip="The prompt to tell of. Without it, the texts of the graph are taken.",
                ),
                io.String.Input(
                    "decision",
                    optional=True,
                    force_input=True,
                    tooltip="The decision of Sora Moderate, for the manifest.",
                ),
                CameoInUse.Input(
                    "cameo",
                    optional=True,
                    tooltip="The use of a cameo. It is checked once more before the file gets its name, and its end goes into the owner's log.",
                ),
                logo_input(),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
            outputs=[io.Video.Output(display_name="video", tooltip="The saved file as a video, for Sora Verify.")],
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        filename_prefix: str,
        format: str,  # noqa: A002  the host's own name for it
        invisible: bool,
        badge: str,
        manifest: bool,
        badge_text: str,
        scale: int,
        workflow: bool,
        prompt_in_manifest: bool,
        prompt: str | None = None,
        decision: str | None = None,
        cameo: Any = None,
        logo: Any = None,
    ) -> io.NodeOutput:
        """Save it."""
        layers = Layers(
            invisible=invisible,
            visible=badge == "on" or (badge == "auto" and cameo is not None),
            badge_due=cameo is not None,
            manifest=manifest,
            text=badge_text,
            logo=logo_of(logo),
            scale=scale,
        )
        wish = Wish(
            prefix=filename_prefix,
            kind=format,
            layers=layers,
            metadata=workflow,
            prompt=prompt or "",
            shown=prompt_in_manifest,
            decision=decision or "",
            use=cameo,
        )
        hidden = cls.hidden
        saved = save_video(video, wish, prompt=hidden.prompt, extra=hidden.extra_pnginfo, node_id=hidden.unique_id)
        say(saved.words, hidden.unique_id)
        return io.NodeOutput(saved.video, ui=saved.shown)


class SoraVerify(io.ComfyNode):
    """Which layers a file has, and whether they hold."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraVerify",
            display_name="Sora Verify",
            category=CATEGORY,
            description="Say which marks and which manifest a file has, whether each holds, whether they agree, and from which second on not; walks through everything that it was made from. A mark alone never proves where a clip comes from.",
            search_aliases=["verify", "c2pa", "detect watermark", "content credentials", "provenance"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=file_choices(),
                    tooltip="A file of the input folder. Where a video is connected, that one is checked instead.",
                ),
                io.String.Input(
                    "report_prefix",
                    default="",
                    tooltip="Save the report as JSON under this name in the output folder, for example verify/report. Empty: only shown.",
                ),
                io.String.Input(
                    "badge_text",
                    default="",
                    advanced=True,
                    tooltip="Text of the badge to look for, where this machine's index does not know it.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="A video that lies in a file, such as Sora Save Video's or Load Video's.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            outputs=[
                io.String.Output(display_name="report", tooltip="All that was found, as JSON."),
                io.Boolean.Output(display_name="holds", tooltip="False where something that is there does not hold."),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        """Take any name here: it is looked up when the node runs, and a connected video needs none."""
        return isinstance(file, str)

    @classmethod
    def fingerprint_inputs(cls, file: str, report_prefix: str, badge_text: str, video: Any = None) -> float:  # noqa: ARG003
        """Check each time: a file may have changed."""
        return float("nan")

    @classmethod
    def execute(cls, file: str, report_prefix: str, badge_text: str, video: Any = None) -> io.NodeOutput:
        """Check it."""
        verdict = check_file(file_of(file, video), badge_text)
        report, words = save_report(verdict, report_prefix)
        say(words, cls.hidden.unique_id)
        return io.NodeOutput(report, not verdict.broken, ui=ui.PreviewText(words))
