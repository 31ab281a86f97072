"""A detector: a pretrained backbone, a light pyramid, a head of torchvision's.

The pyramid is T.-Y. Lin et al., "Feature Pyramid Networks for Object Detection", CVPR
2017, with few channels; the heads are FCOS (Z. Tian et al., ICCV 2019) and RetinaNet
(T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017).
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FeaturePyramidNetwork, batched_nms

from cvlib.backbones import Backbone, load_backbone
from cvlib.checkpoints import save_model
from cvlib.devices import pick_batch_size
from cvlib.images import as_sequence, letterbox, open_image
from cvlib.models import ImageModel, evaluating

SHIPPED = Path(__file__).with_name("shelves.safetensors")

Head = Literal["fcos", "retinanet"]
Prediction = dict[str, Tensor]

STRIDES = (8, 16, 32)  # pixels of the image to a pixel of each level
BOX_SIDES = (32, 64, 128)  # of RetinaNet's anchors, a level each
CHANNELS = 64  # of the pyramid; torchvision's 256 cost twice the time of a step
MOST_BOXES = 100  # an image, as COCO counts them
SAME = 0.5  # IoU from which two boxes of one class are one object
LEAST_SCORE = 0.01  # what is less sure is not even considered
EDGE = 2.0  # pixels from a tile's edge at which a thing is cut by it
FIRST_SIDE = 2.0  # from a place to each side of its box, in strides, untrained


class Detector(ImageModel):
    """Squares in 0–1, or bytes, [B, 3, S, S] → predictions; in training, losses.

    The labels count from 0. Its settings, and how pictures become squares, are inside,
    so that validation and prediction cannot differ in them.
    """

    kind = "detector"

    def __init__(
        self,
        backbone: Backbone,
        class_names: Sequence[str],
        *,
        image_size: int = 320,
        head: Head = "fcos",
    ) -> None:
        super().__init__(backbone, image_size=image_size)
        self.class_names, self.head = list(class_names), head
        pyramid = _Pyramid(self.features, CHANNELS)
        whole = {
            "image_mean": backbone.mean,
            "image_std": backbone.std,
            "detections_per_img": MOST_BOXES,
            "score_thresh": LEAST_SCORE,
            "nms_thresh": SAME,
            "min_size": self.image_size,  # as `letterbox` makes them, so none is scaled
            "max_size": self.image_size,
            "_skip_resize": True,  # in training, where crops may be smaller
        }
        self.network = _HEADS[head](pyramid, len(self.class_names), whole)

    def forward(
        self, images: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> Any:
        """Predictions, a dict an image; with targets, in training, a dict of losses."""
        pixels = images / 255 if images.dtype == torch.uint8 else images
        return self.network(list(pixels), targets)

    def settings(self) -> dict[str, Any]:
        """What the constructor needs, the class names among it."""
        own = {"class_names": self.class_names, "head": self.head}
        return {**super().settings(), **own}

    def at_size(self, image_size: int) -> "Detector":
        """A copy that looks at squares of another side, in pixels."""
        settings = {**self.settings(), "image_size": image_size}
        backbone = load_backbone(settings.pop("backbone"), pretrained=False)
        other = Detector(backbone, **settings)
        other.load_state_dict(self.state_dict())
        return other.to(self.device).train(self.training)

    def save(self, path: str | Path, *, half: bool = False) -> Path:
        """As every model's; `half` keeps two bytes a number, half the file.

        Scores of such a file differ a little from those before it was saved. Used
        in book/detection/train.
        """
        if not half:
            return super().save(path)
        weights = {
            name: value.half() if value.is_floating_point() else value
            for name, value in self.state_dict().items()
        }
        return save_model(path, weights, {"kind": self.kind, **self.settings()})


class _Pyramid(nn.Module):
    """A backbone's maps at three strides, summed from coarse to fine.

    The backbone is the model's, not this part's: in a file it stands once.
    """

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.body, self.out_channels = (body,), channels  # a tuple is no child
        facts: Any = getattr(body, "feature_info", None)
        if facts is None:
            raise ValueError(
                "a detector wants the maps inside its backbone, which networks of timm "
                f"give; got {type(body).__name__}"
            )
        last = {fact["reduction"]: i for i, fact in enumerate(facts)}
        self.stages = [last[stride] for stride in STRIDES]
        self.levels = FeaturePyramidNetwork(
            [facts[i]["num_chs"] for i in self.stages], channels
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        images = images.contiguous(memory_format=torch.channels_last)
        body: Any = self.body[0]
        maps = body.forward_intermediates(
            images, indices=self.stages, intermediates_only=True, stop_early=True
        )
        found: dict[str, Tensor] = self.levels(
            OrderedDict((str(s), m) for s, m in zip(STRIDES, maps, strict=True))
        )
        return found


def _fcos(pyramid: _Pyramid, classes: int, whole: dict[str, Any]) -> nn.Module:
    anchors = AnchorGenerator(tuple((s,) for s in STRIDES), ((1.0,),) * len(STRIDES))
    head = FCOSHead(CHANNELS, 1, classes, num_convs=2)
    # Sides go through a ReLU: those that begin below nought would not learn.
    nn.init.constant_(head.regression_head.bbox_reg.bias, FIRST_SIDE)
    return FCOS(pyramid, classes, anchor_generator=anchors, head=head, **whole)


def _retinanet(pyramid: _Pyramid, classes: int, whole: dict[str, Any]) -> nn.Module:
    sizes = tuple(
        (side, side * 2 ** (1 / 3), side * 2 ** (2 / 3)) for side in BOX_SIDES
    )
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    a_place = anchors.num_anchors_per_location()[0]
    norm = partial(nn.GroupNorm, 32)  # without it the loss diverges at these rates
    head = RetinaNetHead(CHANNELS, a_place, classes, norm_layer=norm)
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[:2]
    return RetinaNet(pyramid, classes, anchor_generator=anchors, head=head, **whole)


_HEADS = {"fcos": _fcos, "retinanet": _retinanet}


def build_detector(
    backbone: Backbone,
    class_names: Sequence[str],
    *,
    image_size: int = 320,
    head: Head = "fcos",
) -> Detector:
    """A detector for `class_names`: a copy of the backbone, the rest to be trained.

    `image_size` is the side, in pixels, of the squares it looks at. Used in
    book/detection/train.
    """
    return Detector(backbone, class_names, image_size=image_size, head=head)


def predict(
    model: Detector,
    images: Any,
    *,
    score_threshold: float = 0.05,
    batch_size: int | None = None,
) -> list[Prediction]:
    """What is found in each image, in any form; see `predict_stream`.

    Used in book/detection/predict.
    """
    given = as_sequence(images)
    found = predict_stream(
        model, given, score_threshold=score_threshold, batch_size=batch_size
    )
    return list(found)


def predict_stream(
    model: Detector,
    images: Iterable[Any],
    *,
    score_threshold: float = 0.05,
    batch_size: int | None = None,
) -> Iterator[Prediction]:
    """A dict an image, in order, a batch at a time; for films and folders of any size.

    `boxes` float32 [N, 4], XYXY in pixels of the upright picture, `scores` float32 [N],
    best first, `labels` int64 [N], places in `model.class_names`.
    """
    size, waiting = model.image_size, iter(images)
    step = batch_size or pick_batch_size((size, size), model.device)
    while batch := list(islice(waiting, step)):
        squares = [letterbox(image, size=size) for image in batch]
        pixels = torch.stack([square for square, _ in squares]).to(model.device)
        with evaluating(model) as ready, torch.inference_mode():
            found = ready(pixels)
        for one, (_, canvas_size) in zip(found, squares, strict=True):
            yield _in_picture(one, canvas_size, size, score_threshold)


def predict_tiles(
    model: Detector,
    images: Any,
    *,
    tile: int,
    overlap: float = 0.25,
    score_threshold: float = 0.05,
    batch_size: int | None = None,
) -> list[Prediction]:
    """As `predict`, with each image cut into squares of `tile` pixels of its own.

    Neighbours share `overlap` of their side at least; each tile finds up to 100 things.
    A box that ends at an inner edge is of a thing cut in two, and left out: what is
    larger than the overlap can be lost. Of boxes of one class that overlap by half the
    surest stays. Raises ValueError for
    a tile of no pixel or an overlap outside [0, 1). Used in
    book/detection/small-objects.
    """
    if tile < 1 or not 0 <= overlap < 1:
        raise ValueError(
            "tile wants a pixel or more, and overlap a share from 0 to below 1; "
            f"got {tile} and {overlap}"
        )
    merged = []
    for image in as_sequence(images):
        picture = open_image(image)
        places = _places(picture.size, tile, overlap)
        parts = predict(
            model,
            [picture.crop(place) for place in places],
            score_threshold=score_threshold,
            batch_size=batch_size,
        )
        whole = [
            _moved(part, place, picture.size)
            for part, place in zip(parts, places, strict=True)
        ]
        merged.append(_merged(whole))
    return merged


def _places(
    size: tuple[int, int], tile: int, overlap: float
) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the tiles that cover a picture (width, height)."""
    starts = []
    for length in size:
        room = max(0, length - tile)
        count = 1 + int(np.ceil(room / max(1, tile * (1 - overlap))))
        starts.append(np.linspace(0, room, count).round().astype(int).tolist())
    columns, rows = starts
    width, height = size
    return [
        (x, y, min(x + tile, width), min(y + tile, height))
        for y in rows
        for x in columns
    ]


