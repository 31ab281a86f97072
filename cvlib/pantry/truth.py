"""What is where in a rendered scene, exactly: masks, keypoints, how much is hidden.

`annotate` asks the renderer, so it needs the extra `render`; its answer is what COCO
JSON holds for one image of `pantry/shelves`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvlib.masks import boxes_of_masks, encode_masks
from cvlib.pantry.arrangements import class_of
from cvlib.pantry.render import first_hits, instances
from cvlib.pantry.scenes import Placed, Scene
from cvlib.pantry.shapes import Material

KEYPOINT_NAMES = (
    "top",
    "bottom",
    "top_left",
    "top_right",
    "bottom_left",
    "bottom_right",
)
FLIP_PAIRS = ((2, 3), (4, 5))
SLACK = 1.2  # centimetres; a keypoint this far behind a surface still counts as seen


def settle(scene: Scene, *, size: int = 128) -> Scene:
    """The scene without the objects that nobody could see in it.

    An object stays when it shows at least 1 pixel in 2,000 and an eighth of itself;
    dropping one can uncover another, so this looks again until all stay.
    """
    while True:
        bare = _bare(scene)
        owners = instances(bare, size=size)
        stay = [
            thing
            for index, thing in enumerate(scene.objects)
            if (owners == index + 1).sum() >= size**2 / 2000
            and _visible_share(bare, owners, index) >= 1 / 8
        ]
        if len(stay) == len(scene.objects):
            return scene
        scene = replace(scene, objects=tuple(stay))


def annotate(scene: Scene, *, size: int) -> list[dict[str, Any]]:
    """A COCO annotation an object, without ids; `category` is the class's name.

    `occlusion` is the share of the object's outline within the frame that other things
    hide; `in_frame` the share of its surface points that the frame holds.
    """
    bare = _bare(scene)
    owners = instances(bare, size=size)
    points = keypoints(bare, size=size)
    return [
        {
            "category": class_of(thing),
            "product": thing.name,
            **_outline((owners == index + 1).astype(np.uint8)),
            "iscrowd": 0,
            "keypoints": [round(float(v), 1) for v in points[index].ravel()],
            "num_keypoints": int((points[index, :, 2] > 0).sum()),
            "occlusion": round(1 - _visible_share(bare, owners, index), 3),
            "in_frame": round(_in_frame(scene, thing), 3),
        }
        for index, thing in enumerate(scene.objects)
    ]


def keypoints(scene: Scene, *, size: int) -> NDArray[np.float64]:
    """[N, 6, 3]: x, y in pixels and COCO's visibility, in KEYPOINT_NAMES' order.

    Top and bottom are the middles of the two ends; left and right their outermost
    points as the camera sees them, when the object stands upright in the picture. A
    point outside the frame is unlabelled: 0, 0, 0.
    """
    if not scene.objects:
        return np.zeros((0, len(KEYPOINT_NAMES), 3))
    solid = np.concatenate([_corners(scene, thing) for thing in scene.objects])
    spots = scene.camera.project(solid) * size
    inside = np.asarray(((spots >= 0) & (spots < size)).all(axis=1))
    reach = np.linalg.norm(solid - np.array(scene.camera.origin), axis=1)
    seen = np.asarray(first_hits(scene, solid) > reach - SLACK)
    visibility = np.where(inside, 1 + seen, np.zeros(len(seen)))
    rows = np.column_stack([np.where(inside[:, None], spots, 0), visibility])
    return rows.reshape(len(scene.objects), -1, 3)


def _outline(mask: NDArray[np.uint8]) -> dict[str, Any]:
    """Box, area and run-length code of one mask."""
    x0, y0, x1, y1 = map(float, boxes_of_masks(mask[None])[0])
    (rle,) = encode_masks([mask])
    return {
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(mask.sum()),
        "segmentation": {**rle, "counts": rle["counts"].decode()},
    }


def _corners(scene: Scene, thing: Placed) -> NDArray[np.float64]:
    """The six points in space, [6, 3]."""
    own = replace(thing, at=(0.0, 0.0, 0.0), yaw=0.0, lean=0.0).vertices()
    there = thing.vertices()
    share = (own[:, 2] - own[:, 2].min()) / np.ptp(own[:, 2])
    ends = [there[share >= 0.97], there[share <= 0.06]]
    middles = [(end.min(axis=0) + end.max(axis=0)) / 2 for end in ends]
    top, bottom = scene.camera.project(np.array(middles))
    rightwards = np.array([bottom[1] - top[1], top[0] - bottom[0]])
    sides = []
    for end in ends:
        along = scene.camera.project(end) @ rightwards
        sides += [end[along.argmin()], end[along.argmax()]]
    return np.array([*middles, *sides])


def _visible_share(scene: Scene, owners: NDArray[np.uint8], index: int) -> float:
    """Of the object's outline when it stands there alone, the share that is seen."""
    thing, size = scene.objects[index], len(owners)
    spots = scene.camera.project(thing.vertices()) * size
    left, top = (int(v) for v in np.clip(spots.min(axis=0) - 2, 0, size))
    right, bottom = (int(v) for v in np.clip(spots.max(axis=0) + 3, 0, size))
    alone = replace(scene, objects=(thing,), stage=())
    whole = instances(alone, size=size, window=(left, top, right, bottom)) > 0
    seen = owners == index + 1
    return float(seen.sum() / max(whole.sum(), seen.sum(), 1))


def _in_frame(scene: Scene, thing: Placed) -> float:
    spots = scene.camera.project(thing.vertices())
    return float(((spots >= 0) & (spots <= 1)).all(axis=1).mean())


def _bare(scene: Scene) -> Scene:
    """The same shapes in plain paper: geometry needs no labels painted."""
    return replace(
        scene,
        objects=tuple(map(_stripped, scene.objects)),
        stage=tuple(map(_stripped, scene.stage)),
    )


def _stripped(thing: Placed) -> Placed:
    paper = Material("paper")
    return replace(thing, parts=tuple(replace(p, material=paper) for p in thing.parts))
