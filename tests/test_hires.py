"""The hires pass without a WebUI, and the noise of both passes. tests/webui/test_parity.py compares with the WebUI."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.shots import UPSCALERS, Batch, Hires, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint  # noqa: E402
from clip_skip.standalone.sampling.noise import Noise, in_brownian_trees  # noqa: E402
from clip_skip.standalone.sampling.samplers import BASE_SAMPLERS, in_two, sampler_name, scheduler  # noqa: E402
from tests.random_model import random_model  # noqa: E402

HIRES = Hires(1.5, denoising=0.6, steps=3)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(checkpoint.load_checkpoint(random_model(tmp_path_factory.mktemp("model"))))


def batch(*shots, sampler="Euler", hires=HIRES, noise="CPU"):
    return Batch(shots, 3, 64, 64, sampler, hires, noise)


def pixels(engine, *shots, **settings):
    return [np.asarray(picture).astype(int) for picture in engine.make(batch(*shots, **settings)).pictures]


def differ(one, other):
    return abs(one - other).max()


@pytest.mark.parametrize("sampler", BASE_SAMPLERS)
def test_pictures_together_are_those_made_alone(sampler, engine):
    shots = [Shot("a [cow:horse:0.5]", "dark", skip, 4, seed) for skip, seed in ((1, 3), (5, 4))]
    together = pixels(engine, *shots, sampler=sampler)
    for shot, picture in zip(shots, together):
        assert picture.shape == (96, 96, 3)
        assert differ(picture, pixels(engine, shot, sampler=sampler)[0]) <= 2
    assert differ(*together) > 10


@pytest.mark.parametrize("upscaler", UPSCALERS)
def test_every_upscaler(upscaler, engine):
    shot = Shot("a cow", "", 1, 4, 1)
    (made,) = pixels(engine, shot, hires=replace(HIRES, upscaler=upscaler))
    assert made.shape == (96, 96, 3)
    alike = ("Latent", "Latent (antialiased)")  # antialiasing is for making smaller
    assert (differ(made, pixels(engine, shot)[0]) <= 3) == (upscaler in alike)


def test_its_clip_skip_is_that_of_tag_or_row(engine):
    tag, row, follows, first = pixels(
        engine,
        Shot("<clipskip:2:hires=5>a cow", "dark", None, 4, 1),
        Shot("a cow", "dark", 2, 4, 1, hires_clip_skip=5),
        Shot("a cow", "dark", 2, 4, 1),
        Shot("<clipskip:7:hires=5>a cow", "dark", 2, 4, 1),
    )
    assert differ(tag, row) == 0 and differ(tag, first) == 0 and differ(tag, follows) > 0


def test_its_prompts_cfg_scale_and_sampler_are_its_own(engine):
    shot = Shot("a cow", "dark", 2, 4, 1)
    (plain,) = pixels(engine, shot)
    for own in ({"prompt": "a horse"}, {"negative": "bright"}, {"cfg_scale": 9.0}, {"sampler": "DPM++ 2M"}):
        assert differ(plain, pixels(engine, shot, hires=replace(HIRES, **own))[0]) > 0
    same = {"prompt": "a cow", "negative": "dark", "cfg_scale": 4.0, "sampler": "Euler"}
    assert differ(plain, pixels(engine, shot, hires=replace(HIRES, **same))[0]) == 0


def test_every_text_is_encoded_once(engine):
    fresh = Engine(engine.models)
    shots = [Shot("a [cow:horse:0.5]", "dark", skip, 4, 1) for skip in (1, 3, 7)]
    fresh.prepare(shots, 3, "Euler", HIRES)
    passes = fresh.conditioner.passes
    assert passes == 3  # cow, horse, dark
    fresh.make(batch(*shots))
    assert fresh.conditioner.passes == passes


def test_a_size_is_reached_by_cutting(engine):
    picture = engine.make(batch(Shot("a cow", "", 1, 4, 1), hires=Hires(resize=(80, 104), steps=2))).pictures[0]
    assert picture.size == (80, 104) == Hires(resize=(80, 104)).final(64, 64, 8)


def test_every_step_of_both_passes_is_counted(engine):
    steps = []
    for sampler in ("Euler", "DPM++ SDE", "DDIM"):
        engine.make(batch(Shot("a cow", "", 1, 4, 1), sampler=sampler), lambda: steps.append(1))
    assert len(steps) == 3 * 6


def test_the_noise_of_a_gpu_is_what_cuda_draws():
    """After torch.cuda.manual_seed(0), torch.randn(3, 4, device="cuda") gives these, which many have published."""
    known = [[-0.9247, -0.4253, -2.6438, 0.1452], [-0.1209, -0.5797, -0.6229, -0.3284]]
    noise = Noise(0, "GPU")
    assert torch.allclose(noise.draw((3, 4))[:2], torch.tensor(known), atol=5e-5)
    assert torch.allclose(Noise(0, "GPU").draw((16,))[:4], torch.tensor(known[0]), atol=5e-5)
    many = torch.cat([Noise(2**32 + seed, "GPU").draw((4, 64, 64)).flatten() for seed in range(20)])
    assert abs(many.mean()) < 0.01 and abs(many.std() - 1) < 0.01
    assert not torch.equal(Noise(1, "GPU").draw((4,)), Noise(1 + 2**32, "GPU").draw((4,)))


def test_the_noises_of_both_are_other_pictures_and_brownian_trees_are_put_back(engine):
    from torchsde._brownian import brownian_interval

    before = brownian_interval._randn
    for sampler in ("Euler", "DPM++ SDE"):
        one, other = (pixels(engine, Shot("a cow", "", 1, 4, 1), sampler=sampler, noise=n)[0] for n in ("CPU", "GPU"))
        assert differ(one, other) > 10
    with pytest.raises(RuntimeError), in_brownian_trees("GPU"):
        assert brownian_interval._randn is not before
        raise RuntimeError
    assert brownian_interval._randn is before


def test_euler_a_is_diffusers_own():
    theirs, ours = diffusers.EulerAncestralDiscreteScheduler(), scheduler("Euler a")
    ours.set_timesteps(6)
    theirs.set_timesteps(6)
    theirs.sigmas, theirs.timesteps = ours.sigmas, ours.timesteps
    theirs.is_scale_input_called = True
    generator, noises = torch.Generator().manual_seed(3), [Noise(3)]
    latents = other = ours.begin(noises[0].draw((4, 8, 8))[None])
    torch.randn((4, 8, 8), generator=generator)
    for index, time in enumerate(ours.timesteps):
        output = torch.randn(latents.shape, generator=torch.Generator().manual_seed(index))
        latents = ours.step(output, time, latents, noises).prev_sample
        theirs._step_index = index
        other = theirs.step(output, time, other, generator=generator).prev_sample
        assert torch.allclose(latents, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("sampler", "schedule", "name"),
    [
        ("DPM++ 2M", "Karras", "DPM++ 2M Karras"),
        ("DPM++ 2M Karras", "", "DPM++ 2M Karras"),
        ("Euler a", "Automatic", "Euler a"),
        ("DPM++ 2M SDE", "Exponential", "DPM++ 2M SDE Exponential"),
        ("DDIM", "Karras", "DDIM"),
    ],
)
def test_the_webuis_two_names_are_one(sampler, schedule, name):
    assert sampler_name(sampler, schedule) == name
    assert sampler_name(*in_two(name)) == name


def test_a_sampler_that_there_is_not():
    for names in (("Heun", ""), ("Euler", "Simple"), ("LCM", "Karras")):
        with pytest.raises(KeyError):
            sampler_name(*names)
