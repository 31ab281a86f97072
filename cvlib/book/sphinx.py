"""The Sphinx side: stored runs become pages, and their numbers become prose.

    reader `read_executed`   a chapter's source with the outputs of its stored run
    role `measured`          {measured}`accuracy:.1%`, or of another chapter
                             {measured}`classification/train#accuracy:.1%`
    role `band`              {band}`accuracy:.1%`: "90.1% to 93.4%", over seeds
    role `sabotaged`         {sabotaged}`accuracy:.1%`: what the sabotaged run measured
    role `claim`             {claim}`gain_low > 0`: a mark; a refuted one is a warning
    directive `run-status`   the regression report as a table, a row for each bar
    directive `page-status`  claims, bands and calibration, a row for each page
    directive `datasets`     the registered data sets as a table
    badge                    below each chapter's title: when, where and how it ran

A page is read again when a run it shows or cites has changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from cvlib.book import BookError
from cvlib.book.bars import Verdict, judge
from cvlib.book.chapters import Chapter, Profile
from cvlib.book.report import page_state, report_chapter
from cvlib.book.runs import Run
from cvlib.book.site import Site, show_run
from cvlib.datasets import registry
from cvlib.datasets.registry import DATASETS, Dataset, Remote

logger = logging.getLogger(__name__)

_ARGUMENT = re.compile(r"([a-z_]+): (\S.*)")

STATUS_HEADER = [
    "Chapter",
    "Metric",
    "Value",
    "Bar",
    "Verdict",
    "Seconds",
    "Memory (MB)",
    "Ran",
]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the reader, the roles, the directive and the badge."""
    profile = os.environ.get("CVLIB_PROFILE", "embedded")
    app.add_config_value("cvlib_profile", profile, "env", types=(str,))
    # Pages are made by the engine: another one makes them all anew.
    app.add_config_value("cvlib_engine", engine_digest(), "env", types=(str,))
    app.add_role("measured", CitingRole())
    app.add_role("band", CitingRole())
    app.add_role("sabotaged", CitingRole())
    app.add_role("claim", ClaimRole())
    app.add_node(claim_mark, html=(_open_mark, _close_mark))
    app.add_directive("run-status", RunStatus)
    app.add_directive("page-status", PageStatus)
    app.add_directive("datasets", DatasetsTable)
    app.setup_extension("sphinx.ext.autodoc")
    app.add_html_math_renderer("mathml", (_show_math, None), (_show_math_block, None))
    # Before Sphinx compares the settings with those of the build before: what came
    # later would look changed each time, and every page would be read again.
    app.connect("config-inited", _register_chapters)
    app.connect("env-get-outdated", _changed_runs)
    app.connect("env-purge-doc", _forget_citations)
    app.connect("env-merge-info", _merge_citations)
    app.connect("doctree-read", _add_badge)
    app.connect("html-page-context", _drop_thebe, priority=900)
    app.connect("autodoc-process-docstring", _read_docstring)
    return {"parallel_read_safe": True, "env_version": 2}


def engine_digest() -> str:
    """A hash of this package's sources."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()


@cache
def open_site(root: str, profile: Profile) -> Site:
    """The site of this build; one object, so that chapters are read once."""
    return Site(Path(root), profile)


def read_executed(
    text: str, *, chapter: str, root: str, profile: Profile
) -> nbformat.NotebookNode:
    """myst-nb's reader of a chapter: its source with the outputs of its stored run."""
    return show_run(text, open_site(root, profile).run(chapter), f"{chapter}.md")


class CitingRole(SphinxRole):
    """`measured`, `band`, `sabotaged`; a name nobody recorded is a build error."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The cited number as text, or the problem with its place in the source."""
        page = self.env.docname.removeprefix("book/")
        site = _site(self.env)
        try:
            here = site.run(page) if page in site.chapters else None
            shown = site.cite(self.name, self.text, here)
        except (BookError, ValueError) as error:
            logger.warning("%s: %s", self.rawtext, error, location=self.get_location())
            return [nodes.inline("", self.rawtext)], []
        _cite(self.env, self.text.partition(":")[0].rpartition("#")[0] or page)
        return [nodes.inline("", shown, classes=[self.name])], []


class claim_mark(nodes.inline):  # type: ignore[misc]  # noqa: N801 (a node)
    """The mark of a claim; in HTML with the expression on hover and on focus."""


