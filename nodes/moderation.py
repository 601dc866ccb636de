"""Moderation: a policy between what is asked for and what is made."""

from __future__ import annotations

from typing import Any

from .adapters.moderating import judged_by, moderate, policy_choices
from .host import io, say
from .provenance import CATEGORY


class SoraModerate(io.ComfyNode):
    """A text, and a video, before a policy."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraModerate",
            display_name="Sora Moderate",
            category=CATEGORY,
            description="Put a prompt, and a video if one is connected, before a policy. What is refused stops the run, with the rule and its reason; what cannot be judged is refused too. Nothing is sent anywhere. It gives safe defaults and decisions that can be checked; it cannot stop somebody who changes the code.",
            search_aliases=["moderation", "safety", "content policy", "filter"],
            inputs=[
                io.String.Input("text", default="", multiline=True, tooltip="The prompt, as it was typed."),
                io.Combo.Input(
                    "policy",
                    options=policy_choices(),
                    default="default",
                    tooltip="default judges texts. strict also demands classifiers for frames and sound, and refuses without them. Your own .toml files in the folder policies of the private folder are listed too.",
                ),
                io.String.Input(
                    "names",
                    default="",
                    multiline=True,
                    advanced=True,
                    tooltip="People who must not be shown, one name in a line.",
                ),
                io.Boolean.Input(
                    "degraded",
                    default=False,
                    advanced=True,
                    tooltip="Go on where a classifier fails. The decision says so, and the manifest too.",
                ),
                io.Video.Input("video", optional=True, tooltip="A video whose frames and sound are judged."),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.String.Output(display_name="text", tooltip="The same text, where it may go on."),
                io.Video.Output(display_name="video", tooltip="The same video, where it may go on."),
                io.String.Output(display_name="decision", tooltip="The sealed decision, for Sora Save Video."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, policy: str, text: str | None = None, **_: Any) -> str:
        """Judge again when the policy's file or what is lent has changed."""
        return judged_by(policy, text)

    @classmethod
    def execute(cls, text: str, policy: str, names: str, degraded: bool, video: Any = None) -> io.NodeOutput:
        """Judge, or stop."""
        judged = moderate(text, policy=policy, names=names.splitlines(), degraded=degraded, video=video)
        say(judged.words, cls.hidden.unique_id)
        return io.NodeOutput(text, video, judged.sealed)
