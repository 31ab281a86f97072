from pathlib import Path

import nbformat
import pytest

from tests.small_book import edit


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


def test_a_run_is_judged_and_saved_with_its_numbers_in_the_text(command, book):
    done = command("run", "part/one", "-o", "out.ipynb")
    assert done.returncode == 0 and "accuracy 0.75, wanted ≥ 0.5: met" in done.stdout
    text = "\n".join(c.source for c in nbformat.read(book / "out.ipynb", 4).cells)
    assert "It measured 75.0%." in text and "{measured}" not in text


def test_a_missed_bar_is_an_exit_code(command, book: Path):
    edit(book / "book/part/one.md", "at_least: 0.5", "at_least: 0.9")
    done = command("run", "part/one")
    assert done.returncode == 1 and "NOT MET" in done.stdout


def test_bars_do_not_judge_a_readers_own_parameters(command):
    done = command("run", "part/one", "-p", "epochs=0")
    assert done.returncode == 0 and "yours may differ" in done.stdout


def test_sabotage_shows_the_bar_that_fails(command):
    done = command("run", "part/one", "--sabotage")
    assert done.returncode == 0 and "accuracy 0, wanted ≥ 0.5: NOT MET" in done.stdout


def test_sabotage_that_no_bar_notices_is_an_error(command, book: Path):
    edit(book / "book/part/one.md", "at_least: 0.5", "at_least: 0.0")
    done = command("run", "part/one", "--sabotage")
    assert done.returncode == 1 and "yet meets all its bars" in done.stderr


def test_status_says_what_was_run_and_what_was_not(command):
    command("run", "part/one")
    lines = command("status", "--profile", "embedded").stdout.splitlines()
    one, two = (
        next(x for x in lines if name in x) for name in ("part/one", "part/two")
    )
    assert "0.75" in one and "met" in one and "not run" in two


def test_calibrating_writes_the_band_beside_the_chapter(command, book: Path):
    done = command("calibrate", "part/one", "--seeds", "3")
    assert done.returncode == 0
    edit(book / "book/part/one.md", "It measured", "Expect {band}`accuracy:.0%`. It")
    saved = command("run", "part/one", "-o", "out.ipynb")
    assert saved.returncode == 0
    assert "Expect 75% to 77%." in (book / "out.ipynb").read_text()


def test_clean_removes_stale_runs_and_keeps_current_ones(command, book: Path):
    command("run", "part/one")
    command("run", "part/one", "-p", "seed=1")
    assert "removed 1 notebooks, kept 1" in command("clean").stdout
    assert "removed 1 notebooks, kept 0" in command("clean", "--all").stdout


def test_list_shows_the_chapters_and_one_chapters_parameters(command):
    assert "part/one  A chapter" in command("list").stdout
    shown = command("list", "part/one").stdout
    assert "epochs = 3" in shown and "--profile photos: epochs=4" in shown