class ClaimRole(SphinxRole):
    """`claim`; one that is refuted, or cannot be read, is a warning at its line."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The mark."""
        page, site = self.env.docname.removeprefix("book/"), _site(self.env)
        checked = site.check_claim(" ".join(self.text.split()), page, self.lineno)
        if checked.fault:
            why = checked.fault.removeprefix(f"{checked.place}: ")
            logger.warning("%s", why, location=self.get_location())
        for name in checked.names:
            _cite(self.env, name.rpartition("#")[0] or page)
        kind = "refuted" if checked.fault else "holds"
        mark = claim_mark("", checked.mark, classes=["claim", kind])
        mark["told"] = checked.told
        return [mark], []


def _open_mark(writer: Any, node: claim_mark) -> None:
    """A mark that says its expression: on hover, on focus, and in print."""
    words = f"{node.astext()} checked: {node['told']}"
    facts = {"title": node["told"], "data-claim": node["told"], "tabindex": "0"}
    facts |= {"role": "img", "aria-label": words}
    writer.body.append(writer.starttag(node, "span", "", **facts))


def _close_mark(writer: Any, node: claim_mark) -> None:
    writer.body.append("</span>")


class RunStatus(SphinxDirective):
    """The regression report: one row for each bar of each chapter."""

    def run(self) -> list[nodes.Node]:
        """One table."""
        rows = []
        site = _site(self.env)
        for row in (report_chapter(site, name) for name in site.chapters):
            _cite(self.env, row.chapter.name)
            for verdict in row.verdicts:
                rows.append(_status_cells(row.chapter, row.run, verdict))
        return [_table("run-status", STATUS_HEADER, rows)]


class PageStatus(SphinxDirective):
    """A row for each page that claims or measures something."""

    def run(self) -> list[nodes.Node]:
        """One table."""
        site = _site(self.env)
        header = ["Page", "Claims", "Outside its bands", "Calibrated", "Sabotage"]
        rows = []
        for name in site.pages:
            _cite(self.env, name)
            state = page_state(site, name)
            if state.claims or name in site.chapters:
                rows.append([name, *state.cells])
        return [_table("page-status", header, rows)]


class DatasetsTable(SphinxDirective):
    """The registered data sets: what each is, its licence, its size and its home."""

    def run(self) -> list[nodes.Node]:
        """One table."""
        self.env.note_dependency(registry.__file__)
        rows = [
            [d.name, d.description, d.licence, _dataset_home(d)]
            for d in DATASETS.values()
        ]
        return [_table("datasets", ["Name", "What", "Licence", "Where"], rows)]


def _dataset_home(dataset: Dataset) -> str:
    source = dataset.source
    return source.home if isinstance(source, Remote) else "in the package"


def _status_cells(chapter: Chapter, run: Run | None, verdict: Verdict) -> list[str]:
    if run is None:
        return [chapter.title, verdict.metric, "", str(verdict.bar), "not run"] + [
            ""
        ] * 3
    value = "not recorded" if verdict.value is None else f"{verdict.value:.4g}"
    return [
        chapter.title,
        verdict.metric,
        value,
        str(verdict.bar),
        "met" if verdict.met else "not met",
        f"{run.meta['seconds']:.0f}",
        f"{run.meta['memory_mb']:.0f}",
        run.meta["started"][:10],
    ]


def _table(name: str, header: list[str], rows: list[list[str]]) -> nodes.table:
    group = nodes.tgroup("", cols=len(header))
    group += [nodes.colspec("", colwidth=1) for _ in header]
    group += nodes.thead("", _table_row(header))
    group += nodes.tbody("", *[_table_row(row) for row in rows])
    return nodes.table("", group, classes=[name])


def _table_row(cells: list[str]) -> nodes.row:
    row = nodes.row()
    for text in cells:
        mark = [text.replace(" ", "-")] if text in ("met", "not met", "not run") else []
        shown: nodes.Node = nodes.Text(text)
        if text.startswith("https://"):
            shown = nodes.reference("", text.split("/")[2], refuri=text)
        row += nodes.entry("", nodes.paragraph("", "", shown), classes=mark)
    return row


def _add_badge(app: Sphinx, doctree: nodes.document) -> None:
    name, site = app.env.docname.removeprefix("book/"), _site(app.env)
    if name not in site.chapters:
        return
    _cite(app.env, name)
    title = next(iter(doctree.findall(nodes.title)))
    place = title.parent.index(title) + 1
    title.parent.insert(place, _badge(site.chapter(name), site.run(name)))


