"""The doctor as a whole: planted faults are found, the folder stays untouched."""

import json
import os
import shutil
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cvlib.datasets import DatasetError, fetch, formats, load
from cvlib.datasets.problems import Problem
from cvlib.doctor import examine
from cvlib.doctor.files import THUMB, Facts
from cvlib.masks import encode_masks
from cvlib.samples import ImageSet, Sample
from tests.datasets.formats.sets import SIZE, boxed, image_file


def photographs(
    root: Path, count: int = 8, names: tuple[str, str] = ("can", "mug")
) -> Path:
    """A folder a class with real pictures: the first of two classes, in two splits."""
    products = fetch("pantry/products")
    for split in ("train", "test"):
        for name in names:
            for path in sorted((products / split / name).iterdir())[:count]:
                there = root / split / name / path.name
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, there)
    return root


def kinds(root: Path, **options: bool) -> dict[str, set[str]]:
    """Kind → names of the files concerned."""
    found: dict[str, set[str]] = {}
    for problem in examine(root, **options).problems:
        found.setdefault(problem.kind, set()).update(p.name for p in problem.paths)
    return found


def state(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in root.rglob("*")}


def test_good_data_is_left_in_peace(tmp_path: Path):
    assert set(kinds(photographs(tmp_path))) == {"test-small"}


def test_every_broken_file_is_found_by_its_fault(tmp_path: Path):
    root = photographs(tmp_path)
    files = sorted((root / "train" / "can").iterdir())
    cut, empty, web, wrong, cmyk, lying, tiny, blank = files
    cut.write_bytes(cut.read_bytes()[:4000])
    empty.write_bytes(b"")
    web.write_bytes(b"<html>not found</html>")
    Image.open(wrong).save(wrong, "PNG")
    Image.open(cmyk).convert("CMYK").save(cmyk, "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(lying).save(lying, exif=exif)
    Image.open(tiny).resize((20, 20)).save(tiny)
    Image.new("RGB", (200, 200), "grey").save(blank)
    found = kinds(root)
    wanted = {"truncated": cut, "zero-byte": empty, "unreadable": web, "mode": cmyk}
    wanted |= {"wrong-extension": wrong, "exif-rotated": lying, "tiny": tiny}
    wanted |= {"blank": blank}
    assert {k: v for k, v in found.items() if k in wanted} == {
        kind: {path.name} for kind, path in wanted.items()
    }


def test_copies_are_told_by_what_they_spoil(tmp_path: Path):
    root = photographs(tmp_path)
    first, second, third, *_ = sorted((root / "train" / "can").iterdir())
    shutil.copyfile(first, root / "test" / "can" / "leak.jpg")
    shutil.copyfile(second, root / "train" / "mug" / "lie.jpg")
    shutil.copyfile(third, third.with_name("again.jpg"))
    found = kinds(root)
    assert found["duplicate-across-splits"] == {first.name, "leak.jpg"}
    assert found["duplicate-conflicting"] == {second.name, "lie.jpg"}
    assert found["duplicate-exact"] == {third.name, "again.jpg"}
    assert "duplicate-near" not in found


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.resize((130, 130)),
        lambda p: p.crop((6, 3, p.width - 9, p.height - 4)),
        lambda p: ImageEnhance.Brightness(p).enhance(0.75),
    ],
    ids=["scaled", "cropped", "darker"],
)
def test_a_changed_copy_is_found(tmp_path: Path, change: object):
    root = photographs(tmp_path)
    first = min((root / "train" / "mug").iterdir())
    there = root / "test" / "mug" / "changed.jpg"
    change(Image.open(first)).save(there, quality=60)
    assert kinds(root)["duplicate-across-splits"] == {first.name, "changed.jpg"}


def test_impossible_boxes_and_missing_images_are_found(tmp_path: Path):
    drawn = {
        f"{i}.png": ([((5, 5, 9, 9), 0), ((20, 5, 9, 9), 1)], "train") for i in "abc"
    }
    root = formats.write(boxed(tmp_path / "in", drawn), tmp_path / "set", format="coco")
    sheet = root / "annotations" / "train.json"
    document = json.loads(sheet.read_text())
    flat, outside, twice, *_ = document["annotations"]
    flat["bbox"][2] = 0
    outside["bbox"][0] = 55
    document["annotations"].append({**twice, "id": 99})
    sheet.write_text(json.dumps(document))
    (root / "images" / "train" / "c.png").unlink()
    found = kinds(root)
    assert found["box-degenerate"] == found["box-outside"] == {"a.png"}
    assert found["box-duplicate"] == {"b.png"}
    assert found["image-missing"] == {"c.png"}


