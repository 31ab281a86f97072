"""The count of faults that no test sees: its rooms, its table."""

from pathlib import Path

import pytest

from tests import mutate


@pytest.mark.parametrize("room", mutate.ROOMS)
def test_a_room_names_files_that_are_there_and_tests_that_mirror_them(
    room: str, root: Path
):
    sources, tests = mutate.sources_of(room), mutate.tests_of(room)
    assert all((root / path).is_file() for path in sources) and sources
    assert tests


def test_a_room_measured_again_replaces_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mutate, "RECORD", tmp_path / "mutation.csv")
    mutate.record("search", 900, 40, 10, "abc1234")
    mutate.record("metrics", 300, 300, 3, "abc1234")
    mutate.record("search", 900, 200, 9, "abc1234")
    header, *lines = (tmp_path / "mutation.csv").read_text("utf8").splitlines()
    assert header == "room,variants,tried,survived,rate,commit,date"
    assert [line.rsplit(",", 1)[0] for line in lines] == [
        "metrics,300,300,3,1.0%,abc1234",
        "search,900,200,9,4.5%,abc1234",
    ]
