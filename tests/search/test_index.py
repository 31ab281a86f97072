"""What all three kinds of index promise: ids, checks, files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cvlib import checkpoints
from cvlib.search import ExactIndex, HNSWIndex, Index
from tests.search.galleries import COUNT, DIM, KINDS, filled

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_mixed_precision_around_a_search_changes_nothing(kind, embeddings, ids):
    wanted = filled(kind, embeddings, ids).search(embeddings[:20], 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = filled(kind, embeddings, ids).search(embeddings[:20], 5)
    assert found[0].dtype == torch.float32
    assert torch.allclose(found[0], wanted[0], atol=1e-6)


@every_kind
def test_answers_are_the_users_ids(kind, embeddings, ids):
    index = filled(kind, embeddings, ids)
    similarities, found = index.search(embeddings[:50], k=5)
    assert (found[:, 0] == ids[:50]).all()
    assert torch.allclose(similarities[:, 0], torch.ones(50), atol=1e-5)
    assert (similarities.diff(dim=1) <= 0).all()


@every_kind
def test_rows_may_come_in_pieces(kind, embeddings, ids):
    index = kind(DIM)
    for start in (0, 300, 301, 500):
        end = {0: 300, 300: 301, 301: 500, 500: COUNT}[start]
        index.add(embeddings[start:end], ids[start:end])
    index.add(embeddings[:0], ids[:0])
    assert len(index) == COUNT
    assert (index.search(embeddings, 1)[1][:, 0] == ids).all()


@every_kind
def test_the_index_keeps_its_own_copy(kind, embeddings, ids):
    given = embeddings.clone()
    index = filled(kind, given, ids)
    given.zero_()
    assert (index.search(embeddings[:5], 1)[1][:, 0] == ids[:5]).all()


@every_kind
@pytest.mark.parametrize("share", [0.1, 0.9, 1.0])
def test_what_is_removed_is_not_found_and_the_rest_is(kind, share, embeddings, ids):
    index = filled(kind, embeddings, ids)
    gone = int(COUNT * share)
    index.remove(ids[:gone])
    assert len(index) == COUNT - gone
    assert index.ids.tolist() == ids[gone:].tolist()
    if len(index):
        _, found = index.search(embeddings, k=1)
        assert not np.isin(found, ids[:gone]).any()
        assert (found[gone:, 0] == ids[gone:]).all()
    index.add(embeddings[:gone], ids[:gone])
    assert (index.search(embeddings, 1)[1][:, 0] == ids).all()


@every_kind
def test_without_ids_the_rows_are_numbered_on(kind, embeddings):
    index = kind(DIM)
    index.add(embeddings[:300])
    index.add(embeddings[300:302], [1000, 500])
    index.add(embeddings[302:])
    assert index.ids.tolist() == [*range(300), 1000, 500, *range(1001, 1299)]
    assert index.search(embeddings[302], 1)[1].tolist() == [1001]


def test_there_is_an_end_to_numbering_on():
    index = ExactIndex(1)
    index.add([[1.0]], [2**63 - 2])
    index.add([[1.0]])
    assert index.ids.tolist() == [2**63 - 2, 2**63 - 1]
    with pytest.raises(ValueError, match=r"no 1 numbers are left above id 922\d+807"):
        index.add([[1.0]])
    assert ExactIndex(1).add(torch.empty(0, 1)) is None


def test_five_ids_are_named_and_of_more_the_first_five():
    index = ExactIndex(1)
    for count, named in ((5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4, …")):
        with pytest.raises(ValueError, match=rf"index: ids {named}; nothing removed"):
            index.remove(np.arange(count))


@every_kind
def test_one_id_is_removed_and_one_query_searched(kind, embeddings, ids):
    index = filled(kind, embeddings, ids)
    index.remove(int(ids[3]))
    similarities, found = index.search(embeddings[4], 2)
    assert similarities.shape == found.shape == (2,)
    assert found[0] == ids[4] and len(index) == COUNT - 1
    assert index.search(embeddings[:DIM], 2)[1].shape == (DIM, 2)
    with pytest.raises(ValueError, match=r"queries must be \[N, 16\], got \(15,\)"):
        index.search(embeddings[4, :-1], 2)


@every_kind
@pytest.mark.parametrize("count", [0, 300])
def test_what_fails_leaves_the_index_as_it_was(
    kind, count, embeddings, ids, monkeypatch
):
    index, follow = kind(DIM), kind._follow
    index.add(embeddings[:count], ids[:count])

    def out_of_memory(self: Index) -> None:
        follow(self)  # all is taken in, and then
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(kind, "_follow", out_of_memory)
        with pytest.raises(MemoryError):
            index.add(embeddings[count:], ids[count:])
        if count:
            with pytest.raises(MemoryError):
                index.remove(ids[:200])
    assert index.ids.tolist() == ids[:count].tolist()
    if count:
        assert (index.search(embeddings[:count], 1)[1][:, 0] == ids[:count]).all()
    index.add(embeddings[count:], ids[count:])
    assert (index.search(embeddings, 1)[1][:, 0] == ids).all()


@every_kind
@pytest.mark.parametrize(("gone", "left"), [(299, 301), (300, 300), (500, 100)])
def test_rows_are_left_out_once_half_of_them_are_removed(
    kind, gone, left, embeddings, ids, tmp_path
):
    index = filled(kind, embeddings, ids)
    index.remove(ids[:gone])
    with safe_open(index.save(tmp_path / "gallery.index"), framework="pt") as file:
        held = len(file.get_tensor("rows"))
    soon = kind is ExactIndex or gone >= 300
    assert held == (left if soon else COUNT)


@every_kind
def test_k_may_be_the_whole_gallery(kind, embeddings, ids):
    index = filled(kind, embeddings, ids)
    index.remove(ids[:100])
    _, found = index.search(embeddings[:3], k=COUNT - 100)
    assert all(sorted(row) == ids[100:].tolist() for row in found.tolist())


@every_kind
def test_no_queries_give_no_answers(kind, embeddings, ids):
    similarities, found = filled(kind, embeddings, ids).search(embeddings[:0], k=3)
    assert similarities.shape == found.shape == (0, 3)


@every_kind
def test_wrong_use_is_said_plainly_and_changes_nothing(kind, embeddings, ids):
    with pytest.raises(ValueError, match="dim must be at least 1, got 0"):
        kind(0)
    index = kind(DIM)
    with pytest.raises(ValueError, match="the index is empty"):
        index.search(embeddings[:1], 1)
    index.add(embeddings[:300], ids[:300])
    new, spoiled = embeddings[300:302], embeddings[300:302].clone()
    spoiled[1, 3] = torch.nan
    for rows, numbers, said in [
        (new, ids[:2], "already in the index: ids 1000000000000, 1000000000007"),
        (new, [5, 5], "ids given more than once: 5"),
        (new, [5], "2 embeddings came with 1 ids"),
        (new, np.array([1, 2**63], np.uint64), "must fit into int64, got 922337203685"),
        (new, [5.0, 6.0], r"ids must be integers, \[N\], got float64"),
        (new[:, :3], [5, 6], r"embeddings must be \[N, 16\], got \(2, 3\)"),
        (new[0], [5], r"embeddings must be \[N, 16\], got \(16,\)"),
        (spoiled, [5, 6], "embeddings must be finite numbers"),
    ]:
        with pytest.raises(ValueError, match=said):
            index.add(rows, numbers)
    with pytest.raises(ValueError, match="not in the index: ids 3; nothing removed"):
        index.remove([3, int(ids[0])])
    for queries, k, said in [
        (new, 301, "k must be between 1 and the 300 embeddings in the index, got 301"),
        (new, 0, "k must be between 1"),
        (new[:, 1:], 1, r"queries must be \[N, 16\], got \(2, 15\)"),
        (spoiled, 1, "queries must be finite numbers"),
    ]:
        with pytest.raises(ValueError, match=said):
            index.search(queries, k)
    assert (index.search(embeddings[:300], 1)[1][:, 0] == ids[:300]).all()
    assert len(index) == 300


@pytest.mark.slow
@every_kind
def test_save_and_load_give_the_same_answers(kind, embeddings, ids, tmp_path):
    index = filled(kind, embeddings, ids)
    index.remove(ids[:50])
    path = index.save(tmp_path / "folder" / "gallery.index")
    assert [p.name for p in path.parent.iterdir()] == ["gallery.index"]
    for again in (kind.load(path), Index.load(path)):
        assert type(again) is kind and len(again) == COUNT - 50
        assert again._settings() == index._settings()
        for mine, saved in zip(
            index.search(embeddings, 5), again.search(embeddings, 5), strict=True
        ):
            assert torch.equal(mine, saved)
        again.add(embeddings[:50], ids[:50])
        again.remove(ids[100:])
        assert (again.search(embeddings[:100], 1)[1][:, 0] == ids[:100]).all()
        again.save(path)
        index.save(path)


def test_a_file_says_what_is_in_it(embeddings, ids, tmp_path):
    path = filled(HNSWIndex, embeddings, ids).save(tmp_path / "gallery.index")
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["cvlib_index"])
    assert len(facts.pop("checksum")) == 64
    assert facts == {
        "format": 1,
        "kind": "HNSWIndex",
        "metric": "inner product",
        "dim": DIM,
        "count": COUNT,
        "settings": {"links": 32, "ef_construction": 80, "ef_search": 128},
    }


@every_kind
def test_an_empty_index_survives_saving(kind, tmp_path):
    assert len(kind.load(kind(DIM).save(tmp_path / "empty"))) == 0


@every_kind
def test_a_damaged_file_is_not_opened(kind, embeddings, ids, tmp_path):
    path = filled(kind, embeddings, ids).save(tmp_path / "gallery.index")
    whole = path.read_bytes()
    for at in (len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(path)
    for part in (whole[:-9], whole[:100], b"", b"not an index"):
        path.write_bytes(part)
        with pytest.raises(
            ValueError, match="is not a safetensors file, or is cut short"
        ):
            Index.load(path)
    save_file({"rows": torch.ones(1)}, path, metadata={"cvlib": "{}"})
    with pytest.raises(ValueError, match="wanted 'cvlib_index' in its header"):
        Index.load(path)
    with pytest.raises(FileNotFoundError, match="no file at"):
        Index.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("format", 2, "has format 2, this version reads 1"),
        ("metric", "euclidean", "has metric 'euclidean'"),
        ("dim", 32, "is damaged"),
        ("count", 3, "is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    name, value, said, embeddings, ids, tmp_path
):
    path = filled(ExactIndex, embeddings, ids).save(tmp_path / "gallery.index")
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["cvlib_index"])
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    facts[name] = value
    save_file(tensors, path, metadata={"cvlib_index": json.dumps(facts)})
    with pytest.raises(ValueError, match=said):
        Index.load(path)


def test_another_kind_is_refused(embeddings, ids, tmp_path):
    path = filled(ExactIndex, embeddings, ids).save(tmp_path / "gallery.index")
    with pytest.raises(ValueError, match="holds a ExactIndex, wanted HNSWIndex"):
        HNSWIndex.load(path)


def test_a_class_of_ones_own_hides_none_of_ours(embeddings, ids, tmp_path):
    class Mine(ExactIndex):
        pass

    path = filled(ExactIndex, embeddings, ids).save(tmp_path / "gallery.index")
    assert type(ExactIndex.load(path)) is type(Index.load(path)) is ExactIndex
    with pytest.raises(ValueError, match="holds a ExactIndex, wanted Mine"):
        Mine.load(path)
    assert type(Mine.load(filled(Mine, embeddings, ids).save(path))) is Mine
    with pytest.raises(ValueError, match="a Mine, wanted ExactIndex or HNSW"):
        Index.load(path)


@every_kind
def test_a_crash_while_saving_leaves_the_old_index(
    kind, embeddings, ids, tmp_path, monkeypatch
):
    path = filled(kind, embeddings[:300], ids[:300]).save(tmp_path / "gallery.index")

    def half(tensors, place, metadata):
        Path(place).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints, "save_file", half)
    with pytest.raises(OSError, match="no space left"):
        filled(kind, embeddings, ids).save(path)
    assert len(kind.load(path)) == 300
    assert [p.name for p in tmp_path.iterdir()] == ["gallery.index"]


@pytest.mark.slow
def test_being_killed_while_saving_leaves_the_old_index(embeddings, ids, tmp_path):
    path = filled(ExactIndex, embeddings, ids).save(tmp_path / "gallery.index")
    code = """