def test_hostile_files_neither_stop_it_nor_get_out(tmp_path: Path):
    root = photographs(tmp_path / "set", 3)
    place = root / "train" / "mug"
    Image.new("L", (10_000, 40), 200).save(place / "wide.png")
    bomb = bytearray((place / "wide.png").read_bytes())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2  # the header's width and height
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    (place / "bomb.png").write_bytes(bomb)
    secret = image_file(tmp_path / "secret.jpg")
    (place / "link.jpg").symlink_to(secret)
    (place / "loop").symlink_to(root, target_is_directory=True)
    (place / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    odd = place / "a 'b\" <i>кружка.jpg"
    shutil.copyfile(min(place.glob("mug*.jpg")), odd)
    report = examine(root)
    found = {p.kind: {x.name for x in p.paths} for p in report.problems}
    assert found["bomb"] == {"bomb.png"}
    outside = {
        x.name for p in report.problems if p.kind == "path-outside" for x in p.paths
    }
    assert outside == {"link.jpg", "nowhere.jpg"}
    assert not any(secret in p.paths for p in report.problems)
    page = report.write_html(tmp_path / "report.html").read_text()
    assert "<i>кружка" not in page
    assert "&lt;i&gt;кружка.jpg" in page


def test_the_folder_is_not_touched(tmp_path: Path):
    root = photographs(tmp_path / "set", 3)
    shutil.copyfile(min((root / "train/mug").iterdir()), root / "test/mug/copy.jpg")
    before = state(root)
    report = examine(root)
    report.write_html(tmp_path / "out.html")
    report.write_cleaned(tmp_path / "cleaned")
    assert state(root) == before


def test_a_folder_without_a_format_is_still_looked_at(tmp_path: Path):
    image_file(tmp_path / "a.jpg")
    found = kinds(tmp_path)
    assert set(found) == {"unrecognised", "blank"}


def test_no_folder_is_an_error(tmp_path: Path):
    with pytest.raises(DatasetError, match="wanted a folder at"):
        examine(tmp_path / "missing")
    with pytest.raises(DatasetError, match="is one image"):
        examine(image_file(tmp_path / "a.jpg"))


@pytest.mark.slow
def test_a_name_is_the_data_set_as_load_has_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(fetch("pantry/products").parents[1])
    report = examine("pantry/products")
    assert report.root == fetch("pantry/products")
    assert (report.format, report.splits["test"]) == ("classes", 320)


def test_annotations_may_be_named_in_place_of_their_folder(tmp_path: Path):
    drawn = {"a.png": ([((5, 5, 9, 9), 0)], "train")}
    root = formats.write(boxed(tmp_path / "in", drawn), tmp_path / "set", format="coco")
    sheet = root / "annotations" / "train.json"
    moved = sheet.rename(root / "mine.json")
    report = examine(moved)
    assert (report.root, report.format, report.objects) == (root, "coco", 1)
    (root / "notes.json").write_text("{}")
    with pytest.raises(DatasetError, match="no known format"):
        examine(root / "notes.json")


def test_an_empty_mask_is_noted(tmp_path: Path):
    found = boxed(
        tmp_path / "in", {"a.png": ([((5, 5, 9, 9), 0)], "train")}, masks=True
    )
    (one,) = found.samples
    two = Sample(
        one.path, SIZE, np.array([0, 0]), np.repeat(one.boxes, 2, axis=0),
        (one.rles[0], *encode_masks([np.zeros(SIZE, np.uint8)])), split="train",
    )  # fmt: skip
    both = ImageSet(found.root, "coco", found.class_names, (two,))
    root = formats.write(both, tmp_path / "set", format="coco")
    assert {"mask-empty", "box-duplicate"} <= set(kinds(root))


@pytest.mark.slow
def test_deep_finds_labels_that_were_exchanged(tmp_path: Path):
    root = photographs(tmp_path, 30, ("bowl", "glass_bottle"))
    moved = sorted((root / "train" / "bowl").iterdir())[::6]
    for path in moved:
        path.rename(root / "train" / "glass_bottle" / path.name)
    (root / "train" / "bowl" / "broken.jpg").write_bytes(b"no image")
    found = kinds(root, deep=True)["label-suspect"]
    assert len(found & {path.name for path in moved}) >= len(moved) - 1
    assert len(found) <= len(moved) + 3


def test_the_split_that_was_written_down_is_examined(tmp_path: Path):
    root = photographs(tmp_path, 6) / "train"
    load(root)
    (one,) = [s for s in load(root).samples if s.split == "test"][:1]
    copy = one.path.with_name("copy.jpg")
    shutil.copyfile(one.path, copy)
    with (root / "splits.csv").open("a") as file:
        file.write(f"{copy.relative_to(root)},train,\n")
    assert "duplicate-across-splits" in kinds(root)
    (root / "splits.csv").write_text("path,split\na.jpg,holdout\n")
    assert "splits-unreadable" in kinds(root)


def test_what_is_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = photographs(tmp_path / "set", 6)
    (root / "train" / "can" / "phone.HEIC").write_bytes(b"x")
    (root / "closed").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert kinds(root)["not-read"] == {"phone.HEIC", "closed", "linked"}


def test_masks_are_no_pictures_and_stay_in_a_cleaned_list(tmp_path: Path):
    drawn = {
        f"{i}.png": ([((i, i, 9, 9), i % 3)], "train" if i < 6 else "test")
        for i in range(9)
    }
    root = formats.write(
        boxed(tmp_path / "in", drawn, masks=True),
        tmp_path / "set",
        format="index-masks",
    )
    report = examine(root)
    assert report.images == 9
    report.write_cleaned(tmp_path / "out")
    rows = (tmp_path / "out" / "images.csv").read_text().splitlines()
    assert rows[0] == "image,mask,split,group"


def test_masks_of_defects_are_no_pictures_either(tmp_path: Path):
    image_file(tmp_path / "PA/Defects/PA_D_01.bmp")
    image_file(tmp_path / "PA/NoDefects/PA_ND_01.bmp")
    mask = tmp_path / "PA/Defects/GroundThruth/PA_GT_01.bmp"
    Image.new("1", SIZE[::-1], "white").save(image_file(mask))
    report = examine(tmp_path)
    assert (report.format, report.images) == ("defect-masks", 2)
    assert mask not in {path for p in report.problems for path in p.paths}


def test_a_broken_image_keeps_its_other_faults(tmp_path: Path):
    drawn = {"a.png": ([((5, 5, 9, 9), 0)], "train")}
    root = formats.write(boxed(tmp_path / "in", drawn), tmp_path / "set", format="coco")
    (root / "images" / "train" / "lost.png").write_bytes(b"no image")
    found = kinds(root)
    assert found["unreadable"] == found["annotation-missing"] == {"lost.png"}


def test_copies_with_other_objects_are_copies_and_no_conflict(tmp_path: Path):
    drawn = {"a.png": ([((5, 5, 9, 9), 0)], ""), "b.png": ([((5, 5, 9, 9), 1)], "")}
    root = formats.write(boxed(tmp_path / "in", drawn), tmp_path / "set", format="coco")
    found = kinds(root)
    assert found["duplicate-exact"] == {"a.png", "b.png"}
    assert "duplicate-conflicting" not in found


def test_an_empty_folder_is_an_error(tmp_path: Path):
    assert set(kinds(tmp_path)) == {"unrecognised", "nothing-read"}
    assert examine(tmp_path).errors == 2


def test_a_group_that_is_parted_is_an_error(tmp_path: Path):
    for name in ("a", "b"):
        image_file(tmp_path / f"{name}.jpg")
    text = "image,tags,split,group\na.jpg,mug,train,film\nb.jpg,mug,test,film\n"
    (tmp_path / "tags.csv").write_text(text)
    assert kinds(tmp_path)["group-across-splits"] == {"a.jpg", "b.jpg"}


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    root = photographs(tmp_path, 2)
    os.mkfifo(root / "train" / "can" / "pipe.jpg")
    (root / "train" / "can" / "link.jpg").symlink_to("pipe.jpg")
    assert examine(root).images == 8


ROOM = sys.modules["cvlib.doctor.examine"]  # the package's name is the function's


def told(root: Path, *wanted: str) -> list[tuple[str, str, set[str], str]]:
    """Kind, severity, files and message of the problems of some kinds."""
    return [
        (p.kind, p.severity, {x.relative_to(root).as_posix() for x in p.paths}, m)
        for p in examine(root).problems
        for m in [p.message.replace(str(root), "ROOT")]
        if p.kind in wanted
    ]


def test_copies_are_told_with_what_they_spoil(tmp_path: Path):
    root = photographs(tmp_path, 5)
    can, mug = root / "train/can", root / "train/mug"
    first, second, third, fourth, _ = sorted(can.iterdir())
    shutil.copyfile(first, root / "test/can/leak.jpg")
    shutil.copyfile(second, mug / "lie.jpg")
    shutil.copyfile(third, can / "again.jpg")
    Image.open(fourth).resize((130, 130)).save(can / "small.jpg")
    kinds = ("conflicting", "across-splits", "exact", "near")
    assert told(root, *(f"duplicate-{kind}" for kind in kinds)) == [
        (
            "duplicate-across-splits",
            "error",
            {f"train/can/{first.name}", "test/can/leak.jpg"},
            "2 files show the same bytes, in test and train",
        ),
        (
            "duplicate-conflicting",
            "error",
            {f"train/can/{second.name}", "train/mug/lie.jpg"},
            "2 files show the same bytes under different labels: can, mug",
        ),
        (
            "duplicate-exact",
            "warning",
            {f"train/can/{third.name}", "train/can/again.jpg"},
            "2 files show the same bytes",
        ),
        (
            "duplicate-near",
            "warning",
            {f"train/can/{fourth.name}", "train/can/small.jpg"},
            "2 files show the same picture",
        ),
    ]


def test_copies_that_spoil_two_things_are_told_twice(tmp_path: Path):
    root = photographs(tmp_path, 2)
    first = min((root / "train/can").iterdir())
    shutil.copyfile(first, root / "test/mug/both.jpg")
    found = [kind for kind, *_ in told(root, "duplicate-exact", *SPOILING)]
    assert found == sorted(SPOILING)


SPOILING = ("duplicate-conflicting", "duplicate-across-splits")


def test_copies_of_images_that_nothing_describes_are_copies(tmp_path: Path):
    for name in "ab":
        image_file(tmp_path / f"{name}.jpg")
    assert told(tmp_path, "duplicate-exact") == [
        (
            "duplicate-exact",
            "warning",
            {"a.jpg", "b.jpg"},
            "2 files show the same bytes",
        )
    ]


def test_several_tags_of_copies_are_all_named():
    samples = [
        Sample(Path(f"{name}.jpg"), SIZE, np.array(own))
        for name, own in (("a", [0, 1]), ("b", [0]))
    ]
    (problem,) = ROOM._told(
        "duplicate-exact", "2 files", [s.path for s in samples], samples, ("mug", "jar")
    )
    assert problem.message == "2 files under different labels: mug, mug jar"
    assert problem.paths == (Path("a.jpg"), Path("b.jpg"))


def test_what_is_not_read_is_told_by_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "set"
    for name in ("a/phone.HEIC", "a/.hidden.heic", ".hidden/phone.heic", "a/b/raw.nef"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "closed").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    said = "is in a format that Pillow or torchvision do not read everywhere; store it "
    link = "is a linked folder; links to folders are not followed"
    assert told(root, "not-read") == [
        ("not-read", "error", {"closed"}, "cannot be opened: Permission denied"),
        ("not-read", "warning", {"a/b/raw.nef"}, f"{said}as JPEG or PNG"),
        ("not-read", "warning", {"a/phone.HEIC"}, f"{said}as JPEG or PNG"),
        ("not-read", "warning", {"linked"}, link),
    ]


def test_what_is_no_set_is_told_by_its_cause(tmp_path: Path):
    ((_, severity, paths, said),) = told(tmp_path, "nothing-read")
    assert (severity, paths, said) == ("error", {"."}, "holds no image")
    ((_, severity, paths, said),) = told(tmp_path, "unrecognised")
    assert (severity, paths) == ("error", {"."})
    assert said.startswith("is read as images without annotations: ")
    assert "\n" not in said
    lonely = image_file(tmp_path / "a.jpg")
    with pytest.raises(DatasetError) as error:
        examine(lonely)
    assert str(error.value) == (
        f"{lonely} is one image; wanted a folder, an annotation file or the name of "
        "a data set"
    )


def test_a_bad_file_of_splits_is_an_error_and_the_rest_is_examined(tmp_path: Path):
    root = photographs(tmp_path, 2) / "train"
    (root / "splits.csv").write_text("path,split\na.jpg,holdout\n")
    report = examine(root)
    (problem,) = [p for p in report.problems if p.kind == "splits-unreadable"]
    assert problem.paths == (root / "splits.csv",)
    assert problem.severity == "error"
    assert "line 2: wanted a path and one of train, valid, test" in problem.message
    assert (report.format, report.images, report.objects) == ("classes", 4, 4)


def test_errors_come_first_and_each_fault_once():
    def one(kind: str, name: str, severity: str = "error", **more: object) -> Problem:
        return Problem(kind, (Path(name),), "said", severity, **more)

    first, last = one("b", "1.jpg"), one("a", "1.jpg", "warning")
    given = [last, one("b", "2.jpg"), first, one("c", "0.jpg"), last, first]
    assert ROOM._sorted(given) == (
        first,
        one("b", "2.jpg"),
        one("c", "0.jpg"),
        last,
    )
    other = replace(first, message="another")
    boxes = [one("b", "1.jpg", index=number) for number in (0, 1)]
    assert len(ROOM._sorted([first, other, *boxes, boxes[0]])) == 4


def test_a_message_that_is_not_utf8_can_be_printed():
    problem = Problem("a", (Path("a.jpg"),), os.fsdecode(b"caf\xe9"))
    (found,) = ROOM._sorted([problem])
    assert found.message == r"caf\udce9"


@pytest.mark.parametrize(
    ("asked", "cores", "wanted"), [(3, 8, 3), (None, 8, 8), (None, None, 1)]
)
def test_threads_are_one_a_core_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked, cores, wanted
):
    seen, look = [], ROOM.look_at_all

    def look_at_all(paths: list[Path], *, workers: int) -> object:
        seen.append(workers)
        return look(paths, workers=1)

    monkeypatch.setattr(ROOM, "look_at_all", look_at_all)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    examine(image_file(tmp_path / "a.jpg").parent, workers=asked)
    assert seen == [wanted]


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_a_bar_is_shown_where_it_is_asked_for_and_seen(
    tmp_path: Path, monkeypatch, capsys, progress, terminal, shown
):
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
    monkeypatch.setenv("COLUMNS", "80")
    image_file(tmp_path / "a.jpg")
    assert examine(tmp_path, progress=progress).images == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Looking" in err and "100%" in err) is shown
    assert shown or err == ""


