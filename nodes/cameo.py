"""Cameos: likenesses that their owners lend, and take back."""

from __future__ import annotations

from typing import Any

from ..sora_core.cameo.card import ATTESTATION
from .adapters import cameos
from .adapters.decisions import policy_of_decision
from .host import io, say
from .provenance import CameoInUse

CATEGORY = "sora/cameo"
NAME = "Name of the cameo, 2 to 30 of a-z, 0-9 and _. A prompt calls it by this name after an at sign."
SUBJECTS, LEVELS = ("character", "person"), ("approved", "mutuals", "everyone")


class SoraCameoEnroll(io.ComfyNode):
    """A likeness under its owner's key."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraCameoEnroll",
            display_name="Sora Cameo Enroll",
            category=CATEGORY,
            description="Enrol a likeness: of yourself, with a recording that answers a challenge, or of a character of your own that is no real person. It is kept encrypted under your key on this machine. What this proves is that the holder of the key signed; not who that is.",
            search_aliases=["cameo", "character", "consent", "likeness"],
            inputs=[
                io.String.Input("name", default="my_character", tooltip=NAME),
                io.Combo.Input(
                    "subject",
                    options=list(SUBJECTS),
                    default=SUBJECTS[0],
                    tooltip="character: no real person. person: yourself, 18 or older; nobody under 18 is enrolled.",
                ),
                io.Boolean.Input(
                    "attested",
                    default=False,
                    tooltip=" ".join(f"{who}: you say, {said}." for who, said in ATTESTATION.items())
                    + " Off, there is no cameo.",
                ),
                io.Image.Input("image", tooltip="What it looks like."),
                io.Boolean.Input(
                    "confirmed",
                    default=False,
                    advanced=True,
                    tooltip="Of a person: a human watched the recording, and the digits and turns are right.",
                ),
                io.Boolean.Input(
                    "keep",
                    default=True,
                    advanced=True,
                    tooltip="Take the cameo of that name that is enrolled here already. Off, a taken name is refused.",
                ),
                io.Image.Input("image_2", optional=True, tooltip="A second picture of the same."),
                io.Audio.Input("voice", optional=True, tooltip="What it sounds like, up to 20 seconds."),
                io.Video.Input(
                    "recording",
                    optional=True,
                    tooltip="Of a person: the answer to the challenge. Run once without it to get one.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            outputs=[io.String.Output(display_name="name", tooltip="The cameo's name, for Sora Cameo Use.")],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str | None = None, **_: Any) -> str:
        """Enrol again when it was taken back meanwhile."""
        return cameos.known_as(name)

    @classmethod
    def execute(
        cls,
        name: str,
        subject: str,
        attested: bool,
        image: Any,
        confirmed: bool,
        keep: bool,
        image_2: Any = None,
        voice: Any = None,
        recording: Any = None,
    ) -> io.NodeOutput:
        """Enrol it."""
        card = cameos.enrol(
            name,
            subject=subject,
            attested=attested,
            likeness=cameos.likeness_of([image, image_2], voice),
            recording=recording,
            confirmed=confirmed,
            keep=keep,
        )
        told = say(cameos.standing_of(card), cls.hidden.unique_id)
        return io.NodeOutput(card.name, ui=told)


class SoraCameoGrant(io.ComfyNode):
    """Leave to use a likeness."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraCameoGrant",
            display_name="Sora Cameo Grant",
            category=CATEGORY,
            description="Lend a cameo of yours: to one key, to a key whose holder lent you one in turn, or to everyone. The signed grant is saved as a file for the one it is for. You can always use your own cameos without a grant.",
            search_aliases=["cameo permission", "consent", "share character"],
            inputs=[
                io.String.Input("name", default="my_character", tooltip=NAME),
                io.Combo.Input(
                    "level",
                    options=list(LEVELS),
                    default=LEVELS[0],
                    tooltip="approved: the one key. mutuals: the one key, while it lends you a cameo in turn. everyone: whoever has the file.",
                ),
                io.String.Input(
                    "grantee",
                    default="",
                    tooltip="The other's public key, did:key:... (sora cameo show). Not for everyone.",
                ),
                io.Combo.Input(
                    "scopes",
                    options=list(cameos.SCOPES),
                    default="face",
                    tooltip="What may be used: how it looks, how it sounds, or both.",
                ),
                io.String.Input(
                    "deny",
                    default="",
                    multiline=True,
                    tooltip="What you do not want to be shown with: one word or phrase in a line.",
                ),
                io.Int.Input("max_uses", default=0, min=0, max=1_000_000, tooltip="How often, 0 for no limit."),
                io.Int.Input("days", default=30, min=1, max=366, tooltip="How many days it holds, 1 to 366."),
                io.String.Input(
                    "file_prefix", default="cameo/grant", tooltip="Name of the grant's file in the output folder."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            outputs=[io.String.Output(display_name="grant", tooltip="The grant's hash, by which it is taken back.")],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Sign anew each time it is run."""
        return float("nan")

    @classmethod
    def execute(
        cls,
        name: str,
        level: str,
        grantee: str,
        scopes: str,
        deny: str,
        max_uses: int,
        days: int,
        file_prefix: str,
    ) -> io.NodeOutput:
        """Sign the grant, and save it."""
        granted = cameos.grant(
            name,
            level=level,
            grantee=grantee.strip() or None,
            scopes=scopes,
            deny=deny.splitlines(),
            max_uses=max_uses or None,
            days=days,
            prefix=file_prefix,
        )
        return io.NodeOutput(granted.sha256, ui=say(granted.words, cls.hidden.unique_id))


class SoraCameoRevoke(io.ComfyNode):
    """A likeness or a grant taken back."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraCameoRevoke",
            display_name="Sora Cameo Revoke",
            category=CATEGORY,
            description="Take back one grant, or a whole cameo, whose likeness is then destroyed on this machine for good. Clips that were made before stay where they are.",
            search_aliases=["cameo revoke", "delete character", "withdraw consent"],
            inputs=[
                io.String.Input("name", default="my_character", tooltip=NAME),
                io.String.Input(
                    "grant",
                    default="",
                    tooltip="Hash of one grant. Empty: the whole cameo, and its likeness is destroyed.",
                ),
                io.Boolean.Input(
                    "sure", default=False, tooltip="On, it is done; a destroyed likeness does not come back."
                ),
                io.String.Input(
                    "file_prefix",
                    default="cameo/revocations",
                    tooltip="Name of the signed list in the output folder, for those to whom you lent something.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            outputs=[],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Run each time."""
        return float("nan")

    @classmethod
    def execute(cls, name: str, grant: str, sure: bool, file_prefix: str) -> io.NodeOutput:
        """Take it back."""
        words = cameos.revoke(name, grant.strip() or None, sure=sure, prefix=file_prefix)
        return io.NodeOutput(ui=say(words, cls.hidden.unique_id))


class SoraCameoUse(io.ComfyNode):
    """A likeness, if its owner allows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraCameoUse",
            display_name="Sora Cameo Use",
            category=CATEGORY,
            description="Ask for one or two cameos for a prompt. What the owner does not allow stops the run and goes into the log; what is allowed gives their pictures, and is checked again when the clip is saved. Each run is a use.",
            search_aliases=["cameo", "use character", "consent"],
            inputs=[
                io.String.Input("name", default="my_character", tooltip=NAME),
                io.String.Input("name_2", default="", tooltip="A second cameo in the same scene; empty for none."),
                io.Combo.Input(
                    "scopes",
                    options=list(cameos.SCOPES),
                    default="face",
                    tooltip="What is used: how it looks, how it sounds, or both.",
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="All words that shape the clip; the owners' deny lists are held against them. Only a salted hash is kept.",
                ),
                io.String.Input(
                    "decision",
                    optional=True,
                    force_input=True,
                    tooltip="The decision of Sora Moderate, for grants that ask for a policy and for deny lists that name its categories.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                CameoInUse.Output(display_name="cameo", tooltip="The use, for Sora Save Video."),
                io.Image.Output(display_name="image", tooltip="What it looks like, for Sora Reference."),
                io.Image.Output(
                    display_name="image_2",
                    tooltip="A second picture, or the second cameo's; nothing where there is none.",
                ),
                io.Audio.Output(display_name="voice", tooltip="What it sounds like; nothing without voice."),
                io.String.Output(display_name="prompt", tooltip="The same prompt."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Ask each time: what was allowed may have been taken back."""
        return float("nan")

    @classmethod
    def execute(cls, name: str, name_2: str, scopes: str, prompt: str, decision: str | None = None) -> io.NodeOutput:
        """Ask, and stop where it is not allowed."""
        policy, tags = policy_of_decision(decision)
        names = [one for one in (name.strip(), name_2.strip()) if one]
        lent = cameos.begin(names, scopes, prompt, policy, tags)
        images, voices = cameos.shown(lent)
        say(cameos.words_of(lent), cls.hidden.unique_id)
        first, second = (*images, None, None)[:2]
        return io.NodeOutput(lent, first, second, next(iter(voices), None), prompt)


class SoraCameoLog(io.ComfyNode):
    """What was done with likenesses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Return the node's inputs and outputs."""
        return io.Schema(
            node_id="SoraCameoLog",
            display_name="Sora Cameo Log",
            category=CATEGORY,
            description="Show every use of a cameo, or of all: what was allowed, refused, saved, shown as a draft, or left without an end. The log only grows, and its signed heads show if it was changed; a file of proofs can be checked by anybody who has your public key.",
            search_aliases=["cameo log", "consent log", "audit"],
            inputs=[
                io.String.Input("name", default="", tooltip="Of one cameo; empty for all."),
                io.Int.Input("newest", default=50, min=1, max=10_000, tooltip="How many of the newest entries."),
                io.String.Input(
                    "proof_prefix",
                    default="",
                    tooltip="Save proofs under this name in the output folder, for example cameo/proof. Empty: none.",
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="A video of Sora Save Video: the log is read after it was saved, and so has its use.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            outputs=[io.String.Output(display_name="log", tooltip="The entries, as JSON lines.")],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Read it each time."""
        return float("nan")

    @classmethod
    def execute(cls, name: str, newest: int, proof_prefix: str, video: Any = None) -> io.NodeOutput:  # noqa: ARG003
        """Show it; the video is there for the order alone."""
        lines, words = cameos.log_of(name.strip() or None, newest, proof_prefix)
        return io.NodeOutput(lines, ui=say(words, cls.hidden.unique_id))