def _badge(chapter: Chapter, run: Run) -> nodes.Node:
    verdicts = judge(run.record, chapter.bars(run.meta["profile"]))
    met = all(v.met for v in verdicts)
    facts = _badge_facts(chapter, run)
    facts.append("; ".join(map(str, verdicts)) or "no bars in this profile")
    paragraph = nodes.paragraph("", classes=["run-badge", "met" if met else "not-met"])
    for fact in facts:
        paragraph += nodes.inline("", fact, classes=["run-fact"])
        paragraph += nodes.Text(" ")
    return paragraph


def _badge_facts(chapter: Chapter, run: Run) -> list[str]:
    meta, machine = run.meta, run.meta["environment"]
    gpu = machine["accelerator"]
    changed = [
        f"{name}={value}"
        for name, value in meta["parameters"].items()
        if value != chapter.declared.get(name)
    ]
    return [
        f"This page is one run: {meta['started'][:10]}",
        f"profile {meta['profile']}" + (f" ({', '.join(changed)})" if changed else ""),
        f"{meta['seconds']:.0f} s",
        f"{meta['memory_mb'] / 1000:.1f} GB of memory",
        f"{machine['threads']} threads, {machine['cpu']}",
        "no GPU" if gpu == "none" else gpu,
        f"torch {machine['versions'].get('torch', 'absent')}",
        f"commit {machine['commit']}",
    ]


def _show_math(writer: Any, node: nodes.math) -> None:
    """A formula as MathML, which browsers draw themselves: no script, no CDN."""
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _show_math_block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f"<p>{tex2mathml(node.astext(), as_block=True)}</p>")
    raise nodes.SkipNode


def _drop_thebe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Jupyter Book loads Thebe twice, which is a script error, and nothing uses it."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "thebe" not in f"{script} {getattr(script, 'attributes', '')}".lower()
    ]


def _read_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Our docstrings as reStructuredText: arguments are fields, tables stay."""
    in_fields = False
    for i in reversed(range(len(lines))):
        above = next((x for x in reversed(lines[:i]) if x.strip()), "")
        starts = lines[i].startswith("    ") and not lines[i - 1].strip()
        if i and starts and not above.startswith(("    ", "..", ":")):
            lines[i:i] = ["::", ""]
    for i, line in enumerate(lines):
        field = _ARGUMENT.match(line)
        if field and (in_fields or not i or not lines[i - 1].strip()):
            lines[i], in_fields = f":param {field[1]}: {field[2]}", True
        elif not line.startswith("    "):
            in_fields = False


def _register_chapters(app: Sphinx, config: Config) -> None:
    """Tell myst-nb to read each chapter from its stored run, and to execute nothing."""
    open_site.cache_clear()
    where = {"root": str(app.srcdir), "profile": config.cvlib_profile}
    reader = "cvlib.book.sphinx.read_executed"
    config.nb_execution_mode = "off"
    config.nb_custom_formats = config.nb_custom_formats | {
        f"/book/{name}.md": [reader, {"chapter": name, **where}]
        for name in open_site(**where).chapters
    }


def _changed_runs(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """The pages that were read when a chapter they show or cite had another run."""
    now = _site(env)
    return [
        page
        for page, cited in _citations(env).items()
        if page in env.found_docs
        and any(now.fingerprint(name) != was for name, was in cited.items())
    ]


def _site(env: BuildEnvironment) -> Site:
    return open_site(str(env.srcdir), env.config.cvlib_profile)


def _cite(env: BuildEnvironment, chapter: str) -> None:
    cited = _citations(env).setdefault(env.docname, {})
    cited[chapter] = _site(env).fingerprint(chapter)


def _citations(env: BuildEnvironment) -> dict[str, dict[str, str]]:
    """Page → chapter → fingerprint; kept in Sphinx's environment between builds."""
    if not hasattr(env, "cvlib_citations"):
        env.cvlib_citations = {}  # type: ignore[attr-defined]
    return env.cvlib_citations  # type: ignore[attr-defined]


def _forget_citations(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _citations(env).pop(docname, None)


def _merge_citations(
    app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment
) -> None:
    for docname in docnames & _citations(other).keys():
        _citations(env)[docname] = _citations(other)[docname]
