import json
from pathlib import Path

import nbformat
import pytest

from cvlib.book.command import _faults, calibrate_one
from cvlib.book.ledger import read_ledger
from cvlib.book.runs import Job, Run, make_job
from cvlib.book.site import Site
from tests.small_book import edit, plant_run


def test_a_misspelt_parameter_fails_at_once_and_names_the_right_one(command):
    done = command("run", "part/one", "-p", "epohcs=3")
    assert done.returncode == 1
    assert "'epohcs'" in done.stderr and "did you mean epochs" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "part/none"], "no chapter"),
        (["run", "part/one", "-p", "epochs"], "NAME=VALUE"),
        (["run", "part/one", "-p", "epochs=lots"], "wanted int"),
        (["run", "part/one", "--profile", "huge"], "embedded, photos, gpu"),
        (["run", "part/one", "-o", "nowhere/out.ipynb"], "no folder nowhere"),
        (["run", "part/one", "-o", "out.txt"], "ends in .ipynb"),
        (["build", "--profile", "huge"], "embedded, photos, gpu"),
    ],
)
def test_bad_input_is_one_line_and_no_traceback(command, arguments, message):
    done = command(*arguments)
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("shared_runs")
def test_a_run_is_judged_and_saved_with_its_numbers_in_the_text(command, book):
    done = command("run", "part/one", "-o", "out.ipynb")
    assert done.returncode == 0 and "accuracy 0.75, wanted ≥ 0.5: met" in done.stdout
    text = "\n".join(c.source for c in nbformat.read(book / "out.ipynb", 4).cells)
    assert "It measured 75.0%." in text and "{measured}" not in text


@pytest.mark.slow
def test_a_newcomers_relative_folder_is_found_by_the_chapter(command, book: Path):
    edit(book / "book/part/one.md", 'name = "x"', 'data = "pantry/shelves"')
    count = "import pathlib\nfiles = len(list(pathlib.Path(data).iterdir()))\n"
    edit(
        book / "book/part/one.md", "cvlib.record(", f"{count}cvlib.record(files=files, "
    )
    (book / "mine").mkdir()
    (book / "mine" / "a.jpg").touch()
    (book / "mine" / "b.jpg").touch()
    done = command("run", "part/one", "-p", "data=./mine")
    assert done.returncode == 0, done.stderr
    (run,) = (book / "_build/runs/embedded/part/one").glob("*.ipynb")
    assert nbformat.read(run, 4).metadata.cvlib_run.record["files"] == 2


def test_data_that_is_not_there_is_refused_before_anything_runs(command, book: Path):
    edit(book / "book/part/one.md", 'name = "x"', 'data = "pantry/shelves"')
    (book / "mine").mkdir()
    done = command("run", "part/one", "-p", "data=./mien")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert f"nothing at {book / 'mien'}; did you mean mine?" in done.stderr
    assert not (book / "_build").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("shared_runs")
def test_a_missed_bar_is_an_exit_code(command, book: Path):
    edit(book / "book/part/one.md", "at_least: 0.5", "at_least: 0.9")
    done = command("run", "part/one")
    assert done.returncode == 1 and "NOT MET" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("shared_runs")
def test_bars_do_not_judge_a_readers_own_parameters(command):
    done = command("run", "part/one", "-p", "epochs=0")
    assert done.returncode == 0 and "yours may differ" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("shared_runs")
def test_bars_judge_what_a_reader_sets_to_the_books_own_value(command, book: Path):
    edit(book / "book/part/one.md", "at_least: 0.5", "at_least: 0.9")
    done = command("run", "part/one", "-p", "epochs=3")
    assert done.returncode == 1 and "misses 1 of its bars" in done.stderr


def test_a_calibration_is_of_what_stood_before_its_runs(book: Path, monkeypatch):
    site = Site(book, "embedded")
    before = make_job(book, site.chapter("part/one")).key
    runs = [
        plant_run(book, "part/one", {"accuracy": 0.7}, seed=seed) for seed in (0, 1)
    ]

    def edited_meanwhile(jobs: list[Job], workers: int) -> list[Run]:
        monkeypatch.setenv("CVLIB_DEVICE", "another")  # another key
        return runs

    monkeypatch.setattr("cvlib.book.command._run_all", edited_meanwhile)
    calibrate_one(site, "part/one", 2)
    assert read_ledger(site.chapter("part/one").path, "embedded").key == before


