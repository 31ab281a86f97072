"""The rules of the package's layout: rooms, directions, sizes, weights."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp
import hypothesis
import pytest

GRAPH = grimp.build_graph("cvlib", cache_dir=None)
PARTS = {m.split(".")[1] for m in GRAPH.modules if m.count(".") == 1}
SCENARIOS = PARTS & {
    "classification",
    "similarity",
    "detection",
    "segmentation",
    "deployment",
}
SLICE = ("data", "model", "train", "evaluate", "plot")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
NOUNS = PARTS - SCENARIOS - {"book", "cli"}

# What the client fixed, and what the ecosystem expects at a root.
ROOT_ENTRIES = {"book", "cvlib", "tests", "_config.yml", "_toc.yml", "pyproject.toml"}
ROOT_ENTRIES |= {"README.md", ".github", "Makefile", "LICENSE", "CITATION.cff"}
ROOT_ENTRIES |= {"constraints.txt", ".ci", ".gitignore", ".pre-commit-config.yaml"}


def importers_of(part: str) -> set[str]:
    """The parts of cvlib from which `part` is imported."""
    inside = {f"cvlib.{part}", *GRAPH.find_descendants(f"cvlib.{part}")}
    found = {m for x in inside for m in GRAPH.find_modules_that_directly_import(x)}
    return {m.split(".")[1] for m in found - inside if m != "cvlib"}


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_nothing_but_the_engine_imports_a_scenario(scenario: str):
    assert importers_of(scenario) <= {"book", "cli"}


def test_only_the_command_imports_the_engine():
    assert importers_of("book") <= {"cli"}


def test_shared_modules_are_nouns():
    assert not PARTS & {"utils", "misc", "common", "helpers", "tools", "core"}


@pytest.mark.parametrize("scenario", sorted(SCENARIOS - {"deployment"}))
def test_a_scenario_has_its_five_files_or_says_why_not(scenario: str, root: Path):
    folder = root / "cvlib" / scenario
    said = (folder / "__init__.py").read_text("utf8")
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert files <= set(SLICE)
    assert all(name in files or name in said for name in SLICE)


def test_tests_mirror_the_package(root: Path):
    pantry = root / "cvlib" / "pantry"
    modules = [p for p in (root / "cvlib").rglob("[!_]*.py") if pantry not in p.parents]
    # The display of progress is seen, not asserted.
    unseen = {"book/progress.py"}
    unseen |= {"masks.py", "figures.py", "embeddings.py"}
    unseen |= {"book/keys.py", "book/execute.py", "book/machine.py"}
    unseen |= {"search/exact.py", "search/approximate.py"}
    unseen |= {"datasets/sources.py", "datasets/tables.py", "datasets/split_names.py"}
    unseen |= {f"datasets/formats/yolo/{n}.py" for n in ("layout", "lines", "outline")}
    unseen |= {"datasets/formats/names.py", "cli.py"}
    for path in modules:
        inside = path.relative_to(root / "cvlib")
        mirror = root / "tests" / inside.parent / f"test_{inside.name}"
        assert mirror.is_file() or str(inside) in unseen, f"{inside} has no {mirror}"


def test_no_test_fails_because_the_machine_is_busy():
    assert hypothesis.settings.default.deadline is None


def test_docstrings_name_no_link_that_is_none(root: Path):
    """A word that ends with an underscore is one to Sphinx, and fails the site."""
    links = []
    for path in sorted((root / "cvlib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, DOCUMENTED):
                text = re.sub("`[^`]*`", "", ast.get_docstring(node) or "")
                links += [(path, word) for word in re.findall(r"\w+_(?!\w)", text)]
    assert not links


def code_lines(source: str) -> int:
    """Lines that do something: no docstring, comment or blank line."""
    said: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            said |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in said
        for number, line in enumerate(source.splitlines(), start=1)
    )


# Lines of code that a room may hold: one that wants more gives something away first.
BUDGETS = {"datasets": 3500, "doctor": 1000, "book": 2200, "deployment": 1400}
BUDGETS |= dict.fromkeys(SCENARIOS - {"deployment"}, 900) | {"detection": 1000}
NOUN = 350
WORKSHOP = {"pantry"}  # renders what ships; not in the wheel


def lines_of(path: Path) -> int:
    """Lines of code of a file, or of all files below a folder."""
    files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    return sum(code_lines(file.read_text("utf8")) for file in files)


@pytest.mark.parametrize("room", sorted(PARTS & BUDGETS.keys()))
def test_a_room_keeps_to_its_budget(room: str, root: Path):
    assert lines_of(root / "cvlib" / room) <= BUDGETS[room]


def test_a_noun_keeps_to_its_budget(root: Path):
    nouns = PARTS - BUDGETS.keys() - WORKSHOP
    files = [f for n in nouns for f in (root / "cvlib" / n).rglob("*.py")]
    files += [root / "cvlib" / f"{n}.py" for n in nouns]
    sizes = {f.name: lines_of(f) for f in files if f.is_file()}
    assert {name for name, size in sizes.items() if size > NOUN} == set()


def test_the_root_holds_what_was_agreed(root: Path):
    listed = subprocess.run(
        ["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True
    )
    tracked = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert tracked <= ROOT_ENTRIES


def test_no_page_or_source_loads_from_a_cdn(root: Path):
    host = re.compile(
        r"""(src|href)=["']https?://[^"']*(cdn|unpkg|jsdelivr|googleapis)"""
    )
    for folder in ("book", "cvlib"):
        for path in (root / folder).rglob("*"):
            if path.suffix in {".md", ".py", ".js", ".css", ".html", ".svg"}:
                assert not host.search(path.read_text("utf8")), path


def test_nothing_is_pickled(root: Path):
    for path in (root / "cvlib").rglob("*.py"):
        text = path.read_text("utf8")
        assert not re.search(r"\b(import (cloud)?pickle|torch\.save\()", text), path
        for load in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in load, path


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("cvlib", {"torch", "numpy", "papermill", "httpx"}),
        ("cvlib.datasets", {"torch", "httpx", "rich"}),
        ("cvlib.recording", {"IPython", "torch"}),
        ("cvlib.backbones", {"fastai", "timm", "torchvision"}),
        ("cvlib.cli", {"torch", "sphinx", "papermill", "timm"}),
    ],
)
def test_imports_are_narrow(module: str, heavy: set[str]):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not heavy & set(done.stdout.split())
