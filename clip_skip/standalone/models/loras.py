"""LoRAs in a model: read by diffusers, and applied by peft while the model runs; those of LyCORIS by its library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from clip_skip.messages.message import Template
from clip_skip.out_of_memory import is_out_of_memory
from clip_skip.skip import shorten
from clip_skip.standalone.models import lycoris
from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.models.lora_files import find_lora
from clip_skip.standalone.prompts.networks import Lora, LoraError

__all__ = ["Loras"]

UNUSABLE = Template("{file} cannot be used with this model: {problem}")
NO_MATCHING_WEIGHTS = Template("{file} has nothing for this model: it is another kind of file, or for another family")


class Loras:
    """The LoRAs of a folder that prompts have used so far, in one model."""

    def __init__(self, models: Models, folder: Path | None = None) -> None:
        self._models = models
        self._folder = folder
        self._peft_names: dict[str, str] = {}
        """The names of the LoRAs that peft applies, by the names in prompts."""
        self._adapters: dict[str, lycoris.Adapter] = {}
        """The networks that LyCORIS reads."""
        self._own_weights: dict[nn.Module, tuple[Any, Any]] = {}
        self.active_loras: tuple[Lora, ...] = ()
        self._loads = 0
        """The number of adapters that peft has received, including unusable ones."""

    def apply(self, loras: tuple[Lora, ...]) -> None:
        """Apply exactly `loras` to the model. Raises `LoraError`."""
        if loras == self.active_loras:
            return
        for lora in loras:
            if lora.name not in self._peft_names and lora.name not in self._adapters:
                self._load(lora.name)
        by_peft = [lora for lora in loras if lora.name in self._peft_names]
        for part, is_text in self._parts():
            weights = {self._peft_names[lora.name]: lora.text if is_text else lora.unet for lora in by_peft}
            for layer in layers(part):
                here = {name: weight for name, weight in weights.items() if name in layer.scaling and weight}
                layer.enable_adapters(bool(here))
                if here:
                    layer.set_adapter(list(here))
                for name, weight in here.items():
                    layer.set_scale(name, weight)
        others = [(self._adapters[lora.name], lora.text, lora.unet) for lora in loras if lora.name in self._adapters]
        lycoris.apply_adapters(self._own_weights, others)
        self.active_loras = loras

    def _parts(self) -> Iterator[tuple[nn.Module, bool]]:
        """The parts that a LoRA may change, and whether each is a text encoder."""
        yield self._models.unet, False
        for module in self._models.text_encoders:
            yield module, True

    def _load(self, name: str) -> None:
        """Load the LoRA into the model, without effect yet. Raises `LoraError`, whatever is wrong with its file."""
        path = find_lora(name, self._folder)
        try:
            with safe_open(path, framework="pt") as file:
                names = list(file.keys())
            if lycoris.algorithm_of(names):
                self._adapters[name] = lycoris.read_adapter(path, copies(path), self._models)
            else:
                self._load_with_peft(name, path)
        except LoraError:
            raise
        except Exception as error:  # diffusers, peft and LyCORIS raise many kinds
            if is_out_of_memory(error):
                raise
            problem = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise LoraError(UNUSABLE(file=str(path), problem=shorten(problem, 200)[1:-1])) from error

    def _load_with_peft(self, name: str, path: Path) -> None:
        self._loads += 1
        adapter = f"lora_{self._loads}"
        try:
            self._read_with_diffusers(path, adapter)
            if not any(True for part, _ in self._parts() for _ in layers(part, adapter)):
                raise LoraError(NO_MATCHING_WEIGHTS(file=str(path)))
        except Exception:
            self._remove(adapter)
            raise
        self._peft_names[name] = adapter
        for part, _ in self._parts():
            for layer in layers(part, adapter):
                layer.to(layer.get_base_layer().weight)
                layer.enable_adapters(False)
            part.requires_grad_(False).eval()

    def _read_with_diffusers(self, path: Path, adapter: str) -> None:
        from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader  # slow to import

        state, alphas = Loader.lora_state_dict(path, unet_config=self._models.unet.config)[:2]
        if any(key.startswith("unet.") for key in state):
            Loader.load_lora_into_unet(state, network_alphas=alphas, unet=self._models.unet, adapter_name=adapter)
        for index, module in enumerate(self._models.text_encoders):
            prefix = "text_encoder" if index == 0 else f"text_encoder_{index + 1}"
            if any(key.startswith(f"{prefix}.") for key in state):
                Loader.load_lora_into_text_encoder(
                    state, network_alphas=alphas, text_encoder=module, prefix=prefix, adapter_name=adapter
                )

    def _remove(self, adapter: str) -> None:
        """Remove the loaded parts of an adapter from the model."""
        self.active_loras = ()
        for part, _ in self._parts():
            for layer in list(layers(part, adapter)):
                layer.delete_adapter(adapter)
            for layer in layers(part):
                layer.enable_adapters(False)
            part.requires_grad_(False).eval()


def layers(part: nn.Module, adapter: str | None = None) -> Iterator[Any]:
    """The layers of `part` that a LoRA, or this one, changes."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in part.modules():
        if isinstance(module, BaseTunerLayer) and (adapter is None or adapter in module.scaling):
            yield module


def copies(path: Path) -> dict[str, Tensor]:
    """Copies of the weights in a file, which is not mapped afterwards: on Windows a mapped file cannot be replaced."""
    return {name: weight.clone() for name, weight in load_file(path).items()}