@pytest.mark.usefixtures("shared_runs")
def test_sabotage_shows_the_bar_that_fails(command):
    done = command("run", "part/one", "--sabotage")
    assert done.returncode == 0 and "accuracy 0, wanted ≥ 0.5: NOT MET" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("shared_runs")
def test_sabotage_that_no_bar_notices_is_an_error(command, book: Path):
    edit(book / "book/part/one.md", "at_least: 0.5", "at_least: 0.0")
    done = command("run", "part/one", "--sabotage")
    assert done.returncode == 1 and "yet meets all its bars" in done.stderr


@pytest.mark.slow
def test_status_says_what_was_run_and_what_was_not(command):
    command("run", "part/one")
    lines = command("status", "--profile", "embedded").stdout.splitlines()
    one, two = (
        next(x for x in lines if name in x) for name in ("part/one", "part/two")
    )
    assert "0.75" in one and "met" in one and "not run" in two


def plant_seeds(book: Path, name: str, *accuracies: float) -> None:
    """Stored runs as calibration would make them, one a seed."""
    for seed, accuracy in enumerate(accuracies):
        plant_run(book, name, {"accuracy": accuracy}, seed=seed)


def claim(book: Path, text: str) -> None:
    edit(book / "book/part/one.md", "It measured", f"It {{claim}}`{text}` measured")


def test_a_refuted_claim_is_an_exit_code_and_names_its_line(command, book: Path):
    claim(book, "accuracy > 0.9")
    plant_run(book, "part/one", {"accuracy": 0.75})
    done = command("run", "part/one")
    assert done.returncode == 1
    assert "one.md:23: claim `accuracy > 0.9` is refuted: 0.75 > 0.9" in done.stderr


def test_on_a_readers_own_parameters_a_refuted_claim_is_told_and_fails_nothing(
    command, book: Path
):
    claim(book, "accuracy > 0.9")
    plant_run(book, "part/one", {"accuracy": 0.25}, epochs=1)
    done = command("run", "part/one", "-p", "epochs=1", "-o", "out.ipynb")
    assert done.returncode == 0
    assert "did not hold here: accuracy > 0.9: 0.25 > 0.9" in done.stdout
    assert "✗ did not hold here" in (book / "out.ipynb").read_text("utf8")


@pytest.mark.slow
def test_status_lists_claims_and_what_is_outside_its_band(command, book: Path):
    claim(book, "accuracy > 0.9")
    plant_seeds(book, "part/one", 0.75, 0.76)
    command("calibrate", "part/one", "--seeds", "2")
    plant_run(book, "part/one", {"accuracy": 0.97})
    said = " ".join(command("status").stdout.split())
    assert "accuracy 0.97, band 0.75 to 0.76: stale band, or news" in said
    assert "part/one 1, 1 at fault" in said, "no seed bears it out"


@pytest.mark.slow
def test_calibration_names_a_claim_that_some_seeds_deny(command, book: Path):
    claim(book, "accuracy > 0.7")
    plant_seeds(book, "part/one", 0.75, 0.65, 0.85)
    done = command("calibrate", "part/one", "--seeds", "3")
    assert done.returncode == 1
    assert "one.md:23: claim `accuracy > 0.7` holds in 2 of 3 seeds only" in done.stderr
    edit(book / "book/part/one.md", "> 0.7`", "> 0.7 :: most seeds`")
    done = command("calibrate", "part/one", "--seeds", "3")
    assert done.returncode == 0
    assert "in 2 of 3 seeds: accuracy > 0.7" in done.stdout


def test_calibration_names_a_bar_that_stands_in_the_band(command, book: Path):
    plant_seeds(book, "part/one", 0.45, 0.75)
    done = command("calibrate", "part/one", "--seeds", "2")
    assert done.returncode == 1 and "the bar accuracy ≥ 0.5 has no room" in done.stderr


