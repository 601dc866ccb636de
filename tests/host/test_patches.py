"""What other nodes do to a MODEL works on ours, and how it is built survives dynamic VRAM."""

from __future__ import annotations

import pytest
import torch
from prompts import SHIPPED, TINY, Clip, furthest, halves
from safetensors.torch import save_file


def made_with(host, patch=None, *, steps=4, sound=True, **inputs):
    """Return the streams of a clip from KSampler, with ``patch(clip)`` giving the link of the model to use."""
    clip = Clip(host)
    latent = clip.empty(sound=sound, seconds=inputs.pop("seconds", 0.75))
    model = clip.model if patch is None else patch(clip)
    return halves(clip.values(clip.ksampler(latent, model=model, steps=steps, **inputs)))


def model_of(host, checkpoint=TINY):
    """Return the MODEL of a checkpoint."""
    clip = Clip(host, checkpoint)
    return clip.values(clip.model)


def different(one, other, least=1e-3):
    return all(furthest(a, b) > least for a, b in zip(one, other, strict=True))


def same(one, other, most=0.0):
    return all(furthest(a, b) <= most for a, b in zip(one, other, strict=True))


@pytest.fixture
def lora(host, tiny_models):
    """A LoRA file of the usual key names for one layer of the tiny model."""
    weight = tiny_models["dit"].blocks[0].attn.q.weight
    generator = torch.Generator().manual_seed(0)
    name = "diffusion_model.blocks.0.attn.q"
    tensors = {
        f"{name}.lora_A.weight": torch.randn(4, weight.shape[1], generator=generator),
        f"{name}.lora_B.weight": torch.randn(weight.shape[0], 4, generator=generator),
    }
    path = host.base / "models" / "loras" / "tiny_lora.safetensors"
    save_file(tensors, path)
    return path.name, tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]


def test_a_lora_changes_the_clip_and_is_counted(host, lora, tiny_checkpoint):
    name, change = lora

    def patch(clip, strength):
        return clip.add("LoraLoaderModelOnly", model=clip.model, lora_name=name, strength_model=strength)

    plain = made_with(host)
    assert different(plain, made_with(host, lambda clip: patch(clip, 1.0)))
    assert same(plain, made_with(host, lambda clip: patch(clip, 0.0)))
    clip = Clip(host)
    patched = clip.values(patch(clip, 0.5))
    (key,) = patched.patches
    assert key == "diffusion_model.blocks.0.attn.q.weight"
    weight = built(host, "model", tiny_checkpoint, lazily=False).state_dict()[key]
    assert furthest(patched.patch_weight_to_device(key, return_weight=True).float(), weight + 0.5 * change) < 1e-5


def test_a_lora_of_other_keys_changes_nothing(host):
    path = host.base / "models" / "loras" / "foreign.safetensors"
    save_file({"diffusion_model.joint_blocks.0.q.lora_A.weight": torch.ones(2, 2)}, path)

    def patch(clip):
        return clip.add("LoraLoaderModelOnly", model=clip.model, lora_name=path.name, strength_model=1.0)

    assert same(made_with(host), made_with(host, patch))


@pytest.mark.parametrize("sound", [True, False])
def test_easycache_leaves_steps_out(host, sound):
    def patch(clip):
        return clip.add(
            "EasyCache", model=clip.model, reuse_threshold=0.9, start_percent=0.0, end_percent=1.0, verbose=False
        )

    calls = counted_calls(host, steps=8, sound=sound)
    cached = counted_calls(host, patch, steps=8, sound=sound)
    assert cached < calls
    assert all(bool(torch.isfinite(s).all()) for s in made_with(host, patch, steps=8, sound=sound))


def test_easycache_that_leaves_none_out_changes_nothing(host):
    def patch(clip):
        return clip.add(
            "EasyCache", model=clip.model, reuse_threshold=0.0, start_percent=0.0, end_percent=1.0, verbose=False
        )

    assert same(made_with(host, steps=6), made_with(host, patch, steps=6), 1e-5)


def counted_calls(host, patch=None, *, steps, sound):
    """Return how often the transformer's first block ran."""
    calls = []

    def count(clip):
        model = clip.values(clip.model if patch is None else patch(clip)).clone()

        def replace(given, extra):
            calls.append(1)
            return extra["original_block"](given)

        model.set_model_patch_replace(replace, "dit", "double_block", 0)
        return clip.give(model)

    made_with(host, count, steps=steps, sound=sound)
    return len(calls)


