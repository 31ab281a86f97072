"""A key changes with whatever may change a number, and with nothing else."""

import ast
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cvlib.book import keys
from cvlib.book.chapters import code_cells, find_chapters, get_chapter
from cvlib.book.imports import parse_cell
from cvlib.book.keys import (
    TRACKED_PACKAGES,
    TRACKED_VARIABLES,
    data_digest,
    device_of,
    names_data,
    reachable_sources,
    run_key,
    tracked_versions,
)
from cvlib.book.runs import make_job
from cvlib.datasets import registry
from tests.small_book import PAGE, edit, job_of, with_code, write_book

# What cvlib and the chapters import, and no number depends on.
DRAWS_OR_MOVES = {
    "IPython",  # displays a record
    "cycler",  # colours of lines
    "defusedxml",  # reads text, as the next but one does
    "filelock",
    "httpx",  # brings bytes that are checked by their sha256
    "huggingface_hub",  # brings weights that are named by their revision
    "jinja2",
    "matplotlib",
    "pyyaml",
    "rich",
    "platformdirs",
    "typer",
}


@pytest.fixture(autouse=True)
def fresh_versions() -> Iterator[None]:
    """Versions are looked up once a process; here they change."""
    tracked_versions.cache_clear()
    yield
    tracked_versions.cache_clear()


@pytest.fixture
def data_book(book: Path) -> Path:
    """A book whose first chapter takes a data set."""
    edit(book / PAGE, 'name = "x"', 'data = "pantry/shelves"')
    return book


def test_a_prose_edit_keeps_the_key(book: Path):
    before = job_of(book).key
    edit(book / PAGE, "It measured", "On this page it measured")
    assert job_of(book).key == before


def test_two_clones_of_one_book_have_the_same_keys(book: Path, tmp_path: Path):
    assert job_of(write_book(tmp_path / "clone")).key == job_of(book).key


def test_a_code_edit_changes_the_key_of_that_chapter_only(book: Path):
    before, other = job_of(book).key, get_chapter(book, "part/two")
    key = run_key(other, other.declared)
    assert with_code(book, "x = 1").key != before
    assert run_key(get_chapter(book, "part/two"), other.declared) == key


def test_a_tag_or_a_parameter_changes_the_key(book: Path):
    plain = job_of(book).key
    assert job_of(book, seed=1).key != plain
    edit(book / PAGE, "ipython3\nimport os", "ipython3\n:tags: [hide-input]\nimport os")
    assert job_of(book).key != plain


