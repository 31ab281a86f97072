"""One look at a file."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.doctor import files


def gradient(mode: str) -> Image.Image:
    grey = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))
    return Image.fromarray(grey).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_every_mode_gives_a_small_grey_picture(tmp_path: Path, mode: str):
    gradient(mode).save(tmp_path / "a.png")
    facts = files.look_at(tmp_path / "a.png")
    assert facts.thumb.shape == (files.THUMB, files.THUMB)
    assert facts.size == (64, 64)
    faults = {"RGBA": ["mode"], "LA": ["mode"]}
    assert [p.kind for p in facts.problems] == faults.get(mode, [])


def test_sixteen_bits_are_scaled_and_noted(tmp_path: Path):
    deep = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    Image.fromarray(deep).save(tmp_path / "a.png")
    facts = files.look_at(tmp_path / "a.png")
    assert [p.kind for p in facts.problems] == ["mode"]
    assert facts.thumb.max() > 200


def test_a_large_photograph_is_a_warning(tmp_path: Path):
    gradient("L").resize((3000, 2800)).save(tmp_path / "a.jpg")
    (problem,) = files.look_at(tmp_path / "a.jpg").problems
    assert (problem.kind, problem.severity) == ("huge", "warning")


def test_facts_come_in_the_order_of_the_paths(tmp_path: Path):
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path in paths:
        gradient("L").save(path)
    assert [f.path for f in files.look_at_all(paths, workers=3)] == paths


def test_a_folder_called_like_an_image_is_unreadable(tmp_path: Path):
    (tmp_path / "a.jpg").mkdir()
    assert [p.kind for p in files.look_at(tmp_path / "a.jpg").problems] == [
        "unreadable"
    ]


def noise(height: int, width: int) -> Image.Image:
    """A picture that nobody calls blank."""
    draw = np.random.default_rng(0)
    return Image.fromarray(draw.integers(0, 255, (height, width, 3), np.uint8))


def told(path: Path) -> list[tuple[str, str, str]]:
    """Kind, severity and message of all that is wrong with a file."""
    facts = files.look_at(path)
    assert facts.path == path
    assert all(problem.paths == (path,) for problem in facts.problems)
    return [(p.kind, p.severity, p.message) for p in facts.problems]


MIXED = "; tools differ in how they read that, convert it to RGB"


def test_what_is_wrong_with_a_picture_is_told_with_its_numbers(tmp_path: Path):
    place = tmp_path / "a.jpg"
    noise(64, 64).save(place, "PNG")
    assert told(place) == [
        ("wrong-extension", "warning", "is a PNG file called .jpg"),
    ]
    noise(64, 64).convert("CMYK").save(place)
    assert told(place) == [("mode", "warning", f"has CMYK colours{MIXED}")]
    turned = Image.Exif()
    turned[0x0112] = 6
    noise(64, 64).save(place, exif=turned)
    said = "is stored turned (EXIF orientation 6); tools that ignore the note see it "
    assert told(place) == [("exif-rotated", "warning", f"{said}lying")]
    noise(40, 31).save(place)
    said = "is 31 × 40 pixels, too small to show much"
    assert told(place) == [("tiny", "warning", said)]
    Image.new("RGB", (64, 64), "teal").save(place)
    said = "shows one even tone, nothing else"
    assert told(place) == [("blank", "warning", said)]


@pytest.mark.parametrize("orientation", [0, 1])
def test_a_picture_that_stands_upright_is_not_turned(tmp_path: Path, orientation: int):
    upright = Image.Exif()
    upright[0x0112] = orientation
    noise(64, 64).save(tmp_path / "a.jpg", exif=upright)
    assert told(tmp_path / "a.jpg") == []


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("RGBA", "transparency"),
        ("LA", "transparency"),
        ("I;16", "16 bits a pixel"),
    ],
)
def test_modes_that_tools_read_differently_are_told(
    tmp_path: Path, mode: str, said: str
):
    noise(64, 64).convert("L").convert(mode).save(tmp_path / "a.png")
    assert ("mode", "warning", f"has {said}{MIXED}") in told(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.JPG", "JPEG"),
        ("a.jpeg", "JPEG"),
        ("a.PNG", "PNG"),
        ("a.webp", "WEBP"),
        ("a.bmp", "BMP"),
        ("a.tiff", "TIFF"),
        ("a.ppm", "PPM"),  # of a format that has no list of endings
    ],
)
def test_an_ending_that_fits_is_no_fault_in_capitals_either(
    tmp_path: Path, name: str, format: str
):
    noise(64, 64).save(tmp_path / name, format)
    assert told(tmp_path / name) == []


def test_what_is_no_picture_is_told_by_what_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "a.jpg"
    ((kind, severity, said),) = told(place)
    assert (kind, severity) == ("unreadable", "error")
    assert said.startswith("cannot be read: ") and "No such file" in said
    place.write_bytes(b"")
    assert told(place) == [("zero-byte", "error", "has no bytes")]
    place.write_bytes(b"<html>not found</html>")
    assert told(place) == [("unreadable", "error", "is no image that can be read")]
    noise(64, 64).save(place)
    place.write_bytes(place.read_bytes()[:-900])
    ((kind, severity, said),) = told(place)
    assert (kind, severity) == ("truncated", "error")
    assert said.startswith("is cut short: image file is truncated (")
    noise(64, 64).save(place)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    said = "declares more pixels than any photograph has"
    assert told(place) == [("bomb", "error", said)]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            OSError("broken data stream"),
            "truncated",
            "is cut short: broken data stream",
        ),
        (OSError("the end of it"), "truncated", "is cut short: the end of it"),
        (ValueError("one\ntwo"), "unreadable", "cannot be decoded: one"),
        (ValueError(), "unreadable", "cannot be decoded: ValueError"),
        (ValueError("x" * 101), "unreadable", f"cannot be decoded: {'x' * 100}"),
    ],
)
def test_what_a_decoder_says_is_told_in_one_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error, kind: str, said: str
):
    def decode(*_: object) -> None:
        raise error

    noise(64, 64).save(tmp_path / "a.png")
    monkeypatch.setattr(files, "_decoded", decode)
    ((found, severity, message),) = told(tmp_path / "a.png")
    assert (found, severity) == (kind, "error")
    assert message == said


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (40, 40, []),  # 1,600 pixels are not more than 1,600
        (41, 40, ["huge"]),
        (50, 40, ["huge"]),
        (46, 45, ["bomb"]),
        (31, 32, ["tiny"]),
        (32, 31, ["tiny"]),
        (32, 32, []),
    ],
)
def test_sizes_have_sharp_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height, width, wanted
):
    """Here 1,600 pixels are not large, nor 2,000 a bomb; a side of 32 is not tiny."""
    monkeypatch.setattr(files, "LARGE", 1600)
    monkeypatch.setattr(files, "BOMB", 2000)
    noise(height, width).save(tmp_path / "a.png")
    assert [kind for kind, *_ in told(tmp_path / "a.png")] == wanted


def test_sizes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "LARGE", 1000)
    noise(40, 50).save(tmp_path / "a.png")
    said = "is 50 × 40 pixels; reading it takes longer than training on it, store it "
    assert told(tmp_path / "a.png") == [("huge", "warning", f"{said}smaller")]
    monkeypatch.setattr(files, "BOMB", 1999)
    said = "is 50 × 40 pixels: more than a photograph; not decoded"
    assert told(tmp_path / "a.png") == [("bomb", "error", said)]


def test_what_is_not_decoded_still_has_a_size_and_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "a.png"
    noise(40, 50).save(place)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    whole = files.look_at(place)
    assert (whole.digest, whole.size) == (digest, (50, 40))
    monkeypatch.setattr(files, "BOMB", 1999)
    bomb = files.look_at(place)
    assert (bomb.digest, bomb.size, bomb.thumb) == (digest, (50, 40), None)
    place.write_bytes(b"no image")
    broken = files.look_at(place)
    assert broken.digest == hashlib.sha256(b"no image").hexdigest()
    assert (broken.size, broken.thumb) == ((0, 0), None)


def test_the_small_picture_averages_what_it_covers(tmp_path: Path):
    """Of 96 columns two make one: of 2c and 2c + 100 the mean is 2c + 50."""
    columns = np.arange(96) // 2 * 2 + np.tile([0, 100], 48)
    pixels = np.tile(columns.astype(np.uint8), (96, 1))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    thumb = files.look_at(tmp_path / "a.png").thumb
    assert thumb.tolist() == [(2 * np.arange(48) + 50).tolist()] * 48


def test_tones_that_deviate_by_two_are_not_blank(tmp_path: Path):
    for apart, wanted in ((4, []), (3, ["blank"])):  # deviations of 2 and 1.5
        pixels = np.full((48, 48), 100, np.uint8)
        pixels[:24] += apart
        Image.fromarray(pixels).save(tmp_path / "a.png")
        assert [kind for kind, *_ in told(tmp_path / "a.png")] == wanted


def test_a_jpeg_is_decoded_at_the_scale_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A quarter of 400 pixels are the least that hold twice 48; grey is enough."""
    seen, grey = [], files._grey
    monkeypatch.setattr(
        files, "_grey", lambda file, mode: seen.append((file.size, file.mode))
        or grey(file, mode),
    )  # fmt: skip
    noise(400, 400).save(tmp_path / "a.jpg")
    assert files.look_at(tmp_path / "a.jpg").size == (400, 400)
    assert seen == [((100, 100), "L")]


def grey_of(pixels: list, dtype: type, mode: str = "") -> list[int]:
    picture = Image.fromarray(np.array([pixels], dtype))
    return np.asarray(files._grey(picture, mode or picture.mode))[0].tolist()


def test_grey_by_hand():
    assert grey_of([0, 7, 255], np.uint8) == [0, 7, 255]
    assert grey_of([0, 65535, 32768], np.uint16) == [0, 255, 127]
    assert grey_of([0, 100, 255], np.int32) == [0, 100, 255]  # nothing to scale down
    assert grey_of([-50, 510, 255], np.float32) == [0, 255, 127]
    clear, black, red = (0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 255)
    assert grey_of([clear, black, red], np.uint8) == [255, 0, 76]
    assert grey_of([(255, 0, 0), (0, 0, 0)], np.uint8) == [76, 0]


def test_what_a_decoder_warns_of_is_no_ones_concern(tmp_path: Path, monkeypatch):
    """Pillow warns of sizes above its own bound; the doctor has one."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    noise(64, 64).save(tmp_path / "a.png")
    (facts,) = files.look_at_all([tmp_path / "a.png"], workers=1)
    assert facts.problems == ()
