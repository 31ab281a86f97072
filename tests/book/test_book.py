"""Every chapter of the book as tests: bars, claims, bands, sabotage, contract.

`CVLIB_NIGHTLY=1` makes every sabotaged run again, where otherwise a ledger that fits
will do, and fails where a band is stale, where otherwise there is a warning.
"""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from cvlib.book import RunError
from cvlib.book.bars import judge
from cvlib.book.chapters import (
    PROFILES,
    Chapter,
    cell_tags,
    code_cells,
    read_chapter,
)
from cvlib.book.claims import find_claims, parse_claim
from cvlib.book.execute import ensure_run
from cvlib.book.ledger import read_ledger, sabotage_digest
from cvlib.book.runs import Run, make_job
from cvlib.book.site import Site, export_run
from tests.conftest import ROOT

ENV = os.environ
NIGHTLY = ENV.get("CVLIB_NIGHTLY", "") not in ("", "0")
SITE = Site(ROOT, "embedded")  # read once, for all chapters
CHAPTERS = SITE.chapters
PRODUCTS = ROOT / "cvlib" / "datasets" / "shipped" / "pantry" / "products"
ROLES = ("measured", "band", "sabotaged", "claim")
TEMPLATE = ROOT / ".github" / "chapter-template.md"

# A chapter runs once in one worker; its other tests wait there and find it stored.
each_chapter = pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(c, id=name, marks=pytest.mark.xdist_group(name))
        for name, c in CHAPTERS.items()
    ],
)


def run_of(chapter: Chapter, *, root: Path = ROOT, sabotage: bool = False) -> Run:
    """The stored run, or one made now; a failing chapter shows its own traceback."""
    job = make_job(root, chapter, sabotage=sabotage)
    try:
        return ensure_run(job, threads=1 if "PYTEST_XDIST_WORKER" in ENV else None)
    except RunError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.chapter
@each_chapter
def test_a_chapter_meets_its_bars(chapter: Chapter):
    verdicts = judge(run_of(chapter).record, chapter.bars("embedded"))
    assert verdicts, f"{chapter.name} has no bar in profile embedded"
    missed = [str(v) for v in verdicts if not v.met]
    if missed:
        pytest.fail(f"{chapter.name}: {'; '.join(missed)}", pytrace=False)


@pytest.mark.chapter
@each_chapter
def test_a_sabotaged_chapter_fails_a_bar(chapter: Chapter):
    """By what its ledger keeps, where that is of the chapter as it is now."""
    ledger = read_ledger(chapter.path, "embedded")
    record = ledger.sabotaged_record(sabotage_digest(chapter, "embedded"))
    if record is None or NIGHTLY:
        record = run_of(chapter, sabotage=True).record
    assert not all(v.met for v in judge(record, chapter.bars("embedded")))


@pytest.mark.chapter
@each_chapter
def test_the_claims_of_a_chapter_hold(chapter: Chapter):
    run = run_of(chapter)
    claims = SITE.check_claims(chapter.name, run)
    faults = [claim.fault for claim in claims if claim.fault]
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.mark.chapter
@each_chapter
def test_the_bands_of_a_chapter_are_not_stale(chapter: Chapter):
    strays = SITE.strays(run_of(chapter))
    stale = "; ".join(str(stray) for stray in strays if stray.stale)
    if stale and NIGHTLY:
        pytest.fail(f"{chapter.name}: {stale}; calibrate it again", pytrace=False)
    if stale:
        warnings.warn(f"stale bands of {chapter.name}: {stale}", stacklevel=1)


@pytest.mark.chapter
@each_chapter
def test_a_baseline_that_knows_nothing_passes_no_bar(chapter: Chapter):
    record, bars = run_of(chapter).record, chapter.bars("embedded")
    for metric, baseline in chapter.settings.baselines.items():
        assert baseline in record, f"{chapter.name} records no {baseline}"
        if metric in bars:
            passed = bars[metric].met_by(record[baseline])
            assert not passed, f"{metric} {bars[metric]}, {baseline} passes it"


@pytest.mark.chapter
@each_chapter
def test_a_chapter_fits_in_two_gigabytes(chapter: Chapter):
    assert run_of(chapter).meta["memory_mb"] <= 2048


@pytest.mark.chapter
@each_chapter
def test_every_figure_has_alt_text_and_no_output_is_debris(chapter: Chapter):
    check_outputs(chapter, run_of(chapter))