def _moved(
    found: Prediction, place: tuple[int, int, int, int], size: tuple[int, int]
) -> Prediction:
    """A tile's prediction in the picture's pixels, without what its edges cut."""
    left, top, right, bottom = place
    boxes = found["boxes"] + torch.tensor([left, top, left, top])
    low, high = torch.tensor([left, top]), torch.tensor([right, bottom])
    inner = torch.cat([low > 0, high < torch.tensor(size)])
    at_edge = (boxes - torch.cat([low, high])).abs() < EDGE
    whole = ~(at_edge & inner).any(dim=1)
    moved = {**found, "boxes": boxes}
    return {name: value[whole] for name, value in moved.items()}


def _merged(parts: list[Prediction]) -> Prediction:
    """The predictions of tiles as one, best first; of what is doubled the surest."""
    every = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    kept = batched_nms(every["boxes"], every["scores"], every["labels"], SAME)
    return {name: value[kept] for name, value in every.items()}


def _in_picture(
    found: Prediction, canvas_size: tuple[int, int], size: int, score_threshold: float
) -> Prediction:
    """A square's prediction in its picture's pixels; what is too unsure is left out."""
    height, width = canvas_size
    boxes = found["boxes"].cpu() * (max(canvas_size) / size)
    boxes = boxes.clamp(min=0)
    boxes[:, 0::2].clamp_(max=width)
    boxes[:, 1::2].clamp_(max=height)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    scores = found["scores"].cpu()
    order = scores.argsort(descending=True, stable=True)
    order = order[(scores[order] >= score_threshold) & (area[order] > 0)]
    labels = found["labels"].cpu()[order]
    return {"boxes": boxes[order], "scores": scores[order], "labels": labels}


def load_detector(
    path: str | Path | None = None, *, image_size: int | None = None
) -> Detector:
    """A detector from the file that its `save` wrote, in evaluation mode, on the CPU.

    Without a path the one that ships: eight kinds of things on kitchen shelves, made
    by book/detection/train. `image_size` has it look at squares of another side, in
    pixels, than it was saved for. Raises FileNotFoundError, or ValueError for a file
    that holds none. Used in book/detection/predict.
    """
    saved = Detector.load(SHIPPED if path is None else Path(path).expanduser())
    return saved if image_size is None else saved.at_size(image_size)
