import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cvlib.images import (
    ImageDataset,
    as_batch,
    as_sequence,
    batches,
    letterbox,
    load_image,
    load_images,
    open_image,
    to_float,
)

RED = (254, 0, 0)


def save(path, picture, **options):
    picture.save(path, **options)
    return path


def test_an_image_is_floats_channels_first_in_zero_to_one(tmp_path):
    image = load_image(save(tmp_path / "a.png", Image.new("RGB", (6, 4), "white")))
    assert image.shape == (3, 4, 6)
    assert image.dtype == torch.float32
    assert torch.equal(image, torch.ones(3, 4, 6))


def test_a_photograph_lying_on_its_side_is_turned_upright(tmp_path):
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("white", (0, 0, 20, 20))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    path = save(tmp_path / "a.jpg", picture, exif=exif)
    image = load_image(path)
    assert image.shape == (3, 40, 20)
    assert image[:, :15].mean() > 0.9 and image[:, 25:].mean() < 0.1


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16", "I"])
def test_any_mode_becomes_rgb(tmp_path, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    grey = Image.new("L", (5, 3), 255)
    if mode.startswith("I"):
        picture = Image.fromarray(np.full((3, 5), 65535, np.uint16))
    else:
        picture = grey.convert("RGB").convert(mode)
    picture = open_image(save(tmp_path / f"a.{suffix}", picture))
    assert picture.mode == "RGB" and picture.size == (5, 3)
    assert np.asarray(picture).min() >= 254


def test_sixteen_bits_keep_their_greys(tmp_path):
    greys = np.array([[0, 32768, 65535]], np.uint16)
    path = save(tmp_path / "a.png", Image.fromarray(greys))
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 128, 255]


def test_transparency_lies_on_white(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGBA", (2, 2), (0, 0, 0, 0)))
    assert np.asarray(open_image(path)).min() == 255


def test_a_square_is_the_centre_of_the_picture(tmp_path):
    picture = Image.new("RGB", (30, 10), "black")
    picture.paste(RED, (10, 0, 20, 10))
    image = open_image(save(tmp_path / "a.png", picture), size=8)
    assert image.size == (8, 8)
    assert np.asarray(image)[4, 4].tolist() == list(RED)


def test_scaled_decoding_looks_like_full_decoding(tmp_path):
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    picture = Image.fromarray(
        np.stack(np.broadcast_arrays(ramp, ramp[:, None], ramp), 2)
    )
    path = save(tmp_path / "a.jpg", picture, quality=95)
    full = open_image(path).resize((128, 128), Image.Resampling.BICUBIC)
    fast = open_image(path, size=128)
    assert np.abs(np.asarray(full, float) - np.asarray(fast, float)).mean() < 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        load_image(tmp_path / "nowhere.jpg")


def test_a_file_that_is_no_image_is_named(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not an image")
    with pytest.raises(ValueError, match=r"cannot read .*notes\.jpg as an image"):
        load_image(path)


def test_a_file_cut_short_is_named(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("RGB", (64, 64)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cannot read .*a\.jpg"):
        load_image(path)


def test_many_files_come_in_order_as_bytes(tmp_path):
    paths = [
        save(tmp_path / f"{grey}.png", Image.new("L", (9, 7), grey))
        for grey in range(20)
    ]
    images = load_images(paths, size=4)
    assert images.dtype == torch.uint8 and images.shape == (20, 3, 4, 4)
    assert images[:, 0, 0, 0].tolist() == list(range(20))


def test_no_files_are_an_empty_tensor():
    assert load_images([], size=4).shape == (0, 3, 4, 4)


@given(st.integers(0, 255))
def test_bytes_become_floats_and_back(value):
    images = torch.full((1, 3, 2, 2), value, dtype=torch.uint8)
    assert (to_float(images) * 255).round().byte().equal(images)


def test_floats_pass_unchanged():
    images = torch.rand(1, 3, 2, 2)
    assert to_float(images) is images


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


PIXELS = np.zeros((6, 9, 3), np.uint8)
PIXELS[:, 3:6] = RED


@pytest.mark.parametrize(
    "picture",
    [PIXELS, PIXELS / 255, (PIXELS / 255).astype(np.float32), Image.fromarray(PIXELS)],
    ids=["bytes", "float64", "float32", "PIL"],
)
def test_a_picture_in_memory_is_read_as_its_file_is(tmp_path, picture):
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS))
    for size in (None, 4):
        found = load_image(picture, size=size)
        assert torch.equal(found, load_image(path, size=size))


def test_a_picture_in_memory_is_turned_upright_too():
    picture = Image.new("RGB", (40, 20))
    picture.getexif()[0x0112] = 6
    assert open_image(picture).size == (20, 40)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 8, 9), np.uint8),
        np.zeros((8, 9, 3), np.int64),
        np.full((8, 9, 3), 200.0),
        np.full((8, 9, 3), np.nan),
        np.full((8, 9, 3), -0.5),
        np.zeros((0, 9, 3), np.uint8),
    ],
    ids=["channels first", "int64", "0-255", "nan", "negative", "empty"],
)
def test_an_array_that_is_no_picture_says_what_is_wanted(pixels):
    with pytest.raises(ValueError, match=r"\[H, W, 3\], bytes or floats in 0–1, got"):
        open_image(pixels)


