from pathlib import Path

import pytest
import torch

from cvlib.labelled import ImageDataset, groups_from_names


def test_photographs_of_one_product_are_one_group():
    paths = [Path("mug/mug-03-07.jpg"), Path("mug/mug-03-08.jpg"), Path("mug/x.jpg")]
    first, second, third = groups_from_names(paths)
    assert first == second != third


def test_equal_names_in_two_classes_are_two_groups():
    assert len(set(groups_from_names([Path("mug/1-1.jpg"), Path("can/1-1.jpg")]))) == 2


def test_items_are_images_in_zero_to_one_and_labels():
    dataset = ImageDataset(
        torch.full((2, 3, 4, 4), 255, dtype=torch.uint8), torch.tensor([5, 6])
    )
    image, label = dataset[1]
    assert len(dataset) == 2 and label == 6
    assert torch.equal(image, torch.ones(3, 4, 4))


def test_a_transform_sees_bytes():
    seen = []
    images = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    dataset = ImageDataset(images, torch.tensor([0]), lambda x: seen.append(x) or x)
    assert dataset[0][0].dtype == torch.float32
    assert seen[0].dtype == torch.uint8


def test_as_many_labels_as_images_are_wanted():
    with pytest.raises(ValueError, match="got 1 labels for 2 images"):
        ImageDataset(torch.zeros(2, 3, 4, 4), torch.tensor([0]))


def test_an_empty_data_set_has_no_items():
    assert len(ImageDataset(torch.zeros(0, 3, 4, 4), torch.zeros(0))) == 0