def test_an_attention_override_is_asked_for_every_block(host):
    seen = []

    def patch(clip):
        model = clip.values(clip.model).clone()

        def override(function, *tensors, **options):
            seen.append(options["transformer_options"]["block_index"])
            return function(*tensors, **options) * 0.5

        model.model_options["transformer_options"]["optimized_attention_override"] = override
        return clip.give(model)

    assert different(made_with(host, steps=3), made_with(host, patch, steps=3))
    blocks = len(model_of(host).model.diffusion_model.blocks)
    assert set(seen) == set(range(blocks))
    assert len(seen) >= 3 * blocks


def test_a_block_can_be_replaced(host):
    told = []

    def patch(clip):
        model = clip.values(clip.model).clone()

        def skip(given, extra):
            options = given["transformer_options"]
            told.append((options["block_index"], options["total_blocks"], options["block_type"]))
            assert callable(extra["original_block"])
            return {"img": given["img"]}

        model.set_model_patch_replace(skip, "dit", "double_block", 0)
        return clip.give(model)

    assert different(made_with(host), made_with(host, patch))
    assert set(told) == {(0, len(model_of(host).model.diffusion_model.blocks), "double")}


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("sound", [True, False])
def test_context_windows_over_a_longer_clip(host, sound, kept):
    from prompts import picture

    made = []
    for windows in (False, True):
        clip = Clip(host)
        latent = clip.empty(seconds=49 / 12, sound=sound)
        if kept:
            latent = clip.add("SoraImageToVideo", vae=clip.vae, latent=latent, first_image=clip.give(picture(32, 32)))
        model = clip.model
        if windows:
            model = clip.add(
                "ContextWindowsManual",
                model=clip.model,
                context_length=6,
                context_overlap=2,
                context_schedule="standard_static",
                context_stride=1,
                closed_loop=False,
                fuse_method="pyramid",
                dim=2,
                freenoise=False,
            )
        made.append([halves(v) for v in clip.values(latent, clip.ksampler(latent, model=model, steps=3))])
    (before, whole), (_, windowed) = made
    assert [list(s.shape) for s in whole] == [list(s.shape) for s in windowed]
    assert whole[0].shape[2] == 13
    assert all(bool(torch.isfinite(stream).all()) for stream in windowed)
    assert different(whole, windowed, 1e-4)
    if kept:
        assert furthest(windowed[0][:, :, 0], before[0][:, :, 0]) <= 4e-7


def test_windows_of_the_sound_cover_it_whole(host):
    model = model_of(host).model
    shapes = [[1, 16, 13, 4, 4], [1, 32, 102, 1]]
    heard = set()
    for start in (0, 4, 7):
        video, audio = model.map_context_window_to_modalities(range(start, start + 6), shapes, 2)
        assert video == list(range(start, start + 6))
        assert min(audio) >= 0
        assert max(audio) < 102
        assert abs(min(audio) / 102 - start / 13) < 0.02
        heard |= set(audio)
    assert heard == set(range(102))


def test_model_sampling_sd3_sets_the_shift(host):
    def patch(shift):
        return lambda clip: clip.add("ModelSamplingSD3", model=clip.model, shift=shift)

    assert different(made_with(host, patch(1.0)), made_with(host, patch(6.0)))
    clip = Clip(host, SHIPPED)
    shifted, own, sigmas, wanted = clip.values(
        clip.add("ModelSamplingSD3", model=clip.model, shift=6.0),
        clip.model,
        clip.add("SoraSigmas", model=clip.add("ModelSamplingSD3", model=clip.model, shift=6.0), steps=7),
        clip.add("SoraSigmas", model=clip.model, steps=7, shift=6.0),
    )
    assert shifted.get_model_object("model_sampling").multiplier == 1000
    assert own.get_model_object("model_sampling").multiplier == 1000
    assert furthest(sigmas, wanted) < 1e-6


def test_the_noise_level_does_not_depend_on_the_hosts_multiplier(host):
    """Core's node for AuraFlow sets a multiplier of 1 where SD3's sets 1000."""
    links = {"ModelSamplingSD3": 2.0, "ModelSamplingAuraFlow": 2.0}
    one, other = (
        made_with(host, lambda clip, name=name, shift=shift: clip.add(name, model=clip.model, shift=shift))
        for name, shift in links.items()
    )
    assert same(one, other, 1e-4)


