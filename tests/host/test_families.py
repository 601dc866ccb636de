"""Every family of video models behind the editor's one seam: how it is known, its grid, and what it keeps."""

from __future__ import annotations

from dataclasses import replace

import families
import pytest
import torch
from makers import FAMILIES, WITH_SOUND, Seen, film, maker_of, task_of
from prompts import furthest

PLACES = {"prefix": [0, 1], "suffix": [-1], "both ends": [0, -1], "middle": [1, 2]}

EXACT = 1e-5

APART = 1e-4
"""Difference from which two results are not the same: rounding stays far below it, and what is seen far above."""


@pytest.fixture(autouse=True)
def _as_in_a_run():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(
    ("name", "strategy", "figures"),
    [
        ("ours", "token", (16, 12, 25, 64)),
        ("wan22", "token", (32, 24, 121, 64)),
        ("wan21", "repaint", (16, 16, 81, 64)),
        ("wan21 image", "concat", (16, 16, 81, 64)),
        ("wan21 control", "concat", (16, 16, 81, 64)),
        ("ltxv", "token", (32, 25, 257, 64)),
        ("ltxav", "token", (32, 25, 257, 64)),
        ("h3", "token", (32, 24, 362, 1)),
        ("held", "hold", (16, 16, 81, 64)),
        ("unheard of", "repaint", (16, 24, 81, 64)),
    ],
)
def test_a_family_is_known_by_what_it_does(host, name, strategy, figures):
    """Figures: pixels that sides divide by, frames per second, frames at most, clips at a time."""
    profile = maker_of(host, name).profile
    assert profile.strategy.value == strategy
    multiple, _, longest, _ = figures
    assert (profile.multiple, profile.fps, profile.longest, profile.max_batch) == figures
    assert (profile.sound is not None) == (name in WITH_SOUND)
    assert profile.valid(longest)
    assert not profile.two_models
    assert profile.size(100, 70) == (100 // multiple * multiple, 70 // multiple * multiple)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "latents"), [("ours", 16000, 1, 50), ("ltxav", 24000, 2, 50), ("h3", 32000, 2, 80)]
)
def test_a_familys_sound_is_counted(host, name, rate, channels, latents):
    sound = maker_of(host, name).profile.sound
    assert (sound.rate, sound.channels, sound.latents(2.0)) == (rate, channels, latents)


def test_without_an_audio_vae_there_is_no_sound(host):
    for name in WITH_SOUND:
        maker = maker_of(host, name, sound=False)
        assert not maker.sound
        made = maker.sample(task_of(host, maker, keep=[0]))
        assert made.audio is None
        assert bool(torch.isfinite(made.video).all())


@pytest.mark.parametrize(
    ("name", "frames", "least", "most"),
    [
        ("wan22", 81, 81, 81),
        ("wan21", 80, 81, 77),
        ("wan21", 1, 1, 1),
        ("ltxv", 97, 97, 97),
        ("ltxav", 98, 105, 97),
        ("h3", 5, 5, 5),
        ("h3", 6, 22, 5),
        ("h3", 21, 22, 5),
        ("h3", 22, 22, 22),
        ("h3", 39, 39, 39),
        ("h3", 123, 124, 107),
        ("h3", 363, 379, 362),
        ("ours", 24, 25, 21),
    ],
)
def test_lengths_lie_on_the_familys_grid(host, name, frames, least, most):
    profile = maker_of(host, name).profile
    assert profile.valid(frames) == (least == frames)
    assert profile.at_least(frames) == least
    assert profile.at_most(frames) == most


