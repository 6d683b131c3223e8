"""Models that are larger than a GPU's memory: their parts take turns there, and the pictures stay the same."""

from argparse import ArgumentParser
from dataclasses import replace
from math import inf, prod

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("open_clip")

from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from clip_skip.standalone.cli import study, sweep_arguments  # noqa: E402
from clip_skip.standalone.demo.model import CHECKPOINT  # noqa: E402
from clip_skip.standalone.engine import placement  # noqa: E402
from clip_skip.standalone.engine.engine import Engine, fitting  # noqa: E402
from clip_skip.standalone.engine.loading import Loading  # noqa: E402
from clip_skip.standalone.engine.makers import Maker, Task  # noqa: E402
from clip_skip.standalone.engine.placement import Placement, bytes_of, is_short_of_memory, sampling_bytes  # noqa: E402
from clip_skip.standalone.engine.shots import Batch, Hires, Shot  # noqa: E402
from clip_skip.standalone.models import checkpoint  # noqa: E402
from clip_skip.standalone.models.configs import unet_config, vae_config  # noqa: E402
from clip_skip.standalone.option_kinds import FieldError  # noqa: E402
from tests.counted_device import DEVICE, CountedDevice, OnDevice  # noqa: E402
from tests.random_model import PUBLISHED_SIZES, SMALL_SDXL, random_weights  # noqa: E402
from tests.random_weights import shapes  # noqa: E402

SIZES = replace(SMALL_SDXL, unet=(32, 128, 256))
"""A UNet that takes more than the text encoders, as published ones do."""

SHOT = Shot("a <clipskip:3>cow AND a field", "dark", None, 7, 1)
SDXL = PUBLISHED_SIZES["SDXL"]
SDXL_WEIGHTS = sum(prod(shape) for shape in shapes(SDXL).values())


@pytest.fixture(scope="module")
def weights():
    torch.set_num_threads(1)
    return dict(random_weights(SIZES))


def engine_on(device, weights, low_memory, loras=None, **more):
    """An engine on `device`, its model loaded as it is by `Loading`."""
    models = checkpoint.build_models(weights, SIZES, "cpu" if low_memory else device, torch.float32)
    return Engine(models, loras=loras, placement=Placement(models, device, low_memory, **more))


def batch(*shots, hires=None):
    return Batch(shots or (SHOT,), 2, 64, 64, "Euler", hires)


def contents(made):
    return [picture.tobytes() for picture in made.pictures], made.latents.tolist()


@pytest.fixture(scope="module")
def expected(weights):
    """The picture of `SHOT` where everything is on the device, and the bytes that are taken before it is made."""
    with CountedDevice() as counted:
        engine = engine_on(DEVICE, weights, low_memory=False)
        loaded = counted.now
        return contents(engine.make(batch())), loaded


@pytest.mark.parametrize("resident", [inf, 10e6, 0])
def test_the_pictures_are_the_same(weights, expected, resident):
    with CountedDevice() as counted:
        assert contents(engine_on(DEVICE, weights, low_memory=True, resident=resident).make(batch())) == expected[0]
        assert counted.peak < expected[1]


def test_so_they_are_on_a_cpu_with_a_hires_pass_and_several_to_a_batch(weights):
    wanted = batch(SHOT, replace(SHOT, prompt="a hen"), hires=Hires(1.5))
    alone = engine_on("cpu", weights, low_memory=False).make(wanted)
    for resident in (inf, 0):
        assert contents(engine_on("cpu", weights, True, resident=resident).make(wanted)) == contents(alone)


def test_a_vae_that_overflows_stays_in_single_precision(weights):
    def made(low_memory):
        models = checkpoint.build_models(weights, SIZES, "cpu", torch.float16)
        with torch.no_grad():
            models.vae.decoder.conv_in.weight.mul_(30000)
        engine = Engine(models, placement=Placement(models, "cpu", low_memory))
        pictures = contents(engine.make(batch()))
        engine.placement.clear()
        assert models.vae.dtype == torch.float32
        assert contents(engine.make(batch())) == pictures
        return pictures

    assert made(True) == made(False)


@pytest.mark.parametrize(("sampler", "noise"), [("DPM++ 2M SDE", "CPU"), ("DPM++ SDE Karras", "GPU"), ("UniPC", "CPU")])
def test_samplers_mix_no_devices(weights, sampler, noise):
    wanted = replace(batch(), sampler=sampler, noise=noise)
    with CountedDevice():
        made = engine_on(DEVICE, weights, low_memory=True).make(wanted)
    assert contents(made) == contents(engine_on("cpu", weights, low_memory=False).make(wanted))


