"""The datasets the book knows: what each is, where it lives, what each file must be.

A dataset is one entry in `DATASETS` and one manifest in ``manifests/``: a text file
with a line ``sha256<TAB>path`` for every file. To add one, write the entry, run
`write_manifest` on a copy you have checked, and commit both.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cvlib.files import write_text

PACKAGE = Path(__file__).parent
MANIFESTS = PACKAGE / "manifests"
CHECKSUM = re.compile("[0-9a-f]{64}")


class DatasetError(Exception):
    """What `cvlib.datasets` raises; `cvlib.datasets.download` draws the whole tree."""

    hint = ""


class UnknownDatasetError(DatasetError):
    """Neither a registered name nor a folder that exists."""


class ManifestError(DatasetError):
    """A manifest is absent, or one of its lines cannot be trusted."""


@dataclass(frozen=True)
class Shipped:
    """Files inside the package, in a folder relative to ``cvlib/datasets``."""

    folder: str


@dataclass(frozen=True)
class Remote:
    """Files behind addresses that never change, one by one or all in an archive.

    home: the page where a person finds the files.
    files: the address of one file; ``{path}`` stands for its path in the manifest.
    archive: a tar.gz with everything below one top folder; None without one.
    prefix: what precedes a manifest's path inside the archive, as ``data/``.
    archive_first: which way is tried first; the other is the way out when it fails.
    """

    home: str
    files: str
    archive: str | None = None
    prefix: str = ""
    archive_first: bool = True


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry; `licence` is an SPDX name, `size` is in bytes.

    group_by: what says which images belong together, as in `cvlib.datasets.load`; ""
        where the annotations do, or each image is alone.
    part_of: the data set that this is a part of; a mirror holds both in one folder.
    class_names: the classes, where the set's files have no good names for them.
    keypoint_names: the same of its keypoints.
    known_faults: kinds of `Problem` that the set is known to have; `load` leaves such
        objects out.
    """

    name: str
    description: str
    licence: str
    source: Shipped | Remote
    size: int | None = None
    group_by: str = ""
    part_of: str = ""
    class_names: tuple[str, ...] = ()
    keypoint_names: tuple[str, ...] = ()
    known_faults: tuple[str, ...] = ()

    @property
    def mirrored_as(self) -> str:
        """The folder of a mirror that holds it."""
        return self.part_of or self.name


def github(
    repository: str, commit: str, *, prefix: str = "", archive_first: bool = True
) -> Remote:
    """A GitHub repository, ``owner/name``, at one commit.

    prefix: the folder there that holds the manifest's paths, as ``BCCD/``.
    archive_first: one request for the whole commit suits many small files, whose
        single requests would meet the host's rate limit; False suits few files out
        of a large repository.
    """
    raw = f"https://raw.githubusercontent.com/{repository}/{commit}"
    return Remote(
        home=f"https://github.com/{repository}/tree/{commit}/{prefix}",
        files=f"{raw}/{prefix}{{path}}",
        archive=f"https://codeload.github.com/{repository}/tar.gz/{commit}",
        prefix=prefix,
        archive_first=archive_first,
    )


# Of these a part is registered too.
GROCERY = github(
    "marcusklasson/GroceryStoreDataset",
    "fc80ba90f803d79d0383df52c5a4ac5de99ff6fc",
    prefix="dataset/",
)
CARDS = github(
    "EdjeElectronics/TensorFlow-Object-Detection-API-Tutorial-Train-Multiple-Objects-"
    "Windows-10",
    "c1645825822622fc75919b6be253779d49678f55",
    prefix="images/",
)
TUBES = github(
    "alexppppp/keypoint_rcnn_training_pytorch",
    "b860c15b960ca9bf82c387b70e6673eaef92acf3",
    prefix="glue_tubes_keypoints_dataset_134imgs/",
)
PEARS = github(
    "ai-agriculture-circuits-and-systems/Pear640",
    "77af95b817427b4be627c6304bd00705cb929367",
    prefix="data/",
)
PIPED = github(
    "bianconif/PIPED",
    "3d89e1f3f0d7b31f34d523cd7c73e3fb00dee567",
    prefix="data/",
)
EACH = r"(.+)"  # is alone: names start again in each list
CROPS = r"([^/]+)_\d+$"  # of one photograph
SHEETS = r"([^/]+)_\d+(?:wo)?$"  # of paper

