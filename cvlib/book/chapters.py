"""Chapters: what a page with code promises, read from its MyST source.

A chapter is a page in `_toc.yml` with code cells. Its front matter says under `cvlib:`
which parameters each profile overrides, which bars each profile must meet, which
recorded value a baseline that knows nothing has of a metric (it must pass no bar), and
which parameters sabotage it; its `parameters` cell declares the defaults of `embedded`.
"""

from __future__ import annotations

import ast
import difflib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import nbformat
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cvlib.book import ChapterError
from cvlib.book.bars import Bar

Profile = Literal["embedded", "photos", "gpu"]
PROFILES: tuple[Profile, ...] = get_args(Profile)


class Settings(BaseModel):
    """The front matter under `cvlib:`; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profiles: dict[Profile, dict[str, Any]] = Field(default_factory=dict)
    bars: dict[Profile, dict[str, Bar]]
    sabotage: dict[str, Any] = Field(min_length=1)
    baselines: dict[str, str] = Field(
        default_factory=dict,
        description="metric with a bar → recorded value of what knows nothing",
    )
    timeout: int = Field(default=900, gt=0, description="seconds for the whole run")

    @model_validator(mode="after")
    def _baselines_are_of_bars(self) -> Settings:
        barred = {metric for bars in self.bars.values() for metric in bars}
        if unbarred := self.baselines.keys() - barred:
            raise ValueError(f"baselines of metrics without a bar: {sorted(unbarred)}")
        return self


@dataclass(frozen=True)
class Chapter:
    """One computing page: its name (`part/chapter`), its file and its notebook."""

    name: str
    path: Path
    notebook: nbformat.NotebookNode
    settings: Settings

    @property
    def title(self) -> str:
        """The first heading, without its mark."""
        prose = [c.source for c in self.notebook.cells if c.cell_type == "markdown"]
        lines = "\n".join(prose).splitlines()
        return next((x[2:].strip() for x in lines if x.startswith("# ")), self.name)

    @property
    def parameters_cell(self) -> str:
        """The source of the cell tagged `parameters`: defaults and what they mean."""
        cells = [c for c in code_cells(self.notebook) if "parameters" in cell_tags(c)]
        if len(cells) != 1:
            raise ChapterError(
                f"{self.path}: one code cell must be tagged 'parameters', "
                f"found {len(cells)}"
            )
        return str(cells[0].source)

    @cached_property
    def declared(self) -> dict[str, Any]:
        """Name → default of every parameter."""
        return _literal_assignments(self.parameters_cell, self.path)

    def parameters(
        self,
        profile: Profile,
        overrides: dict[str, Any] | None = None,
        *,
        sabotage: bool = False,
    ) -> dict[str, Any]:
        """All parameters of a run: defaults, then profile, sabotage and `overrides`."""
        merged = dict(self.declared)
        layers: list[tuple[str, dict[str, Any]]] = [
            (f"profile {profile}", self.settings.profiles.get(profile, {})),
            ("sabotage", self.settings.sabotage if sabotage else {}),
            ("your override", overrides or {}),
        ]
        for origin, layer in layers:
            for name, value in layer.items():
                merged[name] = self._checked(name, value, origin)
        return merged

    def bars(self, profile: Profile) -> dict[str, Bar]:
        """Metric → bar that a run in `profile` must meet; empty when it has none."""
        return self.settings.bars.get(profile, {})

    def _checked(self, name: str, value: Any, origin: str) -> Any:
        if name not in self.declared:
            raise ChapterError(_undeclared(self.name, name, origin, self.declared))
        default = self.declared[name]
        if isinstance(default, float) and type(value) is int:
            return float(value)
        if (
            default is not None
            and value is not None
            and type(value) is not type(default)
        ):
            raise ChapterError(
                f"{self.name}: {origin} sets {name} to {value!r}, "
                f"wanted {type(default).__name__} like its default {default!r}"
            )
        return value


def find_root(start: Path | None = None) -> Path:
    """The book's root: the nearest folder at or above `start` with a `_toc.yml`.

    `CVLIB_BOOK` names it outright. Errors: `ChapterError` when there is none.
    """
    start = Path(os.environ.get("CVLIB_BOOK") or start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_toc.yml").is_file():
            return folder
    raise ChapterError(
        f"no book at {start}: wanted a folder with _toc.yml at or above it; "
        "run this inside a clone of the book, or set CVLIB_BOOK to one"
    )


def find_pages(root: Path) -> dict[str, Path]:
    """Name → source of every page, with code or without, in the order of the contents.

    The name is that of the file below `book/`: `index`, `classification/train`.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    return {p.removeprefix("book/"): root / f"{p}.md" for p in _pages(toc)}


