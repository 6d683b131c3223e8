"""LoRAs in a model: read by diffusers, and applied by peft while the model runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from clip_skip.standalone.models.checkpoint import Models
from clip_skip.standalone.prompts.networks import Lora, LoraError, file

__all__ = ["Loras"]


class Loras:
    """The LoRAs of a folder, as far as prompts have asked for them, in one model."""

    def __init__(self, models: Models, folder: Path | None = None) -> None:
        self._models = models
        self._folder = folder
        self._names: dict[str, str] = {}
        self.applied: tuple[Lora, ...] = ()

    def apply(self, wanted: tuple[Lora, ...]) -> None:
        """Make the model what it is with `wanted` alone. Raises `LoraError`."""
        if wanted == self.applied:
            return
        for lora in wanted:
            if lora.name not in self._names:
                self._load(lora.name)
        for part, text in self._parts():
            weights = {self._names[lora.name]: lora.text if text else lora.unet for lora in wanted}
            for layer in layers(part):
                here = {name: weight for name, weight in weights.items() if name in layer.scaling and weight}
                layer.enable_adapters(bool(here))
                if here:
                    layer.set_adapter(list(here))
                for name, weight in here.items():
                    layer.set_scale(name, weight)
        self.applied = wanted

    def _parts(self) -> Iterator[tuple[nn.Module, bool]]:
        """The parts that a LoRA may change, and whether each is a text encoder."""
        yield self._models.unet, False
        for module in self._models.text_encoders:
            yield module, True

    def _load(self, name: str) -> None:
        """Put the LoRA into the model, at which it does nothing yet."""
        from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader  # slow to import

        path = file(name, self._folder)
        adapter = f"lora_{len(self._names)}"
        before = [len(list(layers(part, adapter))) for part, _ in self._parts()]
        try:
            state, alphas = Loader.lora_state_dict(path, unet_config=self._models.unet.config)[:2]
            if any(key.startswith("unet.") for key in state):
                Loader.load_lora_into_unet(state, network_alphas=alphas, unet=self._models.unet, adapter_name=adapter)
            for index, module in enumerate(self._models.text_encoders):
                prefix = "text_encoder" if index == 0 else f"text_encoder_{index + 1}"
                if any(key.startswith(f"{prefix}.") for key in state):
                    Loader.load_lora_into_text_encoder(
                        state, network_alphas=alphas, text_encoder=module, prefix=prefix, adapter_name=adapter
                    )
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            raise LoraError(f"{path} cannot be used with this model: {str(error).splitlines()[0]}") from error
        after = [len(list(layers(part, adapter))) for part, _ in self._parts()]
        if before == after:
            raise LoraError(f"{path} has nothing for this model: it is another kind of file, or for another family")
        self._names[name] = adapter
        for part, _ in self._parts():
            for layer in layers(part, adapter):
                layer.to(layer.get_base_layer().weight)
                layer.enable_adapters(False)
            part.requires_grad_(False).eval()


def layers(part: nn.Module, adapter: str | None = None) -> Iterator[Any]:
    """The layers of `part` that a LoRA, or this one, changes."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in part.modules():
        if isinstance(module, BaseTunerLayer) and (adapter is None or adapter in module.scaling):
            yield module