_ENTRIES = (
    Dataset(
        name="pantry/products",
        description="Rendered photographs of groceries and crockery, one product an "
        "image, split by product; with look-alikes and empty scenes as negatives.",
        licence="CC0-1.0",
        source=Shipped("shipped/pantry/products"),
        group_by="product",  # a column of its products.csv
    ),
    Dataset(
        name="pantry/shelves",
        description="380 rendered photographs of 3 to 12 groceries on shelves and "
        "tables, split by scene and by product, with boxes, masks and keypoints in "
        "COCO JSON; and 80 scenes of look-alikes.",
        licence="CC0-1.0",
        source=Shipped("shipped/pantry/shelves"),
    ),
    Dataset(
        name="clothing",
        description="1,713 photographs of clothing in 10 classes; at most 100 a class "
        "to train on, 341 to validate, 372 to test.",
        licence="CC0-1.0",
        source=github(
            "alexeygrigorev/clothing-dataset-small",
            "11961516512414bf9f6c150a832cfd21b54a6b54",
        ),
        size=47_291_940,
    ),
    Dataset(
        name="raccoon",
        description="200 photographs with 217 boxes of raccoons, in Pascal VOC XML; "
        "no split is given.",
        licence="MIT",
        source=github(
            "datitran/raccoon_dataset",
            "93938849301895fb73909842ba04af9b602f677a",
        ),
        size=13_432_041,
    ),
    Dataset(
        name="bccd",
        description="364 microscope images of blood with 4,888 boxes of three kinds of "
        "cell, in Pascal VOC XML, with a split.",
        licence="MIT",
        source=github(
            "Shenggan/BCCD_Dataset",
            "d272fb14cdff6e473fafeeeba32aba5f560e9e43",
            prefix="BCCD/",
        ),
        size=8_800_938,
    ),
    Dataset(
        name="grocery",
        description="5,421 photographs of groceries in shops, taken by hand with a "
        "phone: 81 products in 43 families, in three lists; with a studio picture and "
        "a description of each product (Klasson et al., 2019). No groups are given.",
        licence="MIT",
        source=GROCERY,
        group_by=EACH,
    ),
    Dataset(
        name="grocery/packages",
        description="The 31 packages of grocery: 864 photographs to train on, 100 to "
        "validate, 781 to test, and the studio pictures.",
        licence="MIT",
        source=GROCERY,
        size=39_326_611,
        group_by=EACH,
        part_of="grocery",
        known_faults=("class-absent",),
    ),
    Dataset(
        name="boards",
        description="149 photographs with 177 boxes of four microcontroller boards, in "
        "Pascal VOC XML: 142 to train on, 7 to test; those of one minute are a group.",
        licence="MIT",
        source=github(
            "TannerGilbert/Tensorflow-Object-Detection-API-Train-Model",
            "7388c4dab7fae2b9fe147f37cbbc691b986c2c5d",
            prefix="images/",
        ),
        size=8_826_861,
        group_by=r"(IMG_\d{8}_\d{4})",
    ),
    Dataset(
        name="cards",
        description="363 photographs of playing cards of six ranks on household "
        "backgrounds, in Pascal VOC XML: 296 to train on, 67 to test.",
        licence="Apache-2.0",
        source=CARDS,
    ),
    Dataset(
        name="cards/test",
        description="The test images of cards: 67 photographs, 143 boxes.",
        licence="Apache-2.0",
        source=replace(CARDS, archive_first=False),
        size=6_957_189,
        part_of="cards",
    ),
    Dataset(
        name="tubes",
        description="134 photographs of glue tubes with boxes and two keypoints, head "
        "and tail, in JSON: 111 to train on, 23 to test.",
        licence="MIT",
        source=TUBES,
        class_names=("tube",),
        keypoint_names=("head", "tail"),
    ),
    Dataset(
        name="tubes/few",
        description="Part of tubes: the first 24 photographs to train on, all 23 to "
        "test; 89 tubes.",
        licence="MIT",
        source=replace(TUBES, archive_first=False),
        size=12_114_587,
        part_of="tubes",
        class_names=("tube",),
        keypoint_names=("head", "tail"),
    ),
    Dataset(
        name="pears",
        description="712 crops of 59 orchard photographs, with boxes of pears in COCO "
        "JSON, one an image (Kodors et al., 2023); the crops of one photograph are a "
        "group.",
        licence="CC-BY-4.0",
        source=PEARS,
        group_by=CROPS,
        class_names=("pear",),
        known_faults=("box-degenerate",),
    ),
    Dataset(
        name="pears/few",
        description="Part of pears: 83 crops of the first 8 photographs, 669 boxes.",
        licence="CC-BY-4.0",
        source=replace(PEARS, archive_first=False),
        size=6_106_864,
        group_by=CROPS,
        part_of="pears",
        class_names=("pear",),
        known_faults=("box-degenerate",),
    ),
    Dataset(
        name="piped",
        description="1,192 pictures of 128 × 128 pixels of 13 papers, 576 of them "
        "with impurities and a mask (F. Bianconi and others); the pictures of one "
        "sheet are a group.",
        licence="CC-BY-4.0",
        source=PIPED,
        group_by=SHEETS,
    ),
    Dataset(
        name="piped/few",
        description="Part of piped: two papers, 96 pictures without impurities and 96 "
        "with 259 in all.",
        licence="CC-BY-4.0",
        source=replace(PIPED, archive_first=False),
        size=9_663_168,
        group_by=SHEETS,
        part_of="piped",
    ),
)
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ENTRIES}