def find_chapters(root: Path) -> dict[str, Chapter]:
    """Name → chapter, in the order of the table of contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf8"))
    chapters = (read_chapter(root, page) for page in _pages(toc))
    return {c.name: c for c in chapters if c is not None}


def get_chapter(root: Path, name: str) -> Chapter:
    """The chapter called `name`; its path or file name with `.md` serves too."""
    chapters = find_chapters(root)
    wanted = name.removesuffix(".md").removeprefix("./").removeprefix("book/")
    if wanted not in chapters:
        close = difflib.get_close_matches(wanted, chapters, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]}?" if close else ""
        known = ", ".join(chapters) or "none"
        raise ChapterError(f"no chapter {name!r}{hint} Chapters: {known}")
    return chapters[wanted]


def read_chapter(root: Path, page: str) -> Chapter | None:
    """The chapter in `<root>/<page>.md`; None for a page without code cells."""
    path = root / f"{page}.md"
    if not path.is_file():
        raise ChapterError(f"_toc.yml lists {page}, but {path} does not exist")
    notebook = read_notebook(path.read_text("utf8"), path)
    if not code_cells(notebook):
        return None
    return Chapter(
        page.removeprefix("book/"), path, notebook, _settings(notebook, path)
    )


def read_notebook(text: str, path: Path | str) -> nbformat.NotebookNode:
    """MyST text as a notebook, with the source line of each cell in its metadata."""
    from myst_nb.core.read import read_myst_markdown_notebook

    return read_myst_markdown_notebook(text, add_source_map=True, path=path)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code cells in order, without the cell papermill injects."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell_tags(cell)
    ]


def cell_tags(cell: nbformat.NotebookNode) -> list[str]:
    """The tags of a cell, sorted."""
    return sorted(cell.metadata.get("tags", []))


def _settings(notebook: nbformat.NotebookNode, path: Path) -> Settings:
    if "cvlib" not in notebook.metadata:
        raise ChapterError(
            f"{path} has code cells but no 'cvlib:' in its front matter; "
            "see .github/chapter-template.md"
        )
    try:
        return Settings.model_validate(notebook.metadata["cvlib"])
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, e['loc'])) or 'cvlib'}: {e['msg']}"
            for e in error.errors()
        )
        raise ChapterError(f"{path}, front matter: {'; '.join(faults)}") from None


def _literal_assignments(source: str, path: Path) -> dict[str, Any]:
    declared = {}
    for node in ast.parse(source).body:
        try:
            assert isinstance(node, ast.Assign) and len(node.targets) == 1
            assert isinstance(node.targets[0], ast.Name)
            declared[node.targets[0].id] = ast.literal_eval(node.value)
        except (AssertionError, ValueError):
            raise ChapterError(
                f"{path}: the parameters cell holds only `name = literal` lines, "
                f"got `{ast.unparse(node)}`"
            ) from None
    return declared


def _undeclared(chapter: str, name: str, origin: str, declared: dict[str, Any]) -> str:
    close = difflib.get_close_matches(name, declared, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return (
        f"{chapter} declares no parameter {name!r} ({origin}){hint} "
        f"It declares: {', '.join(declared)}"
    )


def _pages(toc: dict[str, Any]) -> list[str]:
    """Every `root:` and `file:` of a table of contents, in order, at any depth."""
    pages = [toc[key] for key in ("root", "file") if key in toc]
    for key in ("parts", "chapters", "sections", "entries", "subtrees"):
        for entry in toc.get(key) or []:
            pages += _pages(entry)
    return pages