@pytest.mark.parametrize("name", FAMILIES)
def test_every_valid_length_encodes_and_decodes_to_itself(host, name):
    maker = maker_of(host, name)
    profile = maker.profile
    for frames in range(1, 46):
        assert profile.valid(profile.at_least(frames))
        assert profile.at_least(frames) >= frames >= profile.at_most(frames)
        if not profile.valid(frames):
            continue
        clip = torch.zeros(frames, profile.multiple, profile.multiple, 3, dtype=torch.uint8)
        video = maker.encode_video(clip)
        assert video.shape[2] == profile.latents_of(frames)
        assert sum(len(piece) for piece in maker.decode_video(video)) == frames


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("name", FAMILIES)
def test_kept_frames_come_back(host, name, places, monkeypatch):
    maker = maker_of(host, name)
    keep = PLACES[places]
    task = task_of(host, maker, keep=keep)
    before = task.given.video.clone()
    raw = watch_sampler(host, monkeypatch)
    made = maker.sample(task)
    assert furthest(task.given.video, before) == 0
    assert furthest(made.video[:, :, keep], before[:, :, keep]) == 0
    # by the host's masks alone, before anything of ours is put over it
    (video, *_) = raw[0]
    assert furthest(video[:, :, keep], before[:, :, keep]) <= EXACT
    free = task.video_mask > 0
    assert float((made.video - before)[:, :, free].abs().mean()) > 0.1


@pytest.mark.parametrize("keep", [[0, 1, 2], [-1, -2], [0, -1], [5, 6]])
@pytest.mark.parametrize("name", WITH_SOUND)
def test_kept_sound_comes_back(host, name, keep, monkeypatch):
    maker = maker_of(host, name)
    task = task_of(host, maker, keep=[0], sound=keep)
    raw = watch_sampler(host, monkeypatch)
    made = maker.sample(task)
    time = 3 if name == "h3" else 2
    kept, free = ((task.audio_mask == value).nonzero()[:, 0] for value in (0, 1))
    assert len(kept) == len(keep)
    for audio in (made.audio, raw[0][1]):
        assert furthest(audio.index_select(time, kept), task.given.audio.index_select(time, kept)) <= EXACT
    assert float((made.audio - task.given.audio).index_select(time, free).abs().mean()) > 0.1


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in {"wan21", "unheard of"}])
def test_the_model_sees_what_is_kept(host, name):
    assert_seen(host, maker_of(host, name, steps=1))


@pytest.mark.parametrize("name", ["wan21", "unheard of"])
def test_a_model_that_paints_over_sees_it_from_the_second_step_on(host, name):
    """Under full noise nothing shows, which is why this strategy is the last."""
    with pytest.raises(AssertionError):
        assert_seen(host, maker_of(host, name, steps=1))
    assert_seen(host, maker_of(host, name, steps=4))


def test_a_wrong_strategy_is_noticed(host):
    """The check above must be able to fail: once with the wrong handling, once with the model's own way taken away."""
    maker = maker_of(host, "wan21 image", steps=1)
    strategy = type(maker.profile.strategy)
    for wrong in (strategy.REPAINT, strategy.HOLD, strategy.TOKEN):
        with pytest.raises(AssertionError):
            assert_seen(host, replace(maker, profile=replace(maker.profile, strategy=wrong)))
    noised = maker_of(host, "wan22", steps=1, model=families.noised())
    assert noised.profile.strategy is strategy.REPAINT
    with pytest.raises(AssertionError):
        assert_seen(host, noised)


@pytest.mark.parametrize("name", ["wan22", "held", "wan21"])
def test_kept_frames_reach_the_model_as_the_strategy_says(host, name):
    maker = maker_of(host, name, cfg=1.0)
    seen = Seen(maker.model)
    task = task_of(host, maker, keep=[0])
    maker.sample(task)
    clean = maker.model.model.process_latent_in(task.given.video)[:, :, 0]
    noise = host.pack("nodes.adapters.latents").draw_noise(task.given.video, task.seed)[:, :, 0]
    for call, level in zip(seen.calls, seen.levels, strict=True):
        wanted = clean if maker.profile.strategy.value != "repaint" else (1 - level) * clean + level * noise
        # levels are rounded to four places
        assert furthest(call["x"][0][:, :, 0], wanted) < 1e-3