@pytest.mark.slow
def test_calibration_without_a_name_does_what_is_due_and_says_so(command, book: Path):
    for name in ("part/one", "part/two"):
        plant_seeds(book, name, 0.75, 0.76)
    assert command("calibrate", "part/two", "--seeds", "2").returncode == 0
    said = command("calibrate", "--due").stdout
    assert "calibration is due: part/one" in said and "part/two" not in said
    assert command("calibrate", "--seeds", "2").returncode == 0
    assert "due for no chapter" in command("calibrate", "--due").stdout
    edit(book / "book/part/two.md", "epochs / 4", "epochs / 5")
    assert "calibration is due: part/two" in command("calibrate", "--due").stdout


@pytest.mark.slow
def test_sabotage_runs_what_is_due_and_keeps_what_it_measured(command, book: Path):
    for name in ("part/one", "part/two"):
        plant_run(book, name, {"accuracy": 0.1}, epochs=0)
    done = command("sabotage")
    assert done.returncode == 0
    assert "part/one: accuracy 0.1, wanted ≥ 0.5: NOT MET" in done.stdout
    stored = json.loads((book / "book/part/one.bands.json").read_text("utf8"))
    assert stored["embedded"]["sabotage"]["record"] == {"accuracy": 0.1}
    assert "due for no chapter" in command("sabotage").stdout
    edit(book / "book/part/two.md", "at_least: 0.5", "at_least: 0.6")
    assert command("sabotage", "--due").stdout == "sabotage is due: part/two\n"


def test_sabotage_that_no_bar_notices_is_not_kept(command, book: Path):
    plant_run(book, "part/one", {"accuracy": 0.9}, epochs=0)
    done = command("sabotage", "part/one")
    assert done.returncode == 1 and "meets all its bars" in done.stderr
    assert not (book / "book/part/one.bands.json").exists()


@pytest.mark.slow
def test_status_tells_where_the_seconds_of_a_run_went(command):
    command("run", "part/one")
    header, line = command("status", "--times").stdout.splitlines()
    assert header.split() == [
        "chapter",
        "profile",
        "seconds",
        "work",
        "imports",
        "rest",
    ]
    whole, *phases = map(float, line.split()[2:])
    assert line.split()[:2] == ["part/one", "embedded"]
    assert len(phases) == 3 and abs(whole - sum(phases)) < 0.3, "but for rounding"


@pytest.mark.slow
@pytest.mark.usefixtures("shared_runs")
def test_calibrating_writes_the_band_beside_the_chapter(command, book: Path):
    done = command("calibrate", "part/one", "--seeds", "3")
    assert done.returncode == 0
    edit(book / "book/part/one.md", "It measured", "Expect {band}`accuracy:.0%`. It")
    saved = command("run", "part/one", "-o", "out.ipynb")
    assert saved.returncode == 0
    assert "Expect 75% to 77%." in (book / "out.ipynb").read_text()


@pytest.mark.slow
def test_clean_removes_stale_runs_and_keeps_current_ones(command, book: Path):
    command("run", "part/one")
    command("run", "part/one", "-p", "seed=1")
    assert "removed 1 notebooks, kept 1" in command("clean").stdout
    assert "removed 1 notebooks, kept 0" in command("clean", "--all").stdout


@pytest.mark.slow
def test_list_shows_the_chapters_and_one_chapters_parameters(command):
    assert "part/one  A chapter" in command("list").stdout
    shown = command("list", "part/one").stdout
    assert "epochs = 3" in shown and "--profile photos: epochs=4" in shown


@pytest.mark.parametrize(
    ("log", "named"),
    [
        ("a.md:3: WARNING: no such page\nfine\n", ["a.md:3: WARNING: no such page"]),
        ("reading\nValueError: no\nend\n", ["ValueError: no"]),
        ("reading\nkilled\n", ["reading", "killed"]),
    ],
)
def test_a_failed_build_names_its_fault_or_shows_its_end(log: str, named: list[str]):
    found = _faults(log)
    assert found[: len(named)] == named