def get_dataset(name: str) -> Dataset:
    """The registered dataset of this name.

    Raises UnknownDatasetError, which lists the known names and the closest one.
    """
    if name in DATASETS:
        return DATASETS[name]
    from difflib import get_close_matches

    close = get_close_matches(name, DATASETS, n=1, cutoff=0.5)
    question = f", did you mean {close[0]!r}?" if close else ";"
    raise UnknownDatasetError(
        f"no dataset or folder {name!r}{question} known datasets: "
        f"{', '.join(sorted(DATASETS))}; for your own data give a folder that exists"
    )


def manifest_digest(name: str) -> str:
    """The sha256 of a dataset's manifest, the same on every platform.

    It changes when any file, its name or its bytes, does; a run's key contains it.
    Raises UnknownDatasetError, and ManifestError when the manifest is missing or bad.
    """
    return digest(read_manifest(name))


def digest(manifest: dict[str, str]) -> str:
    """The sha256 over a manifest's canonical text."""
    return hashlib.sha256(format_manifest(manifest).encode()).hexdigest()


def read_manifest(name: str) -> dict[str, str]:
    """Path to sha256 of every file of a registered dataset."""
    get_dataset(name)
    file = MANIFESTS / f"{name.replace('/', '-')}.sha256.tsv"
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{name}: wanted a manifest at {file}, got {error}; "
            "make one with cvlib.datasets.write_manifest"
        ) from error
    return parse_manifest(text, name=file.name)


def parse_manifest(text: str, *, name: str = "manifest") -> dict[str, str]:
    """Path to sha256 from a manifest's text; inverse of `format_manifest`.

    Raises ManifestError, which names the line, for a checksum that is not 64 lower
    case hexadecimal digits, a path that could leave the dataset's folder or that not
    every file system can hold, and a path given twice (letter case aside).
    """
    manifest: dict[str, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            checksum, path = _parse_line(line)
            if path.casefold() in seen:
                raise ValueError(f"wanted each path once, got {path!r} again")
        except ValueError as error:
            raise ManifestError(f"{name}, line {number}: {error}") from None
        seen.add(path.casefold())
        manifest[path] = checksum
    return manifest


def format_manifest(manifest: dict[str, str]) -> str:
    """The text of a manifest, sorted by path; inverse of `parse_manifest`."""
    return "".join(f"{manifest[path]}\t{path}\n" for path in sorted(manifest))


def write_manifest(folder: str | Path, path: str | Path) -> dict[str, str]:
    """Write the manifest of every file below `folder` to `path`, and return it.

    For maintainers. Hidden files are left out. Raises ManifestError for a folder
    without files or with a name that a manifest cannot hold.
    """
    folder = Path(folder)
    manifest = {file: sha256(folder / file) for file in list_files(folder)}
    text = format_manifest(manifest)
    parse_manifest(text, name=str(folder))
    write_text(path, text)
    return manifest


def list_files(folder: Path) -> Iterator[str]:
    """Relative paths, with forward slashes, of the files below `folder`.

    Names that start with a dot are passed over: .git and .DS_Store are not data. So are
    pipes and devices, which would never end.
    """
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        start = Path(parent).relative_to(folder).as_posix()
        for name in sorted(files):
            path = Path(parent, name)
            if name[0] != "." and (path.is_file() or path.is_symlink()):
                yield name if start == "." else f"{start}/{name}"


def sha256(file: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _parse_line(line: str) -> tuple[str, str]:
    checksum, tab, path = line.partition("\t")
    if not tab or not CHECKSUM.fullmatch(checksum):
        raise ValueError(f"wanted 'sha256<TAB>path', got {line[:100]!r}")
    # A dot at the start would hide a file or, as "..", leave the folder; a backslash
    # or a colon would do so on Windows.
    safe = all(part and part[0] != "." for part in path.split("/"))
    if not safe or not path.isprintable() or set(path) & set("\\:"):
        raise ValueError(f"wanted a plain relative path, got {path!r}")
    return checksum, path
