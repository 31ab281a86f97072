"""YOLO: a mask's outline, and back."""

import numpy as np
from pycocotools import mask as coco_mask

from cvlib.datasets.formats.yolo.outline import encode_outlines, outline_of


def test_an_outline_runs_along_the_pixels_edges():
    mask = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:9] = 1
    found = outline_of(mask)
    assert found.min(axis=0).tolist() == [3, 2]
    assert found.max(axis=0).tolist() == [9, 5]


def test_two_parts_are_one_outline_around_both():
    mask = np.zeros((10, 12), np.uint8)
    mask[1:3, 1:3] = mask[6:8, 8:10] = 1
    found = outline_of(mask)
    assert found.min(axis=0).tolist() == [1, 1]
    assert found.max(axis=0).tolist() == [10, 8]


def test_nothing_has_nooutline_of():
    assert outline_of(np.zeros((4, 4), np.uint8)) is None


def decoded(outlines: list, *boxes: list[float]) -> np.ndarray:
    rles = encode_outlines(outlines, [np.array(box, float) for box in boxes], (10, 12))
    return coco_mask.decode(list(rles)).transpose(2, 0, 1)


def test_an_outline_becomes_the_mask_that_it_was():
    mask = np.zeros((10, 12), np.uint8)
    mask[2:5, 3:9] = 1
    mask[5:7, 3:5] = 1
    assert (decoded([outline_of(mask)], [0, 0, 1, 1])[0] == mask).all()


def test_an_object_without_an_outline_has_its_box_for_a_mask():
    triangle = np.array([[0.0, 0], [4, 0], [0, 4]])
    found = decoded([triangle, None], [0, 0, 4, 4], [2, 1, 5, 7])
    wanted = np.zeros((10, 12), np.uint8)
    wanted[1:7, 2:5] = 1
    assert (found[1] == wanted).all()


def test_boxes_alone_have_no_masks_and_no_objects_have_none_of_them():
    assert encode_outlines([None], [np.array([2.0, 1, 5, 7])], (10, 12)) is None
    assert encode_outlines([], [], (10, 12)) == ()
