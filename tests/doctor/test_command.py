"""`cvlib doctor` at the command line."""

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cvlib.cli import app
from cvlib.datasets import fetch
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