def is_there(module):
    return any(isinstance(weight, OnDevice) for *_, weight in placement.weights([module]))


def test_one_part_at_a_time_is_on_the_device(weights):
    seen = []
    with CountedDevice():
        engine = engine_on(DEVICE, weights, low_memory=True)
        models = engine.models
        parts = {"l": models.text_encoders[0], "g": models.text_encoders[1], "unet": models.unet, "vae": models.vae}
        for runs in (*models.text_encoders, models.unet.conv_in, models.vae.decoder):
            runs.register_forward_pre_hook(
                lambda *_: seen.append({name for name, part in parts.items() if is_there(part)})
            )
        engine.make(batch())
        assert all(there in ({"l", "g"}, {"unet"}, {"vae"}) for there in seen) and seen[0] == {"l", "g"}
        assert seen[-3:] == [{"unet"}, {"unet"}, {"vae"}]
        engine.placement.clear()
        assert not any(map(is_there, parts.values()))


@pytest.mark.parametrize("stays", [0, 10e6])
def test_blocks_of_the_unet_without_room_come_one_by_one(weights, stays):
    with CountedDevice() as counted:
        engine = engine_on(DEVICE, weights, low_memory=True, resident=stays)
        blocks = [module for module in engine.models.unet.modules() if isinstance(module, placement.BLOCKS)]
        others = bytes_of(engine.models.unet) - sum(map(bytes_of, blocks))
        there, peaks = [], []
        for block in blocks:
            block.register_forward_hook(lambda *_: there.append(sum(bytes_of(one) for one in blocks if is_there(one))))
        engine.models.unet.register_forward_pre_hook(lambda *_: setattr(counted, "peak", counted.now))
        engine.models.unet.register_forward_hook(lambda *_: peaks.append(counted.peak))
        engine.make(batch())
    assert 0 < max(there) <= stays + max(map(bytes_of, blocks))
    work = 3e6  # the largest activations and the texts
    assert max(peaks) < others + max(there) + work < bytes_of(engine.models.unet)


def test_where_memory_ends_a_single_picture_is_made_with_less_of_the_model_there(weights, expected):
    pictures, _ = expected
    with CountedDevice() as counted:
        engine = engine_on(DEVICE, weights, low_memory=False)
        engine.prepare([SHOT], 2, "Euler")
        counted.capacity = counted.now + 700e3
        assert contents(engine.make(batch())) == pictures
        assert engine.placement.low_memory
        engine.placement.clear()
        counted.capacity = counted.now + bytes_of(engine.models.unet) - 10e6
        assert contents(engine.make(batch())) == pictures
        engine.placement.clear()
        counted.capacity = counted.now + 1e6
        with pytest.raises(torch.cuda.OutOfMemoryError):
            engine.make(batch())
        counted.capacity = inf
        assert contents(engine.make(batch())) == pictures


def test_a_batch_is_made_smaller_first(weights, expected):
    with CountedDevice() as counted:
        maker = Maker(lambda _: engine_on(DEVICE, weights, low_memory=False))
        task = Task(CHECKPOINT, batch(SHOT, SHOT), ())
        engine = maker.engine(task.model)
        engine.prepare(task.batch.shots, 2, "Euler")
        engine.models.unet.register_forward_pre_hook(lambda *_: setattr(counted, "capacity", counted.now + 50e3))
        assert maker.make(task) is None
        assert maker.limit(task) == 1 and not engine.placement.low_memory


def test_loras_come_and_go_where_parts_take_turns(weights, tmp_path):
    generator = torch.Generator().manual_seed(0)
    numbers = lambda *shape: torch.randn(shape, generator=generator) * 0.2
    lora, loha = {}, {}
    for name in (
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_q",
        "lora_te1_text_model_encoder_layers_3_mlp_fc1",
    ):
        width, inner = (256, 256) if "unet" in name else (128, 64)
        lora |= {f"{name}.lora_down.weight": numbers(4, inner), f"{name}.lora_up.weight": numbers(width, 4)}
        loha |= {
            f"{name}.hada_w{n}_{side}": numbers(*shape)
            for n in "12"
            for side, shape in (("a", (width, 4)), ("b", (4, inner)))
        }
    save_file(lora, tmp_path / "lora.safetensors")
    save_file(loha, tmp_path / "loha.safetensors")
    shots = [replace(SHOT, prompt=f"a cow {tag}") for tag in ("<lora:lora:1>", "<lora:loha:1>", "", "<lora:lora:0.5>")]

    def made(device, low_memory, **more):
        engine = engine_on(device, weights, low_memory, tmp_path, **more)
        return [contents(engine.make(batch(*some))) for some in (shots[:2], shots[2:], shots[:1])]

    alone = made("cpu", False)
    assert len({str(one) for one in alone}) == 3
    with CountedDevice():
        assert made(DEVICE, True, resident=10e6) == alone


