import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.datasets import DatasetError, load
from cvlib.detection.data import describe_boxes, read_splits, trainable, upright
from cvlib.images import open_image
from cvlib.masks import boxes_of_masks, encode_masks
from cvlib.samples import ImageSet, Sample


def sample(name, boxes, *, size=(40, 60), **more) -> Sample:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), np.int64)
    return Sample(Path("set") / name, size, labels, boxes, **more)


def images(*samples, class_names=("mug",)) -> ImageSet:
    return ImageSet(Path("set"), "coco", tuple(class_names), samples)


def test_the_shipped_shelves_come_in_their_splits_negatives_apart():
    splits = read_splits("pantry/shelves")
    assert [*splits][:3] == ["train", "valid", "test"]
    assert len(splits["train"]) == 240 and len(splits["negatives_test"]) == 32
    assert not any(len(s.boxes) for s in splits["negatives_test"])


def test_labels_of_whole_images_are_refused_with_the_file(tmp_path):
    for name in ("mug", "bowl"):
        for index in range(20):
            path = tmp_path / name / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(DatasetError, match=r"wanted boxes, got 1 labels .*\.png"):
        read_splits(tmp_path)


def test_a_set_of_images_without_objects_is_read_and_logged(caplog):
    empty = [sample(f"{i}.jpg", [], split="train") for i in range(3)]
    with caplog.at_level(logging.WARNING):
        splits = read_splits(images(*empty))
    assert len(splits["train"]) == 3 and not splits["valid"]
    assert "no training boxes of 'mug'" in caplog.text


def test_groups_are_named_for_a_set_that_is_loaded():
    found = load("pantry/shelves")
    splits = read_splits(found, group_by="shelf-(train|valid|test)|empty-")
    assert set(splits["test"].groups) == {"test"}


def test_boxes_are_cut_at_the_frame_and_empty_ones_left_out(caplog):
    odd = sample(
        "odd.jpg", [[-9, 5, 20, 30], [7, 7, 7, 9], [70, 1, 80, 9], [1, 2, 3, 4]]
    )
    with caplog.at_level(logging.WARNING):
        [found] = trainable(images(odd))
    assert found.boxes.tolist() == [[0, 5, 20, 30], [1, 2, 3, 4]]
    assert "odd.jpg: 1 boxes reach out" in caplog.text
    assert "odd.jpg: 2 boxes without area" in caplog.text


def test_a_box_of_no_number_is_left_out(caplog):
    [found] = trainable(images(sample("a.jpg", [[0, 0, np.nan, 5], [0, 0, 5, 5]])))
    assert found.boxes.tolist() == [[0, 0, 5, 5]]
    assert "a.jpg" in caplog.text


def test_crowds_are_left_out_without_a_word(caplog):
    one = sample("a.jpg", [[0, 0, 9, 9], [1, 1, 5, 5]], crowd=np.array([True, False]))
    with caplog.at_level(logging.WARNING):
        [found] = trainable(images(one))
    assert found.boxes.tolist() == [[1, 1, 5, 5]] and not caplog.text


def test_images_of_one_name_are_both_kept_and_named(caplog):
    pair = sample("a/x.jpg", [[0, 0, 9, 9]]), sample("b/x.jpg", [[1, 1, 5, 5]])
    with caplog.at_level(logging.WARNING):
        assert len(trainable(images(*pair))) == 2
    assert "a/x.jpg, b/x.jpg" in caplog.text


def test_boxes_are_described_in_pixels_and_in_parts_of_the_picture():
    wide = sample("a.jpg", [[10, 0, 26, 9]], size=(36, 100))
    [tall] = [replace(sample("b.jpg", [[0, 0, 3, 12]]), labels=np.array([1]))]
    found = describe_boxes(images(wide, tall, class_names=("mug", "jar")))
    assert found["label"].tolist() == [0, 1]
    assert found["width"].tolist() == [16, 3] and found["height"].tolist() == [9, 12]
    assert found["side"].tolist() == [12, 6]
    assert found["share"][0] == pytest.approx(12 / 60)


def test_no_boxes_are_described_by_empty_columns():
    found = describe_boxes(images(sample("a.jpg", [])))
    assert {len(column) for column in found.values()} == {0}


@pytest.mark.parametrize("note", range(9))
def test_annotations_are_where_an_upright_picture_shows_the_object(tmp_path, note):
    """A white patch in a file's pixels, boxed, masked and named by one corner."""
    mask = np.zeros((1, 30, 50), np.uint8)
    mask[0, 4:12, 8:33] = 1
    exif = Image.Exif()
    exif[0x0112] = note
    path = tmp_path / "a.png"
    Image.fromarray(mask[0] * 255).save(path, exif=exif)
    points = np.array([[[8, 4, 2], [0, 0, 0]]], np.float32)
    stored = Sample(
        path,
        (30, 50),
        np.zeros(1, np.int64),
        boxes_of_masks(mask),
        rles=encode_masks(list(mask)),
        keypoints=points,
    )
    (found,) = upright(ImageSet(tmp_path, "coco", ("patch",), (stored,)))
    seen = (np.array(open_image(path))[..., 0] > 0).astype(np.uint8)[None]
    assert found.canvas_size == seen.shape[1:]
    assert np.array_equal(found.boxes, boxes_of_masks(seen))
    assert np.array_equal(found.masks, seen)
    box, corner = found.boxes[0], found.keypoints[0, 0]
    ends = {(x, y) for x in box[[0, 2]] for y in box[[1, 3]]}
    assert (corner[0], corner[1]) in ends and corner[2] == 2
    assert not found.keypoints[0, 1].any()
    if note == 6:  # a quarter turn to the right: top left becomes top right
        assert (corner[0], corner[1]) == (box[2], box[1])


def test_a_file_that_cannot_be_opened_stays_as_it_is():
    gone = images(sample("gone.jpg", [[1, 2, 3, 4]]))
    assert np.array_equal(upright(gone)[0].boxes, [[1, 2, 3, 4]])
