"""What an installation holds, and what it needs: declared, small, and enough alone."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from myst_nb.core.read import read_myst_markdown_notebook
from packaging.requirements import Requirement
from PIL import Image

from cvlib.book.chapters import cell_tags, code_cells, get_chapter
from cvlib.book.imports import parse_cell

# One wheel, not one a worker.
pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.slow]

# Which extra a place may import from; the longest start of its path decides.
EXTRAS = {
    "cvlib/": "",
    "cvlib/training.py": "train",
    "cvlib/classification/train.py": "train",
    "cvlib/similarity/train.py": "train",
    "cvlib/search/approximate.py": "search",
    "cvlib/doctor/labels.py": "doctor",
    "cvlib/pantry/": "render",
    "cvlib/book/": "book",
    "book/": "book",
    "tests/": "test",
}
TRAINED = ("classification.train", "similarity.train")
Core = Callable[..., subprocess.CompletedProcess[str]]
# A record is displayed where a kernel runs, and there it is.
GUARDED = {("cvlib/recording.py", "IPython")}


def declared(root: Path) -> dict[str, set[str]]:
    """Extra → the distributions it and the core ask for; "" is the core alone."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}

    def closure(group: str) -> set[str]:
        found: set[str] = set()
        for line in groups[group]:
            name, extras = re.match(r"([\w.-]+)(?:\[(.*?)\])?", line).groups()
            if name == project["name"]:
                found |= {d for e in extras.split(",") for d in closure(e.strip())}
            else:
                found.add(canonical(name))
        return found

    return {group: closure(group) | closure("") for group in groups}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> Iterator[str]:
    """The top-level names of what a file imports, also inside functions."""
    text = path.read_text("utf8")
    page = path.suffix == ".md"
    cells = code_cells(read_myst_markdown_notebook(text)) if page else []
    sources = [cell.source for cell in cells] if page else [text]
    for node in (n for source in sources for n in ast.walk(parse_cell(source))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("place", ["cvlib", "book", "tests"])
def test_every_import_is_declared(place: str, root: Path):
    """What another package happens to bring may be gone with its next version."""
    known, allowed = importlib.metadata.packages_distributions(), declared(root)
    ours = {"cvlib", "tests", *sys.stdlib_module_names}
    undeclared = set()
    for path in sorted([*(root / place).rglob("*.py"), *(root / place).rglob("*.md")]):
        inside = path.relative_to(root).as_posix()
        extra = EXTRAS[max((e for e in EXTRAS if inside.startswith(e)), key=len)]
        for name in set(imported(path)) - ours:
            sources = {canonical(d) for d in known.get(name, [name])}
            if not sources & allowed[extra] and (inside, name) not in GUARDED:
                undeclared.add((inside, name, extra or "core"))
    assert not undeclared


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building leaves folders beside the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "cvlib", source / "cvlib", ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", *alone, "-w", str(out), "."]
    subprocess.run(command, cwd=source, check=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_package_and_no_workshop(wheel: Path, root: Path):
    held = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "cvlib"], cwd=root, capture_output=True, text=True
    )
    tracked = set(listed.stdout.splitlines())
    workshop = {name for name in tracked if name.startswith("cvlib/pantry/")}
    assert tracked - held == workshop
    assert {"cvlib/py.typed", "cvlib/explorers/explorer.js"} < held
    assert {"cvlib/doctor/report.html.jinja"} < held
    assert any(name.startswith("cvlib/datasets/manifests/") for name in held)
    assert {name for name in held - tracked if ".dist-info/" not in name} == set()


def test_the_wheel_is_small_enough_to_install_for_a_look(wheel: Path):
    files = zipfile.ZipFile(wheel).infolist()

    def size(part: str) -> int:
        return sum(file.compress_size for file in files if part in file.filename)

    images, manifests = size("/shipped/"), size("/manifests/")
    weights = size(".safetensors")
    assert images < 20e6, "the rendered images"
    assert weights < 8e6, "the detector"
    assert manifests < 1e6, "a checksum is 32 bytes that nothing compresses"
    assert size("") - images - manifests - weights < 0.4e6, "code and templates"