def memory_of(monkeypatch, gigabytes):
    """A GPU of so many gigabytes, a tenth of which the system and the driver take."""
    free = int(gigabytes * 2**30 * 0.9)

    def mem_get_info(device=None):
        assert device is None or device.index is not None  # as torch 2.1 has it
        return free, free

    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    for name in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda device=None: 0)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    return free


def test_without_a_gpu_nothing_is_short():
    for name in ("cpu", "mps"):
        assert not is_short_of_memory(torch.device(name), SDXL, SDXL_WEIGHTS, torch.float32)


@pytest.mark.parametrize(("gigabytes", "short"), [(24, False), (12, False), (8, True), (6, True), (4, True)])
def test_whether_sdxl_fits_as_a_whole(monkeypatch, gigabytes, short):
    memory_of(monkeypatch, gigabytes)
    assert is_short_of_memory(torch.device("cuda"), SDXL, SDXL_WEIGHTS, torch.float16) is short
    assert not is_short_of_memory(torch.device("cuda"), PUBLISHED_SIZES["SD1"], 1_066_235_307, torch.float16)


@pytest.fixture(scope="module")
def sdxl():
    """SDXL's UNet and VAE of their published sizes, without memory."""
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel(**unet_config(SDXL)), AutoencoderKL(**vae_config(SDXL))
    return checkpoint.Models(unet.half(), vae.half(), (nn.Linear(1, 1, device="meta"),), SDXL)


@pytest.mark.parametrize(("gigabytes", "moves"), [(8, (0, 0)), (6, (1.2e9, 2.5e9)), (4, (3e9, 4.5e9))])
def test_how_much_of_sdxls_unet_moves_at_every_step(monkeypatch, sdxl, gigabytes, moves):
    free = gigabytes * 2**30 * 0.9
    work = sampling_bytes(SDXL, 1024, 1024)
    monkeypatch.setattr(placement, "free_memory", lambda device: free - there())
    used = Placement(sdxl, "meta", low_memory=True)
    there = lambda: sum(weight.nbytes for own in used._originals.values() for *_, weight in own)
    used.bring("unet", work)
    moving = [
        module for module in sdxl.unet.modules() if isinstance(module, placement.BLOCKS) and module._forward_hooks
    ]
    assert moves[0] <= sum(map(bytes_of, moving)) <= moves[1]
    assert there() + sum(map(bytes_of, moving)) == bytes_of(sdxl.unet)
    assert there() + max(map(bytes_of, moving), default=0) + work < free
    assert used.room() == free - bytes_of(sdxl.unet)
    used.clear()
    assert not there() and not any(module._forward_hooks for module in sdxl.unet.modules())


@pytest.mark.parametrize(("gigabytes", "forced", "low"), [(8, False, False), (8, True, True), (0.01, False, True)])
def test_a_checkpoint_is_loaded_where_it_fits(monkeypatch, gigabytes, forced, low):
    loaded = []
    load = checkpoint.load_checkpoint
    monkeypatch.setattr(
        checkpoint, "load_checkpoint", lambda path, device, dtype: loaded.append(device) or load(path, "cpu", dtype)
    )
    free = memory_of(monkeypatch, gigabytes)
    engine = Loading(low_memory=forced).engine(CHECKPOINT, "cuda:1")
    assert loaded == ["cpu" if low else "cuda:1"]
    assert (engine.placement.low_memory, engine.placement.device) == (low, torch.device("cuda:1"))
    room = free - bytes_of(engine.models.unet) if low else free
    assert fitting(engine, 512, 512) == min(max(int(room / sampling_bytes(engine.models.sizes, 512, 512)), 1), 64)
    assert not Loading(low_memory=True).engine(CHECKPOINT, "cpu").placement.low_memory


def test_it_is_an_argument_and_a_line_of_a_study_file(tmp_path):
    def parsed(command, *given):
        parser = ArgumentParser()
        command.add_arguments(parser)
        return parser.parse_args(given)

    assert sweep_arguments.job_of(parsed(sweep_arguments, "--low-memory")).loading.low_memory
    assert not sweep_arguments.job_of(parsed(sweep_arguments)).loading.low_memory
    file = tmp_path / "study.toml"
    file.write_text("low_memory = true", encoding="utf-8")
    assert study.job_of(study.complete(parsed(study, str(file))), "cpu").loading.low_memory
    file.write_text('low_memory = "no"', encoding="utf-8")
    with pytest.raises(FieldError):
        study.complete(parsed(study, str(file)))
