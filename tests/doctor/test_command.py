"""`cvlib doctor` at the command line."""

import json
import logging
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cvlib.cli import app
from cvlib.datasets import fetch
from cvlib.datasets.problems import Problem
from cvlib.doctor import Report
from tests.datasets.formats.sets import image_file


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, words)])


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    products = fetch("pantry/products") / "train"
    for name, own in (("mug", "mug"), ("jar", "bowl")):
        (root / "train" / name).mkdir(parents=True)
        source = min((products / own).iterdir())
        shutil.copyfile(source, root / "train" / name / "a.jpg")
    shutil.copytree(root / "train", root / "test")
    return root


def test_errors_give_exit_code_one_and_a_table(leaky: Path):
    found = run(leaky)
    assert found.exit_code == 1
    assert "duplicate-across-splits" in found.output
    assert "read as classes" in found.output


@pytest.mark.slow
def test_good_data_gives_exit_code_nought():
    found = run("pantry/products")
    assert found.exit_code == 0
    assert "nothing wrong was found" in found.output


def test_what_cannot_be_examined_gives_two_and_no_traceback(tmp_path: Path):
    found = run(tmp_path / "missing")
    assert found.exit_code == 2
    assert "error: wanted a folder" in found.output
    assert "Traceback" not in found.output


def test_json_goes_to_the_screen_or_to_a_file(leaky: Path, tmp_path: Path):
    assert json.loads(run(leaky, "--json", "-").stdout)["errors"] == 2
    run(leaky, "--json", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["format"] == "classes"


def test_a_report_inside_the_folder_is_refused(leaky: Path):
    found = run(leaky, "--html", leaky / "report.html")
    assert found.exit_code == 2
    assert "never writes" in found.output
    assert not (leaky / "report.html").exists()


def test_a_cleaned_list_keeps_the_test_images(leaky: Path, tmp_path: Path):
    run(leaky, "--fix", tmp_path / "cleaned")
    rows = (tmp_path / "cleaned" / "images.csv").read_text().splitlines()
    assert len(rows) > 1
    assert all(",test," in row for row in rows[1:])


def test_a_name_that_is_not_utf8_is_reported_and_no_crash(tmp_path: Path):
    odd = tmp_path / "set" / "mug" / os.fsdecode(b"caf\xe9.jpg")
    for path in (odd, tmp_path / "set" / "jar" / "b.jpg"):
        image_file(path)
    files = ["--json", tmp_path / "a.json", "--html", tmp_path / "a.html"]
    found = run(tmp_path / "set", *files, "--fix", tmp_path / "out")
    assert found.exit_code in (0, 1) and "Traceback" not in found.output
    assert json.loads((tmp_path / "a.json").read_text())["images"] == 2
    assert found.exception is None or isinstance(found.exception, SystemExit)


def test_a_fault_of_the_doctor_is_not_one_of_the_data(
    leaky: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cvlib.doctor.duplicates.find_copies", lambda facts: 1 / 0)
    found = run(leaky)
    assert found.exit_code == 2
    assert "the doctor itself failed" in found.output
    assert "Traceback" not in found.output


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the command asks of `examine`, which finds an error and two warnings."""
    asked: dict[str, object] = {}
    root = Path("set")
    problems = (
        Problem("truncated", (root / "[red]a.jpg",), "is cut short"),
        Problem("blank", (root / "b.jpg",), "кружка", "warning"),
        Problem("blank", (root / "c.jpg",), "shows nothing", "warning"),
    )

    def examine(path: str, **options: object) -> Report:
        asked.update(options, path=path)
        return Report(root, 5, problems, 1.26)

    monkeypatch.setattr(sys.modules["cvlib.doctor.examine"], "examine", examine)
    return asked


def test_the_table_in_full(reported):
    found = run("set")
    assert [
        re.sub(" {2,}", " | ", line.strip()) for line in found.stdout.split("\n")
    ] == [
        "set: 5 images, 0 labels, read as no known format, 1.3 s",
        "problem | severity | count | for example",
        "truncated | error | 1 | [red]a.jpg: is cut short",
        "blank | warning | 2 | b.jpg: кружка",
        "",
    ]
    assert found.stderr == ""
    assert reported == {"path": "set", "deep": False, "progress": True}


def test_a_long_message_stands_in_120_columns_where_nobody_looks(monkeypatch):
    problem = Problem("blank", (Path("set/b.jpg"),), "x" * 200, "warning")
    monkeypatch.setattr(
        sys.modules["cvlib.doctor.examine"],
        "examine",
        lambda *_, **__: Report(Path("set"), 1, (problem,), 1.0),
    )
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, run("set").stdout.split("\n"))) == 120


def test_errors_are_red_and_warnings_yellow(reported, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = run("set").stdout
    assert "\x1b[31merror\x1b[0m" in text and "\x1b[33mwarning\x1b[0m" in text
    assert "5 images" in text  # numbers have no colours of their own


def test_warnings_alone_are_no_failure(monkeypatch):
    problem = Problem("blank", (Path("set/b.jpg"),), "said", "warning")
    monkeypatch.setattr(
        sys.modules["cvlib.doctor.examine"],
        "examine",
        lambda *_, **__: Report(Path("set"), 1, (problem,), 1.0),
    )
    assert run("set").exit_code == 0


def test_a_model_is_asked_only_when_it_is_wanted(reported):
    assert run("set", "--deep").exit_code == 1
    assert reported["deep"] is True


def test_json_on_the_screen_is_all_that_is_there_and_can_be_read(reported):
    text = run("set", "--json", "-").stdout
    assert text.startswith('{\n "root": "set",\n')
    assert json.loads(text)["problems"][1]["message"] == "кружка"
    assert "кружка" in text and "for example" not in text


def test_a_file_of_json_leaves_the_table_on_the_screen(reported, tmp_path: Path):
    found = run("set", "--json", tmp_path / "out.json")
    assert "for example" in found.stdout
    assert json.loads((tmp_path / "out.json").read_text("utf8"))["images"] == 5


def test_where_the_cleaned_list_is_stands_apart_from_the_table(
    leaky: Path, tmp_path: Path
):
    found = run(leaky, "--fix", tmp_path / "out", "--html", tmp_path / "a.html")
    assert found.stderr == (
        f"the cleaned list is in {tmp_path / 'out'}; its names are relative to the "
        "folder that was examined\n"
    )
    assert "cleaned" not in found.stdout.replace(str(leaky), "")
    assert "<title>set</title>" in (tmp_path / "a.html").read_text("utf8")


def test_faults_are_told_apart_from_the_results(
    leaky: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    gone = run(tmp_path / "missing")
    assert gone.stdout == "" and gone.stderr.startswith("error: wanted a folder")
    monkeypatch.setattr("cvlib.doctor.duplicates.find_copies", lambda facts: 1 / 0)
    with caplog.at_level(logging.DEBUG, "cvlib"):
        found = run(leaky)
    said = f"the doctor itself failed on {leaky}: ZeroDivisionError: division by zero"
    assert (found.stdout, found.stderr) == ("", f"error: {said}\n")
    (record,) = [r for r in caplog.records if r.name == "cvlib"]
    assert record.getMessage() == "the examination failed"
    assert record.exc_info and record.exc_info[0] is ZeroDivisionError