@pytest.mark.parametrize("thing", [5, None, b"bytes", [1, 2]])
def test_what_is_no_picture_is_named(thing):
    with pytest.raises(TypeError, match=f"got {type(thing).__name__}"):
        open_image(thing)


class Paths:
    """As a set of samples has them."""

    paths = ("a.png", "b.png")


@pytest.mark.parametrize(
    ("images", "count"),
    [
        ("abc.png", 1),
        (PIXELS, 1),
        (PIXELS[:, :, 0], 1),
        (np.stack([PIXELS, PIXELS]), 2),
        (np.array(["a.png", "b.png", "c.png"]), 3),
        (Image.fromarray(PIXELS), 1),
        ([PIXELS, "a.png"], 2),
        ((name for name in ("a.png", "b.png")), 2),
        (torch.zeros(3, 4, 4), 1),
        (torch.zeros(5, 3, 4, 4), 5),
        ([torch.zeros(3, 4, 4)] * 2, 2),
        (Paths(), 2),
        ([], 0),
    ],
)
def test_one_image_and_many_are_a_sequence(images, count):
    assert len(as_sequence(images)) == count


@pytest.mark.parametrize("images", [5, None, b"a.png", {"train": ["a.png"]}])
def test_what_holds_no_images_is_named(images):
    with pytest.raises(TypeError, match=f"several; got {type(images).__name__}"):
        as_sequence(images)


def test_tensors_among_pictures_are_an_error():
    with pytest.raises(TypeError, match="mixed: 1 of 2"):
        as_batch([torch.zeros(3, 4, 4), PIXELS], size=4)


def test_batches_come_in_order_and_the_last_is_smaller():
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2)
    found = list(batches(images, size=9, device=torch.device("cpu"), batch_size=2))
    assert [batch[:, 0, 0, 0].tolist() for batch in found] == [[0, 1], [2, 3], [4]]


def test_a_batch_is_chosen_for_the_size_that_the_network_sees():
    side_of_300k_pixels = 548
    pictures = [PIXELS] * 3
    cpu = torch.device("cpu")
    assert len(list(batches(pictures, size=side_of_300k_pixels, device=cpu))) == 3
    assert len(list(batches(pictures, size=8, device=cpu))) == 1
    large = torch.zeros(2, 3, 600, 600, dtype=torch.uint8)
    assert len(list(batches(large, size=8, device=cpu))) == 2


@pytest.mark.parametrize(
    ("sides", "inside"),
    [((50, 100), (50, 100)), ((100, 50), (100, 50)), ((1, 300), (1, 100))],
)
def test_a_whole_picture_lies_in_the_upper_left_of_its_square(sides, inside):
    pixels = np.full((*sides, 3), 255, np.uint8)
    square, canvas_size = letterbox(pixels, size=100)
    assert square.shape == (3, 100, 100) and square.dtype == torch.uint8
    assert canvas_size == sides
    height, width = inside
    assert (square[:, :height, :width] > 200).all()
    assert (square[:, height:] == 128).all() and (square[:, :, width:] == 128).all()


def test_tensors_are_letterboxed_as_arrays_are():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 70, 3)).astype(np.uint8)
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1)
    wanted, _ = letterbox(pixels, size=40)
    for tensor in (channels_first, channels_first.float() / 255):
        assert torch.equal(letterbox(tensor, size=40)[0], wanted)