@pytest.mark.parametrize("package", TRACKED_PACKAGES)
def test_another_version_of_a_package_changes_the_key(
    package: str, book: Path, monkeypatch: pytest.MonkeyPatch
):
    before, true_version = job_of(book).key, importlib.metadata.version
    tracked_versions.cache_clear()

    def version(name: str) -> str:
        return "9.9" if name == package else true_version(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert job_of(book).key != before


def test_another_python_changes_the_key(book: Path, monkeypatch):
    before = job_of(book).key
    tracked_versions.cache_clear()
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    assert job_of(book).key != before


def test_every_package_that_is_imported_is_tracked_or_changes_no_number(root: Path):
    package = root / "cvlib"
    outside = {package / "book", package / "pantry"}  # show runs, render what ships
    files = [p for p in package.rglob("*.py") if not outside & {*p.parents}]
    sources = [path.read_text("utf8") for path in files]
    for chapter in find_chapters(root).values():
        sources += [cell.source for cell in code_cells(chapter.notebook)]
    names = {name for source in sources for name in imported(source)}
    known = importlib.metadata.packages_distributions()
    ours = {*sys.stdlib_module_names, "cvlib"}
    found = {d.lower() for n in names - ours for d in known.get(n, [n])}
    free = {name.lower() for name in DRAWS_OR_MOVES}
    assert found - {*TRACKED_PACKAGES} - free == set()


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(parse_cell(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_the_device_changes_the_key(book: Path, monkeypatch):
    before = job_of(book).key
    monkeypatch.setenv("CVLIB_DEVICE", "cpu")
    assert job_of(book).key == before, "the profile runs there by itself"
    monkeypatch.setenv("CVLIB_DEVICE", "cuda")
    assert job_of(book).key != before


def test_the_profile_for_gpus_has_another_device_unless_one_is_named(book, monkeypatch):
    chapter = get_chapter(book, "part/one")
    photos, gpu = (make_job(book, chapter, p) for p in ("photos", "gpu"))
    assert photos.parameters == gpu.parameters and photos.key != gpu.key
    monkeypatch.setenv("CVLIB_DEVICE", "cpu")
    assert make_job(book, chapter, "gpu").key == photos.key


@pytest.mark.parametrize("variable", TRACKED_VARIABLES)
def test_a_variable_that_changes_how_libraries_compute_changes_the_key(
    variable: str, book: Path, monkeypatch
):
    before = job_of(book).key
    monkeypatch.setenv(variable, "1")
    assert job_of(book).key != before


def test_a_registered_set_with_one_other_file_changes_the_key(data_book, monkeypatch):
    before = job_of(data_book).key
    manifest = registry.read_manifest("pantry/shelves")
    manifest[next(iter(manifest))] = "0" * 64
    monkeypatch.setattr(registry, "read_manifest", lambda name: manifest)
    assert job_of(data_book).key != before


@pytest.mark.parametrize("parameter", ["data", "train_data"])
def test_a_file_added_to_the_readers_folder_changes_the_key(
    parameter: str, book: Path, tmp_path: Path
):
    edit(book / PAGE, 'name = "x"', f'{parameter} = "pantry/shelves"')
    folder = tmp_path / "mine"
    folder.mkdir()
    before = job_of(book, **{parameter: str(folder)}).key
    (folder / "a.jpg").write_bytes(b"1")
    assert job_of(book, **{parameter: str(folder)}).key != before


def test_a_file_written_again_or_renamed_in_the_folder_is_another_data_set(tmp_path):
    image = tmp_path / "mine" / "a.jpg"
    image.parent.mkdir()
    image.write_bytes(b"1")
    digests = [data_digest(str(image.parent))]
    os.utime(image, ns=(1, 1))
    digests.append(data_digest(str(image.parent)))
    image.write_bytes(b"12")
    os.utime(image, ns=(1, 1))
    digests.append(data_digest(str(image.parent)))
    image.rename(image.with_name("b.jpg"))
    digests.append(data_digest(str(image.parent)))
    assert len(set(digests)) == 4


def test_an_annotation_file_counts_by_its_content(tmp_path: Path):
    file = tmp_path / "labels.json"
    file.write_text("[1]")
    before = data_digest(str(file))
    file.write_text("[2]")
    os.utime(file, ns=(1, 1))
    assert data_digest(str(file)) != before


def test_a_registered_name_wins_over_a_folder_that_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_of_the_name = data_digest("clothing")
    Path("clothing").mkdir()
    assert data_digest("clothing") == set_of_the_name != data_digest("./clothing")


def test_a_file_of_another_size_is_read_again_though_its_time_is_the_same(tmp_path):
    file, digests = tmp_path / "labels.json", []
    for text in ("[1]", "[12]"):
        file.write_text(text)
        os.utime(file, ns=(1, 1))
        digests.append(data_digest(str(file)))
    assert digests[0] == hashlib.sha256(b"[1]").hexdigest()
    assert digests[1] == hashlib.sha256(b"[12]").hexdigest()


@pytest.mark.parametrize(
    ("parameter", "value", "wanted"),
    [
        ("data", "clothing", True),
        ("train_data", "clothing", True),
        ("data", "", False),
        ("data", 3, False),
        ("database", "clothing", False),
        ("name", "clothing", False),
    ],
)
def test_a_data_set_is_a_text_in_a_parameter_called_data(parameter, value, wanted):
    assert names_data(parameter, value) is wanted


def test_what_the_reader_asks_for_goes_before_what_a_profile_is_for(monkeypatch):
    assert [device_of(p) for p in ("gpu", "photos", "")] == ["cuda", "cpu", "cpu"]
    monkeypatch.setenv("CVLIB_DEVICE", " cuda:1 ")
    assert device_of("photos") == device_of("gpu") == "cuda:1"


def test_the_text_behind_a_key_stays_as_it_was(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another spelling would make another key, and all stored runs useless."""
    chapter, source = get_chapter(book, "part/one"), tmp_path / "a.py"
    source.write_text("x")
    monkeypatch.setattr(keys, "reachable_sources", lambda chapter: {"cvlib": source})
    monkeypatch.setattr(keys, "tracked_versions", lambda: {"python": "3.11.2"})
    monkeypatch.setattr(keys, "TRACKED_VARIABLES", ("UNHEARD_OF", "HEARD_OF"))
    monkeypatch.setattr(keys, "data_digest", lambda data: f"digest of {data}")
    monkeypatch.setenv("HEARD_OF", "1")
    cells = [
        r'["epochs = 3  # passes over the images\nseed = 0\nrate = 0.1\nname = \"x\"", '
        r'["parameters"]]',
        r'["import os\nimport cvlib", []]',
        r'["cvlib.record(accuracy=epochs / 4 + seed / 100)", []]',
    ]
    parts = [
        f'"cells": [{", ".join(cells)}]',
        '"data": {"data": "digest of mine"}',
        '"device": "cpu"',
        '"parameters": {"data": "mine", "seed": 1}',
        f'"sources": {{"cvlib": "{hashlib.sha256(b"x").hexdigest()}"}}',
        '"variables": {"HEARD_OF": "1", "UNHEARD_OF": ""}',
        '"versions": {"python": "3.11.2"}',
    ]
    text = "{" + ", ".join(parts) + "}"
    wanted = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert run_key(chapter, {"seed": 1, "data": "mine"}) == wanted
    assert run_key(chapter, {"data": "mine", "seed": 1}, device="cpu") == wanted


def test_a_chapter_reaches_modules_the_faces_on_the_way_and_what_they_import(book):
    code = "from cvlib.classification import evaluate"
    found = reachable_sources(with_code(book, code).chapter)
    package = Path(keys.__file__).parents[1]
    wanted = {
        "cvlib": "__init__.py",
        "cvlib/py.typed": "py.typed",
        "cvlib.classification": "classification/__init__.py",
        "cvlib.classification.evaluate": "classification/evaluate.py",
        "cvlib.intervals": "intervals.py",  # by evaluate
        "cvlib.images": "images.py",  # by evaluate
    }
    assert {m: found[m] for m in wanted} == {m: package / p for m, p in wanted.items()}
    assert not {"cvlib.search", "cvlib.datasets"} & found.keys()
    sources = [m for m, path in found.items() if path.suffix == ".py"]
    assert not any("/" in m for m in sources), "each source stands there once"


def test_the_engine_is_no_source_even_where_a_cell_imports_it(book: Path):
    plain = reachable_sources(job_of(book).chapter)
    code = "import cvlib.cli\nimport cvlib.book.runs\nimport cvlib.book"
    found = reachable_sources(with_code(book, code).chapter)
    assert not [m for m in found if m.startswith(("cvlib.book", "cvlib.cli"))]
    assert plain.items() <= found.items()


def test_the_scripts_of_explorers_count_as_sources(book: Path):
    assert not any(".js" in name for name in reachable_sources(job_of(book).chapter))
    explorers = "from cvlib.explorers.results import results_explorer"
    found = reachable_sources(with_code(book, explorers).chapter)
    assert "cvlib.explorers/results.js" in found


# Edits one after another: file, text to append, whether the key must change.
EDITS = {
    "engine": ("book/runs.py", "# x", False),
    "command": ("cli.py", "# x", False),
    "out of reach": ("datasets/download.py", "# x", False),
    "module": ("classification/evaluate.py", "# x", True),
    "face": ("classification/__init__.py", "# x", True),
    "root face": ("__init__.py", "# x", True),
    "style": ("classification/new.css", "x", True),
    "template": ("classification/new.html.jinja", "x", True),
    "new import": ("classification/evaluate.py", "import cvlib.bookshelf", True),
    "module whose name starts as the engine's": ("bookshelf.py", "# x", True),
    "import within": ("bookshelf.py", "from cvlib.shelf.top import __doc__", True),
    "face on the way to a module": ("shelf/__init__.py", "# x", True),
}
KEYS = """
import json, sys
from pathlib import Path
from cvlib.book import keys
from cvlib.book.chapters import get_chapter
import cvlib
package, book, edits = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
assert Path(cvlib.__file__).is_relative_to(package), cvlib.__file__
chapter = get_chapter(book, "part/one")
seen = [keys.run_key(chapter, chapter.declared)]
for name, text in edits:
    with (package / "cvlib" / name).open("a") as file:
        file.write("\\n" + text + "\\n")
    keys.import_graph.cache_clear()
    seen.append(keys.run_key(chapter, chapter.declared))
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def keys_after(root: Path, tmp_path_factory) -> dict[str, tuple[str, str]]:
    """Edit → the key before it and after it, in a copy of the package."""
    folder = tmp_path_factory.mktemp("copy")
    book = write_book(folder / "book")
    edit(book / PAGE, "import cvlib\n", "from cvlib.classification import evaluate\n")
    leave_out = shutil.ignore_patterns("*.jpg", "*.png", "__pycache__")
    shutil.copytree(root / "cvlib", folder / "cvlib", ignore=leave_out)
    (folder / "cvlib" / "shelf").mkdir()
    for name in ("bookshelf.py", "shelf/__init__.py", "shelf/top.py"):
        (folder / "cvlib" / name).touch()
    edits = json.dumps([edit[:2] for edit in EDITS.values()])
    done = subprocess.run(
        [sys.executable, "-P", "-c", KEYS, str(folder), str(book), edits],
        cwd=root,  # where `make mutate` finds its settings; -P keeps it off the path
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    return dict(zip(EDITS, pairwise(seen), strict=True))


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_in_cvlib_changes_the_keys_of_the_chapters_that_can_reach_it(
    name: str, keys_after: dict[str, tuple[str, str]]
):
    before, after = keys_after[name]
    assert (before != after) is EDITS[name][2]