@pytest.mark.parametrize("keep", [[0, 1], [-1], [0, -1]])
def test_wan_is_given_the_frames_as_cores_own_node_gives_them(host, keep):
    from comfy_extras.nodes_wan import WanFirstLastFrameToVideo

    maker = maker_of(host, "wan21 image")
    profile, model = maker.profile, maker.model.model
    frames = film(maker, latents=5).float() / 255
    ends = {}
    if 0 in keep:
        ends["start_image"] = frames[: profile.frames_of(len(keep) if -1 not in keep else 1)]
    if -1 in keep:
        ends["end_image"] = frames[-4:]
    side = frames.shape[1]
    core, _, _ = WanFirstLastFrameToVideo.execute(
        maker.positive, maker.negative, maker.vae, side, side, len(frames), 1, **ends
    ).args
    video = core[0][1]["concat_latent_image"]
    mask = torch.ones(video.shape[2])
    mask[keep] = 0
    ours = host.pack("nodes.adapters.kept").beside(maker.model, video, mask)
    both = [
        model.concat_cond(
            noise=torch.zeros_like(video), device=video.device, **{key: v.clone() for key, v in values.items()}
        )
        for values in (ours, {key: core[0][1][key] for key in ("concat_latent_image", "concat_mask")})
    ]
    assert both[0].shape[1] == 20
    assert furthest(both[0], both[1]) == 0


def test_a_model_with_a_control_slot_gets_it_empty(host):
    maker = maker_of(host, "wan21 control", cfg=1.0)
    seen = Seen(maker.model)
    task = task_of(host, maker, keep=[0, 1])
    maker.sample(task)
    control, kept = seen.calls[0]["x"][0][:, 16:].chunk(2, 1)
    assert float(control.abs().max()) < EXACT
    assert furthest(kept[:, :, :2], maker.model.model.process_latent_in(task.given.video)[:, :, :2]) < EXACT
    assert float(kept[:, :, 2:].abs().max()) < EXACT


@pytest.mark.parametrize("name", FAMILIES)
def test_shares_of_the_noise_are_for_those_that_know_them(host, name, monkeypatch):
    maker = maker_of(host, name)
    task = task_of(host, maker, keep=[0])
    task.video_mask[1:3] = torch.tensor([0.4, 0.6])
    masks = []
    watch_sampler(host, monkeypatch, lambda latent: masks.append(latent["noise_mask"]))
    made = maker.sample(task)
    mask = masks[0].unbind()[0] if masks[0].is_nested else masks[0]
    wanted = [0, 0.4, 0.6] if maker.profile.strategy.value == "token" else [0, 0, 1]
    assert mask[0, 0, :3, 0, 0].tolist() == pytest.approx(wanted)
    assert bool(torch.isfinite(made.video).all())


def test_noise_levels_differ_by_frame_where_the_family_knows_that(host):
    levels = {}
    for name in ("wan22", "ltxv"):
        maker = maker_of(host, name, cfg=1.0)
        seen = Seen(maker.model)
        task = task_of(host, maker, keep=[0])
        task.video_mask[1] = 0.5
        maker.sample(task)
        step = seen.calls[0]["timestep"].reshape(1, task.given.video.shape[2], -1)[0, :, 0]
        levels[name] = (step / step.max()).tolist()
        assert levels[name][:3] == pytest.approx([0, 0.5, 1])


def test_ltx_is_told_the_frame_rate_and_which_text_counts(host):
    maker = maker_of(host, "ltxv")
    assert "attention_mask" not in maker.positive[0][1]
    seen = Seen(maker.model)
    maker.sample(task_of(host, maker, keep=[0], fps=17.0))
    attention_mask, frame_rate = seen.calls[0]["rest"][1:3]
    assert frame_rate == 17
    assert attention_mask.shape[-1] == 8
    assert not attention_mask.is_floating_point()
    # given conditionings belong to other nodes
    assert "attention_mask" not in maker.positive[0][1]


def assert_seen(host, maker):
    """Two clips that differ only in what is kept must differ in what is made, after as many steps as the maker has."""
    one, other = (task_of(host, maker, seed, keep=[0, 1]) for seed in (0, 1))
    mask = one.video_mask[None, None, :, None, None] == 0
    given = other.given._replace(video=torch.where(mask, other.given.video, one.given.video), audio=one.given.audio)
    made = [maker.sample(task).video[:, :, 2:] for task in (one, replace(other, given=given))]
    assert furthest(*made) > APART


