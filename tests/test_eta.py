"""The samplers' eta, against the formulas of k-diffusion and of the WebUI's DDIM, which are written out here."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from clip_skip.standalone.engine.engine import Engine  # noqa: E402
from clip_skip.standalone.engine.shots import Hires, SamplingOptions, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint  # noqa: E402
from clip_skip.standalone.pictures import recipe  # noqa: E402
from clip_skip.standalone.sampling.noise import Noise  # noqa: E402
from clip_skip.standalone.sampling.samplers import scheduler  # noqa: E402
from clip_skip.standalone.sampling.stochastic import BrownianTree  # noqa: E402
from clip_skip.standalone.settings import Settings  # noqa: E402
from tests.helpers import identify_infotext  # noqa: E402
from tests.random_model import random_model  # noqa: E402

STEPS, SHAPE = 6, (4, 8, 8)


def denoised(x, sigma):
    """What a model might make of `x`."""
    return torch.tanh(x / (1 + sigma**2) ** 0.5) * 0.8


def ancestral_step(sigma, lower, eta):
    """`get_ancestral_step` of k-diffusion."""
    if not eta:
        return lower, 0.0
    up = min(lower, eta * (lower**2 * (sigma**2 - lower**2) / sigma**2) ** 0.5)
    return (lower**2 - up**2) ** 0.5, up


def euler_ancestral(x, sigmas, eta, tree, draw):
    for sigma, lower in pairwise(sigmas):
        down, up = ancestral_step(sigma, lower, eta)
        x = x + (x - denoised(x, sigma)) / sigma * (down - sigma)
        x = x + draw() * up if lower > 0 else x
    return x


def dpmpp_sde(x, sigmas, eta, tree, draw):
    for sigma, lower in pairwise(sigmas):
        first = denoised(x, sigma)
        if lower == 0:
            x = first
            continue
        middle = math.exp((math.log(sigma) + math.log(lower)) / 2)
        down, up = ancestral_step(sigma, middle, eta)
        half = down / sigma * x + (1 - down / sigma) * first + tree(sigma, middle) * up
        down, up = ancestral_step(sigma, lower, eta)
        x = down / sigma * x + (1 - down / sigma) * denoised(half, middle) + tree(sigma, lower) * up
    return x


def dpmpp_2m_sde(x, sigmas, eta, tree, draw):
    old, h_last = None, None
    for sigma, lower in pairwise(sigmas):
        now = denoised(x, sigma)
        if lower == 0:
            x = now
            continue
        h = math.log(sigma) - math.log(lower)
        change = -math.expm1(-h - eta * h)
        x = lower / sigma * math.exp(-eta * h) * x + change * now
        if old is not None:
            x = x + 0.5 * change / (h_last / h) * (now - old)
        if eta:
            x = x + tree(sigma, lower) * lower * math.sqrt(-math.expm1(-2 * eta * h))
        old, h_last = now, h
    return x


def dpmpp_3m_sde(x, sigmas, eta, tree, draw):
    first = second = h_1 = h_2 = None
    for sigma, lower in pairwise(sigmas):
        now = denoised(x, sigma)
        if lower == 0:
            x = now
            continue
        h = math.log(sigma) - math.log(lower)
        h_eta = h * (eta + 1)
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * now
        phi_2 = math.expm1(-h_eta) / h_eta + 1
        if h_2 is not None:
            r0, r1 = h_1 / h, h_2 / h
            d1_0, d1_1 = (now - first) / r0, (first - second) / r1
            d1, d2 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1), (d1_0 - d1_1) / (r0 + r1)
            x = x + phi_2 * d1 - (phi_2 / h_eta - 0.5) * d2
        elif h_1 is not None:
            x = x + phi_2 * (now - first) / (h_1 / h)
        if eta:
            x = x + tree(sigma, lower) * lower * math.sqrt(-math.expm1(-2 * eta * h))
        first, second, h_1, h_2 = now, first, h, h_1
    return x


FORMULAS = {
    "Euler a": euler_ancestral,
    "DPM++ SDE": dpmpp_sde,
    "DPM++ 2M SDE": dpmpp_2m_sde,
    "DPM++ 3M SDE": dpmpp_3m_sde,
}


@pytest.mark.parametrize("eta", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("sampler", FORMULAS)
def test_each_sampler_follows_its_formula(sampler, eta):
    made = scheduler(sampler, eta=eta)
    made.set_timesteps(STEPS)
    noises, others = [Noise(3)], [Noise(3)]
    x = first = made.begin(noises[0].draw(SHAPE)[None])
    others[0].draw(SHAPE)
    tree = BrownianTree(x, made.levels, [Noise(3)])
    for sigma, time in zip(made.sigmas, made.timesteps):
        output = (x - denoised(x, sigma.item())) / sigma.item()
        x = made.step(output, time, x, noises).prev_sample
    levels = [float(level) for level in made.levels]
    as_tensors = lambda sigma, lower: tree(torch.tensor(sigma), torch.tensor(lower))
    draw = lambda: others[0].draw(SHAPE)[None]
    expected = FORMULAS[sampler](first, levels, 1.0 if eta is None else eta, as_tensors, draw)
    assert torch.allclose(x, expected, atol=2e-4, rtol=1e-3), (x - expected).abs().max()


@pytest.mark.parametrize("eta", [None, 0.0, 0.3, 1.0])
def test_ddim_follows_the_webuis(eta):
    made = scheduler("DDIM", eta=eta)
    made.set_timesteps(STEPS)
    noises, other = [Noise(3)], Noise(4)
    x = expected = noises[0].draw(SHAPE)[None]
    noises = [Noise(4)]
    times = made.times(STEPS, None).flip(0)
    alphas = made.alphas_cumprod
    model = lambda x, time: torch.tanh(x) * (1 + time / 1000)
    for time, before in pairwise(times):
        x = made.step(model(x, time), time, x, noises).prev_sample
        predicted, a, a_prev = model(expected, time), alphas[time], alphas[before]
        sigma = (eta or 0) * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)) ** 0.5
        picture = (expected - (1 - a) ** 0.5 * predicted) / a**0.5
        noise = other.draw(SHAPE)[None] if sigma else 0.0
        expected = a_prev**0.5 * picture + (1 - a_prev - sigma**2) ** 0.5 * predicted + sigma * noise
    assert torch.allclose(x, expected, atol=1e-4, rtol=1e-4), (x - expected).abs().max()


def test_a_picture_has_it_and_its_infotext_says_so(tmp_path):
    engine = Engine(checkpoint.load_checkpoint(random_model(tmp_path)))
    shot = Shot("a cow", "dark", 1.0, 4.0, 1)

    def pixels(**options):
        batch = SamplingOptions(3, 64, 64, **options).batch((shot,))
        return np.asarray(engine.make(batch).pictures[0]).astype(int)

    for sampler, own in (("Euler a", 1.0), ("DDIM", 0.0), ("DPM++ SDE", 1.0)):
        plain = pixels(sampler=sampler)
        assert (plain == pixels(sampler=sampler, eta=own)).all()
        assert (plain != pixels(sampler=sampler, eta=0.5)).any()
    for sampler in ("Euler", "UniPC", "LCM", "DPM++ 2M"):
        assert (pixels(sampler=sampler) == pixels(sampler=sampler, eta=0.5)).all()
    settings = Settings(3, 64, 64, "Euler a", eta=0.5, model="m", prompt="a cow", seed=1)
    for sampler, key in (("Euler a", "Eta"), ("DDIM", "Eta DDIM")):
        text = replace(settings, sampler=sampler).infotext(shot)
        assert f", {key}: 0.5, " in text
        assert (
            recipe.of(identify_infotext(text)).options["eta"] == 0.5
            and recipe.of(identify_infotext(text)).warnings == ()
        )
    both = replace(settings, hires=Hires(sampler="DDIM")).infotext(shot)
    assert "Eta: 0.5, Eta DDIM: 0.5, " in both and recipe.of(identify_infotext(both)).warnings == ()
    assert len(recipe.of(identify_infotext(both.replace("Eta DDIM: 0.5, ", ""))).warnings) == 1
    assert "Eta" not in replace(settings, eta=None).infotext(shot)
    assert recipe.of(identify_infotext(settings.infotext(shot).replace("Eta: 0.5, ", ""))).options["eta"] is None
