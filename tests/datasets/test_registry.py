import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlib.datasets import (
    DATASETS,
    DatasetError,
    get_dataset,
    manifest_digest,
    registry,
)
from cvlib.datasets.registry import (
    ManifestError,
    UnknownDatasetError,
    format_manifest,
    github,
    list_files,
    parse_manifest,
    read_manifest,
    write_manifest,
)
from tests.datasets.conftest import FILES, write_files

SUM = "0" * 64

parts = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:"), min_size=1, max_size=8
).filter(lambda part: part.isprintable() and part[0] != ".")
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
sums = st.text("0123456789abcdef", min_size=64, max_size=64)
manifests = st.lists(
    st.tuples(paths, sums), min_size=1, unique_by=lambda entry: entry[0].casefold()
).map(dict)


@pytest.mark.slow
@given(manifests)
def test_a_manifest_survives_writing_and_reading(manifest: dict[str, str]) -> None:
    assert parse_manifest(format_manifest(manifest)) == manifest


@pytest.mark.slow
@given(manifests)
def test_the_order_of_files_does_not_change_the_digest(
    manifest: dict[str, str],
) -> None:
    backwards = dict(reversed(manifest.items()))
    assert registry.digest(manifest) == registry.digest(backwards)


@given(st.text())
def test_any_text_gives_a_manifest_or_a_manifest_error(text: str) -> None:
    try:
        manifest = parse_manifest(text)
    except ManifestError:
        return
    assert all(not Path(path).is_absolute() for path in manifest)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../up",
        "a/../../up",
        "./a",
        "a//b",
        "a/",
        "",
        "C:/a",
        "a\\b",
        "\\\\host\\a",
        ".hidden/a",
        "a\x00b",
        "a\tb",
        "a\u2028b",
    ],
)
def test_a_path_that_could_leave_the_folder_is_refused(path: str) -> None:
    with pytest.raises(ManifestError, match="line 2: wanted a plain relative path"):
        parse_manifest(f"{SUM}\tgood.jpg\n{SUM}\t{path}\n")


@pytest.mark.parametrize(
    "line", ["", SUM, f"{SUM} a", f"{SUM[1:]}\ta", f"{'G' * 64}\ta"]
)
def test_a_malformed_line_is_named(line: str) -> None:
    with pytest.raises(ManifestError, match=r"^some, line 2: wanted 'sha256<TAB>path'"):
        parse_manifest(f"{SUM}\ta.jpg\n{line}\n{SUM}\tb.jpg\n", name="some")


def test_a_path_is_listed_once_whatever_its_letter_case() -> None:
    with pytest.raises(ManifestError, match="line 2: wanted each path once"):
        parse_manifest(f"{SUM}\ta.jpg\n{SUM}\tA.JPG\n")


def test_an_empty_manifest_is_an_error() -> None:
    with pytest.raises(ManifestError, match="line 1"):
        parse_manifest("")


def test_windows_line_ends_do_not_change_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = manifest_digest("clothing")
    text = (registry.MANIFESTS / "clothing.sha256.tsv").read_text()
    (tmp_path / "clothing.sha256.tsv").write_text(text, newline="\r\n")
    monkeypatch.setattr(registry, "MANIFESTS", tmp_path)
    assert manifest_digest("clothing") == digest


def test_a_written_manifest_lists_every_file_but_hidden_ones(tmp_path: Path) -> None:
    folder = write_files(
        tmp_path / "data", {**FILES, ".git/config": b"", ".DS_Store": b""}
    )
    written = write_manifest(folder, tmp_path / "m.tsv")
    assert written == parse_manifest((tmp_path / "m.tsv").read_text("utf-8"))
    assert set(written) == set(FILES)
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert written["empty.txt"] == empty


def test_no_manifest_is_written_for_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ManifestError):
        write_manifest(tmp_path / "data", tmp_path / "m.tsv")
    assert not (tmp_path / "m.tsv").exists()


def test_an_unknown_name_lists_the_known_and_the_closest() -> None:
    with pytest.raises(UnknownDatasetError) as caught:
        get_dataset("clothin")
    assert "'clothin', did you mean 'clothing'?" in str(caught.value)
    assert "known datasets: bccd, boards, cards, cards/test" in str(caught.value)


def test_a_digest_of_an_unknown_name_is_a_registry_error() -> None:
    with pytest.raises(UnknownDatasetError, match="no dataset or folder 'nothing'"):
        manifest_digest("nothing")


def test_a_missing_manifest_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MANIFESTS", tmp_path)
    with pytest.raises(ManifestError, match="write_manifest"):
        manifest_digest("clothing")


def test_errors_have_one_root() -> None:
    assert issubclass(UnknownDatasetError, DatasetError)
    assert issubclass(ManifestError, DatasetError)


def test_every_entry_is_complete() -> None:
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert dataset.description.endswith(".")
        assert dataset.licence in {"Apache-2.0", "CC-BY-4.0", "CC0-1.0", "MIT"}


def test_every_remote_entry_is_pinned_to_a_commit() -> None:
    remotes = [entry.source for entry in DATASETS.values()]
    remotes = [one for one in remotes if not isinstance(one, registry.Shipped)]
    assert remotes
    for source in remotes:
        assert isinstance(source, registry.Remote)
        for address in (source.home, source.files, source.archive):
            assert address and re.search(r"\b[0-9a-f]{40}\b", address)


def test_a_repository_prefix_is_part_of_its_file_addresses() -> None:
    source = github("Shenggan/BCCD_Dataset", "d" * 40, prefix="BCCD/")
    assert source.files.endswith(f"/{'d' * 40}/BCCD/{{path}}")
    assert source.prefix == "BCCD/"


def test_clothing_has_ten_classes_in_three_splits() -> None:
    split = [path.split("/") for path in read_manifest("clothing")]
    counts = Counter(parts[0] for parts in split)
    assert counts == {"train": 1000, "validation": 341, "test": 372}
    for part in counts:
        assert len({name for first, name, _ in split if first == part}) == 10


@pytest.mark.parametrize(
    "name",
    [name for name, d in DATASETS.items() if isinstance(d.source, registry.Shipped)],
)
def test_shipped_files_are_those_of_their_manifest(name: str) -> None:
    folder = registry.PACKAGE / "shipped" / name
    manifest = read_manifest(name)
    found = {path: registry.sha256(folder / path) for path in list_files(folder)}
    assert found == manifest