def watch_sampler(host, monkeypatch, look=lambda _latent: None):
    """Return a list that gets the streams of each sampling run as the host gave them back."""
    module, raw = host.pack("nodes.adapters.maker"), []
    sample = module.sample

    def watched(model, positive, negative, latent, run, **parts):
        look(latent)
        made = sample(model, positive, negative, latent, run, **parts)
        streams = made["samples"]
        raw.append(list(streams.unbind()) if streams.is_nested else [streams])
        return made

    monkeypatch.setattr(module, "sample", watched)
    return raw


class TestWhatCannotWork:
    """Refused in one sentence, when the parts are connected."""

    @pytest.mark.parametrize(
        ("name", "parts", "words"),
        [
            ("wan21", lambda: {"model": families.picture_model()}, "makes pictures, not video"),
            ("wan21", lambda: {"model": families.still_model()}, "makes pictures, not video"),
            ("wan21", lambda: {"model": families.noise_model()}, "not trained for flow matching"),
            ("wan21", lambda: {"vae": families.wan22_vae()}, "makes 48 channels and Wan 2.1/2.2 reads 16"),
            ("h3", lambda: {"vae": families.ltx_vae()}, "makes 128 channels and MiniMax H3 reads 24"),
            ("ltxav", lambda: {"vae": families.ltx_audio_vae()}, "one of sound"),
            ("ltxav", lambda: {"audio_vae": families.ltx_vae()}, "one of pictures"),
            ("ltxav", lambda: {"audio_vae": families.h3_audio_vae()}, "makes 32 channels and LTX-2 reads 8"),
            ("wan21", lambda: {"audio_vae": families.ltx_audio_vae()}, "makes no sound"),
            ("wan21", lambda: {"model_low": families.wan21_image()}, "different kinds"),
            ("wan21", lambda: {"model_low": families.wan22()}, "different kinds"),
            ("wan21", lambda: {"model_low": families.picture_model()}, "makes pictures, not video"),
            ("ltxav", lambda: {"model_low": families.ltxav()}, "one model for all noise levels"),
            ("wan21", lambda: {"model_low": families.wan21(), "switch_step": 3}, "switch_step 3 must be at least 1"),
            ("wan21", lambda: {"model_low": families.wan21(), "switch_step": -1}, "switch_step -1 must be at least 1"),
        ],
    )
    def test_parts_that_do_not_fit(self, host, name, parts, words):
        error = host.pack("sora_core.errors").SoraError
        with pytest.raises(error, match=words) as caught:
            maker_of(host, name, **parts())
        assert "; " in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_clips_off_the_grid(self, host):
        error = host.pack("sora_core.errors").SoraError
        maker = maker_of(host, "h3")
        with pytest.raises(error, match="no clip of 21 frames; the nearest is one of 22"):
            maker.encode_video(torch.zeros(21, 32, 32, 3, dtype=torch.uint8))
        with pytest.raises(error, match=r"is 48x32 .* bring it to 32x32"):
            maker.encode_video(torch.zeros(22, 32, 48, 3, dtype=torch.uint8))

    def test_a_vae_that_is_not_on_its_own_grid(self, host):
        error = host.pack("sora_core.errors").SoraError
        vae = families.wan21_vae()
        vae.first_stage_model.stride = 8
        with pytest.raises(error, match="makes 2 latents of 9 frames where 3 are due"):
            maker_of(host, "wan21", vae=vae).encode_video(torch.zeros(9, 16, 16, 3, dtype=torch.uint8))

    def test_masks_of_another_length(self, host):
        error = host.pack("sora_core.errors").SoraError
        maker = maker_of(host, "ltxav")
        task = task_of(host, maker, keep=[0])
        for name in ("video_mask", "audio_mask"):
            with pytest.raises(error, match=name):
                maker.sample(replace(task, **{name: torch.ones(99)}))

    def test_sound_where_there_is_none(self, host):
        error = host.pack("sora_core.errors").SoraError
        with pytest.raises(error, match=r"Wan 2.1/2.2 makes none"):
            maker_of(host, "wan21").encode_sound(torch.zeros(1, 8), 1)
        with pytest.raises(error, match="no audio VAE is connected"):
            maker_of(host, "ltxav", sound=False).decode_sound(torch.zeros(1, 8, 4, 16))