@pytest.mark.chapter
@each_chapter
def test_an_exported_chapter_holds_its_numbers(chapter: Chapter):
    notebook = export_run(SITE, run_of(chapter))
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert not any(f"{{{role}}}`" in text for role in ROLES)


@pytest.mark.chapter
@each_chapter
def test_snippets_run_alone(chapter: Chapter, tmp_path: Path):
    check_snippets(chapter, tmp_path)


@pytest.mark.chapter
@pytest.mark.xdist_group("classification/train")
def test_a_reader_trains_on_a_folder_of_their_own(tmp_path: Path):
    """Three classes, four pictures of each in a split; names with blanks, accents."""
    for split in ("train", "valid", "test"):
        for name, ours in (("Tasse à thé", "mug"), ("bowl", "bowl"), ("tin", "can")):
            mine = tmp_path / "my pictures" / split / name
            mine.mkdir(parents=True)
            for path in sorted((PRODUCTS / split / ours).glob("*.jpg"))[::5][:4]:
                shutil.copy(path, mine / f"IMG {path.stem}.jpg")
    overrides = {"data": str(tmp_path / "my pictures"), "epochs": 1, "batch_size": 4}
    job = make_job(ROOT, CHAPTERS["classification/train"], overrides=overrides)
    run = ensure_run(job)
    run.path.unlink()
    assert run.record["num_classes"] == 3 and run.record["test_images"] == 12


@each_chapter
def test_a_chapter_keeps_the_contract(chapter: Chapter):
    check_contract(chapter)


@each_chapter
@pytest.mark.parametrize("profile", PROFILES)
def test_bars_stand_outside_the_calibrated_bands(chapter: Chapter, profile):
    bands = read_ledger(chapter.path, profile).bands
    if profile == "embedded":
        assert bands, f"run `cvlib book calibrate {chapter.name} --profile {profile}`"
    for metric, bar in chapter.bars(profile).items():
        if metric in bands:
            assert bands[metric].leaves_room_for(bar), (metric, bands[metric], bar)


@pytest.mark.chapter
def test_the_template_for_chapters_passes_every_check_on_chapters(book: Path, tmp_path):
    (book / "book/part/one.md").write_text(TEMPLATE.read_text("utf8"), "utf8")
    chapter = read_chapter(book, "book/part/one")
    assert chapter is not None
    check_contract(chapter)
    check_snippets(chapter, tmp_path)
    run = run_of(chapter, root=book)
    check_outputs(chapter, run)
    bars = chapter.bars("embedded")
    assert bars and all(v.met for v in judge(run.record, bars))
    for metric, baseline in chapter.settings.baselines.items():
        assert not bars[metric].met_by(run.record[baseline])
    claims = Site(book, "embedded").check_claims("part/one", run)
    assert claims and not any(claim.fault for claim in claims)
    record = run_of(chapter, root=book, sabotage=True).record
    assert not all(v.met for v in judge(record, bars))


def check_contract(chapter: Chapter) -> None:
    """What holds for a chapter's source without running it."""
    for profile in PROFILES:
        chapter.parameters(profile)
        chapter.parameters(profile, sabotage=True)
    assert chapter.bars("embedded")
    assert "seed" in chapter.declared, "calibration needs a parameter `seed`"
    text = "\n".join(c.source for c in chapter.notebook.cells)
    assert "{glue}" not in text and "ipywidgets" not in text
    assert "record(" in text
    for claim, _ in find_claims(chapter.path.read_text("utf8")):
        parse_claim(claim)
    for cell in code_cells(chapter.notebook):
        widest = max(map(len, cell.source.splitlines()))
        assert widest <= 80, f"{chapter.name}: {widest} columns in\n{cell.source}"
        assert len(cell.source.splitlines()) <= 40, "a cell fits a screen"


def check_outputs(chapter: Chapter, run: Run) -> None:
    """What holds for what a reader sees of a run."""
    executed = code_cells(run.notebook)
    for cell, shown in zip(code_cells(chapter.notebook), executed, strict=True):
        image = cell.metadata.get("mystnb", {}).get("image", {})
        for output in shown.outputs:
            assert output.output_type != "stream" or output.name != "stderr", output
            assert "Warning" not in str(output.get("text", ""))
            if "image/png" in output.get("data", {}):
                assert len(image.get("alt", "")) > 20, f"no alt text:\n{cell.source}"


def check_snippets(chapter: Chapter, folder: Path) -> None:
    """Each cell tagged `snippet` runs in a clean interpreter, in an empty folder."""
    for cell in code_cells(chapter.notebook):
        if "snippet" in cell_tags(cell):
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", cell.source],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