import os, sys, torch
from pathlib import Path
from cvlib import checkpoints
from cvlib.search import ExactIndex
def half(tensors, place, metadata):
    Path(place).write_bytes(b"half")
    os._exit(9)
checkpoints.save_file = half
index = ExactIndex(16)
index.add(torch.ones(1, 16), [1])
index.save(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == 9
    assert len(ExactIndex.load(path)) == COUNT


def refusal(call: object, *given: object) -> str:
    """What a call is refused with, in full."""
    with pytest.raises(ValueError) as error:
        call(*given)
    return str(error.value)


def test_what_is_refused_is_told_in_full():
    index = ExactIndex(2)
    eye = np.eye(2)
    assert refusal(ExactIndex, 0) == "dim must be at least 1, got 0"
    assert refusal(index.search, eye, 1) == "the index is empty: add embeddings first"
    index.add(eye, [3, 4])
    assert refusal(index.add, eye, [1]) == "2 embeddings came with 1 ids"
    assert refusal(index.add, eye, [4, 5]) == "already in the index: ids 4"
    assert refusal(index.add, eye, [7, 7]) == "ids given more than once: 7"
    said = "embeddings must be [N, 2], got (2, 1)"
    assert refusal(index.add, eye[:, :1]) == said
    said = "embeddings must be finite numbers, got NaN or infinity"
    for odd in (np.nan, np.inf, -np.inf):
        assert refusal(index.add, [[0, odd]]) == said
    said = "ids must be integers, [N], got float64 (2,)"
    assert refusal(index.add, eye, [0.5, 1.0]) == said
    said = "ids must be integers, [N], got int64 (1, 2)"
    assert refusal(index.add, eye, np.array([[1, 2]])) == said
    said = "ids must fit into int64, got 9223372036854775808"
    assert refusal(index.add, eye[:1], np.array([2**63], np.uint64)) == said
    said = "not in the index: ids 8; nothing removed"
    assert refusal(index.remove, [3, 8]) == said
    said = "k must be between 1 and the 2 embeddings in the index, got 3"
    assert refusal(index.search, eye, 3) == said
    assert index.ids.tolist() == [3, 4]


def test_what_is_no_fault_is_let_through():
    index = ExactIndex(2)
    index.add([[1, 0], [0, 1]], np.array([2**63 - 1, 5], np.uint64))
    index.remove([])
    assert index.ids.tolist() == [2**63 - 1, 5]
    similarities, found = index.search(torch.eye(2, requires_grad=True), 1)
    assert found.tolist() == [[2**63 - 1], [5]]
    assert not similarities.requires_grad


def test_an_index_says_what_it_holds():
    index = ExactIndex(2)
    index.add(torch.ones(1234, 2))
    assert repr(index) == "ExactIndex(1,234 embeddings of 2 numbers)"


def rewritten(path: Path, **changes: object) -> Path:
    """The file with its header in another order, and with these changes."""
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["cvlib_index"])
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    facts = dict(reversed((facts | changes).items()))
    save_file(tensors, path, metadata={"cvlib_index": json.dumps(facts)})
    return path


def test_the_order_of_a_header_does_not_matter(embeddings, ids, tmp_path):
    path = filled(HNSWIndex, embeddings, ids).save(tmp_path / "gallery.index")
    assert len(Index.load(rewritten(path))) == COUNT


def test_why_a_file_is_not_opened_is_told_in_full(embeddings, ids, tmp_path):
    path = filled(ExactIndex, embeddings, ids).save(tmp_path / "gallery.index")
    assert refusal(HNSWIndex.load, path) == (
        f"{path} holds a ExactIndex, wanted HNSWIndex"
    )
    said = f"{path} is damaged: its contents do not match its checksum"
    assert refusal(Index.load, rewritten(path, dim=3)) == said
    said = f"{path} has metric 'euclidean', this version reads 'inner product'"
    assert refusal(Index.load, rewritten(path, metric="euclidean")) == said
    said = f"{path} has format 2, this version reads 1"
    assert refusal(Index.load, rewritten(path, format=2)) == said

    class Mine(ExactIndex):
        pass

    filled(Mine, embeddings, ids).save(path)
    assert refusal(Index.load, path) == (
        f"{path} holds a Mine, wanted ExactIndex or HNSWIndex or IVFPQIndex"
    )