def closure(requirements: set[str]) -> set[str]:
    """The distributions that an installation of these brings, on this machine."""
    found: set[str] = set()
    waiting = [(name, "") for name in requirements]
    while waiting:
        name, extra = waiting.pop()
        if name in found and not extra:
            continue
        found.add(name)
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for need in map(Requirement, lines):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                waiting += [(canonical(need.name), e) for e in need.extras]
                waiting += [(canonical(need.name), "")]
    return found


# Run first in a fresh interpreter: what the core does not bring is not there.
BLOCKER = """
import sys

class Blind:
    "A finder that does not see what is blocked."

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        seen = name.partition(".")[0] not in {blocked!r}
        return self.finder.find_spec(name, path, target) if seen else None

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Blind, sys.meta_path)
import cvlib
assert cvlib.__file__.startswith({package!r}), cvlib.__file__
"""


@pytest.fixture(scope="module")
def core(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Core:
    """Runs code with the wheel and the core's packages, and no others."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    brought = closure(declared(root)[""])
    blocked = {
        name
        for name, sources in importlib.metadata.packages_distributions().items()
        if not {canonical(s) for s in sources} & brought and name != "cvlib"
    }
    assert {"fastai", "faiss", "cleanlab", "nbformat", "IPython"} <= blocked
    assert not {"torch", "timm", "huggingface_hub"} & blocked
    start = BLOCKER.format(blocked=blocked, package=str(folder))

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", start + code, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
        )

    return run


EVERY_MODULE = """
import importlib, pkgutil
for module in pkgutil.walk_packages(cvlib.__path__, "cvlib."):
    if not module.name.startswith("cvlib.book."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print(module.name, "·", error)
"""


def test_each_module_of_the_core_opens_or_names_its_extra(core: Core):
    done = core(EVERY_MODULE)
    assert done.returncode == 0, done.stderr
    refused = dict(line.split(" · ") for line in done.stdout.splitlines())
    for module, said in refused.items():
        assert "pip install 'cvlib-book[train]'" in said, module
    assert refused.keys() <= {f"cvlib.{m}" for m in ("training", *TRAINED)}


COMMAND = "from cvlib.cli import main; sys.argv[0] = 'cvlib'; main()"


def test_the_doctor_works_in_a_core_install(core: Core, tmp_path: Path):
    for number in range(4):
        folder = tmp_path / "data" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        color = (60 * number, 200, 90)
        Image.new("RGB", (64, 48), color).save(folder / f"{number}.jpg")
    done = core(COMMAND, "doctor", str(tmp_path / "data"))
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    assert "4 images" in done.stdout
    deep = core(COMMAND, "doctor", "--deep", str(tmp_path / "data"))
    assert deep.returncode == 2 and "cvlib-book[doctor]" in deep.stderr


@pytest.mark.parametrize("arguments", [["book", "list"], ["book", "--help"]])
def test_the_books_commands_say_which_extra_they_need(core: Core, arguments: list[str]):
    done = core(COMMAND, *arguments)
    assert done.returncode == 1 and "pip install 'cvlib-book[book]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_itself_helps_without_extras(core: Core):
    done = core(COMMAND, "--help")
    assert done.returncode == 0 and "doctor" in done.stdout


def test_snippets_of_the_book_run_in_a_core_install(core: Core, root: Path):
    snippets = []
    for page in ("classification/predict", "similarity/search", "similarity/evaluate"):
        cells = code_cells(get_chapter(root, page).notebook)
        snippets += [cell.source for cell in cells if "snippet" in cell_tags(cell)]
    done = core(f"for snippet in {snippets!r}: exec(snippet, {{}})")
    assert len(snippets) == 3 and done.returncode == 0, done.stderr