def test_the_report_says_what_was_read_and_how_long_it_took(tmp_path: Path):
    report = examine(photographs(tmp_path, 2))
    assert (report.root, report.images, report.objects) == (tmp_path, 8, 8)
    assert report.found is not None and len(report.found) == 8
    assert 0 < report.seconds < 60


def test_a_file_that_cannot_be_decoded_is_named_once(tmp_path: Path):
    root = photographs(tmp_path, 3)
    first, second, _ = sorted((root / "train/can").iterdir())
    first.write_bytes(b"no image")
    Image.open(second).resize((20, 20)).save(second)
    assert told(root, "unreadable", "tiny") == [
        (
            "unreadable",
            "error",
            {f"train/can/{first.name}"},
            "is no image that can be read",
        ),
        (
            "tiny",
            "warning",
            {f"train/can/{second.name}"},
            "is 20 × 20 pixels, too small to show much",
        ),
    ]


def test_deep_judges_what_can_be_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = photographs(tmp_path, 2)
    broken = min((root / "train/can").iterdir())
    broken.write_bytes(b"no image")
    asked, suspect = [], Problem("label-suspect", (root,), "odd", "warning")

    def suspect_labels(found: ImageSet, unread: set[Path]) -> list[Problem]:
        asked.append((len(found), unread))
        return [suspect]

    monkeypatch.setattr(ROOM.labels, "suspect_labels", suspect_labels)
    assert suspect not in examine(root).problems
    assert suspect in examine(root, deep=True).problems
    assert asked == [(8, {broken})]


def test_copies_are_known_by_bytes_and_by_looks():
    """Facts alone, of a set that says nothing about them."""
    thumb = np.random.default_rng(0).integers(0, 200, (THUMB, THUMB)).astype(np.uint8)
    facts = [Facts(Path(n), digest=d, thumb=thumb) for n, d in ("ax", "bx", "cy")]
    assert list(ROOM._copies(facts, None)) == [
        Problem(f"duplicate-{kind}", paths, f"2 files show the same {what}", "warning")
        for kind, what, paths in (
            ("exact", "bytes", (Path("a"), Path("b"))),
            ("near", "picture", (Path("a"), Path("c"))),
        )
    ]