def test_a_compiled_model_makes_the_same_clip(host):
    """With the backend that only traces: the one that writes code needs a compiler on the machine."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    def patch(clip):
        model = clip.values(clip.model).clone(disable_dynamic=True)
        set_torch_compile_wrapper(model=model, backend="eager")
        return clip.give(model)

    torch._dynamo.reset()
    assert same(made_with(host, steps=2), made_with(host, patch, steps=2), 1e-5)
    torch._dynamo.reset()


def test_the_packed_estimate_of_memory_is_that_of_the_clip(host):
    model = model_of(host, SHIPPED).model
    for frames, side, audio in ((7, 8, 53), (13, 16, 101), (31, 60, 250)):
        video = (1, 16, frames, side, side)
        packed = (1, 1, 16 * frames * side * side + 32 * audio)
        alone, both = model.memory_required(video), model.memory_required(packed)
        sound = audio / (frames * side * side / 4) * alone
        assert alone < both <= 1.5 * (alone + sound)
        assert model.memory_required((2, *packed[1:])) == pytest.approx(2 * both)


def test_the_estimate_of_memory_holds(host):
    """Peak of a model call, against the estimate: never more, and not absurdly less."""
    model = model_of(host, SHIPPED).model
    taken = torch_peak(model, frames=7, side=8)
    estimate = model.memory_required((1, 16, 7, 8, 8))
    assert taken <= estimate <= 20 * taken


def torch_peak(model, *, frames, side):
    """Return the largest sum of bytes that torch held at once during one call of the transformer."""
    from torch.profiler import ProfilerActivity, profile

    x = torch.randn(1, 16, frames, side, side)
    context = torch.randn(1, 32, model.diffusion_model.config.text_width)
    with (
        torch.inference_mode(),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen,
    ):
        model.diffusion_model(x, torch.full((1,), 0.5), context, {})
    held = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


class TestDynamicMemory:
    """On NVIDIA the host leaves layers without weights until they are loaded; here that is switched on for the CPU."""

    @pytest.fixture
    def lazy(self, host):  # noqa: ARG002  (its modules must be there)
        import comfy.memory_management

        before = comfy.memory_management.aimdo_enabled
        comfy.memory_management.aimdo_enabled = True
        yield
        comfy.memory_management.aimdo_enabled = before

    @pytest.mark.usefixtures("host", "lazy")
    def test_layers_are_lazy_here(self):
        import comfy.ops

        assert comfy.ops.manual_cast.Linear(2, 2).weight is None

    @pytest.mark.parametrize("part", ["model", "clip", "vae", "audio_vae"])
    def test_every_part_is_built_and_gets_its_weights(self, host, part, tiny_checkpoint):
        module = built(host, part, tiny_checkpoint)
        parameters = dict(module.named_parameters())
        assert parameters
        assert all(parameter is not None and bool(torch.isfinite(parameter).all()) for parameter in parameters.values())
        wanted = built(host, part, tiny_checkpoint, lazily=False)
        for name, value in wanted.state_dict().items():
            assert furthest(module.state_dict()[name], value) == 0, name

    @pytest.mark.parametrize("part", ["model", "clip", "vae", "audio_vae"])
    def test_every_part_can_be_built_again(self, host, part, tiny_checkpoint):
        patcher = patcher_of(host, part, tiny_checkpoint)
        make, arguments = patcher.cached_patcher_init
        again = make(*arguments, disable_dynamic=True)
        assert type(again) is type(patcher)
        assert again is not patcher
        assert not again.is_dynamic()
        one, other = patcher.model.state_dict(), again.model.state_dict()
        assert one.keys() == other.keys()
        assert all(furthest(one[name], other[name]) == 0 for name in one)


def patcher_of(host, part, path):
    adapters = {name: host.pack(f"nodes.adapters.{name}") for name in ("model", "clip", "vae")}
    if part == "model":
        return adapters["model"].load_model(path)
    if part == "clip":
        return adapters["clip"].load_clip(path).patcher
    kind = {"vae": "SoraVideoVAE", "audio_vae": "SoraAudioVAE"}[part]
    return getattr(adapters["vae"], kind)(path).patcher


def built(host, part, path, *, lazily=True):
    import comfy.memory_management

    before = comfy.memory_management.aimdo_enabled
    comfy.memory_management.aimdo_enabled = lazily
    try:
        return patcher_of(host, part, path).model
    finally:
        comfy.memory_management.aimdo_enabled = before
