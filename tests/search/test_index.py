import json
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from cvlib import checkpoints
from cvlib.search import exact as indexes
from cvlib.search import products as nearest
from cvlib.search.approximate import HNSWIndex, IVFPQIndex
from cvlib.search.exact import ExactIndex
from cvlib.search.index import Index

KINDS = [ExactIndex, HNSWIndex, IVFPQIndex]
COUNT, DIM = 600, 16
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def embeddings() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(COUNT, DIM, generator=generator)
    return torch.nn.functional.normalize(rows)


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.arange(COUNT) * 7 + 1_000_000_000_000  # not their positions


def filled(kind: type[Index], embeddings: torch.Tensor, ids: torch.Tensor) -> Index:
    index = kind(DIM)
    index.add(embeddings, ids)
    return index


def best(queries: torch.Tensor, rows: torch.Tensor, k: int) -> np.ndarray:
    """The slow way: sort all inner products, in double precision."""
    return np.argsort(-(queries.double() @ rows.double().T).numpy(), axis=1)[:, :k]


def test_the_nearest_by_hand():
    index = ExactIndex(2)
    index.add([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], [10, 20, 30])
    similarities, ids = index.search([[1.0, 0.0]], k=2)
    assert ids.tolist() == [[10, 30]]
    assert similarities.tolist() == [[1.0, pytest.approx(0.6)]]
    assert (similarities.dtype, ids.dtype) == (torch.float32, torch.int64)


def test_equals_are_all_found():
    index = ExactIndex(2)
    index.add(torch.ones(200, 2), torch.arange(200))
    similarities, ids = index.search(torch.ones(1, 2), k=50)
    assert len(set(ids[0].tolist())) == 50
    assert (similarities == 2).all()


def test_exact_search_needs_no_fast_integers(embeddings, monkeypatch):
    monkeypatch.setattr(nearest, "SPARSE", 4)
    large = torch.cat([embeddings, torch.randn(3000, DIM)])
    answers = []
    for fast in (True, False):
        monkeypatch.setattr(indexes, "codes_are_fast", lambda fast=fast: fast)
        index = ExactIndex(DIM)
        index.add(large[:2000], torch.arange(2000))
        index.add(large[2000:], torch.arange(2000, 3600))
        index.remove(torch.arange(5))
        answers.append(index.search(embeddings, 5)[1])
    assert torch.equal(*answers)


@every_kind
def test_mixed_precision_around_a_search_changes_nothing(kind, embeddings, ids):
    wanted = filled(kind, embeddings, ids).search(embeddings[:20], 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = filled(kind, embeddings, ids).search(embeddings[:20], 5)
    assert found[0].dtype == torch.float32
    assert torch.allclose(found[0], wanted[0], atol=1e-6)


def test_rows_of_a_single_number_are_searched(monkeypatch):
    monkeypatch.setattr(nearest, "SPARSE", 1)
    index = ExactIndex(1)
    index.add(torch.arange(5000.0)[:, None], torch.arange(5000))
    assert index.search([[1.0], [-1.0]], 2)[1].tolist() == [[4999, 4998], [0, 1]]


@every_kind
def test_answers_are_the_users_ids(kind, embeddings, ids):
    index = filled(kind, embeddings, ids)
    similarities, found = index.search(embeddings[:50], k=5)
    assert (found[:, 0] == ids[:50]).all()
    assert torch.allclose(similarities[:, 0], torch.ones(50), atol=1e-5)
    assert (similarities.diff(dim=1) <= 0).all()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_approximate_indexes_return_is_compared_exactly(kind, embeddings, ids):
    similarities, found = filled(kind, embeddings, ids).search(embeddings[:9], k=5)
    rows = embeddings[(found - ids[0]) // 7]
    exact = torch.einsum("qd,qkd->qk", embeddings[:9], rows)
    assert torch.allclose(similarities, exact, atol=1e-6)


def test_approximate_indexes_find_nearly_all(embeddings, ids):
    wanted = best(embeddings, embeddings, 10)
    for index in (HNSWIndex(DIM), IVFPQIndex(DIM, lists=8, probes=4)):
        index.add(embeddings, ids)
        found = ((index.search(embeddings, 10)[1] - ids[0]) // 7).numpy()
        rows = zip(found, wanted, strict=True)
        recall = np.mean([np.isin(a, b).mean() for a, b in rows])
        assert recall > 0.9


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


@pytest.mark.parametrize("kind", KINDS[1:])
def test_approximate_indexes_insist_on_unit_length(kind, embeddings, ids):
    index = kind(DIM)
    with pytest.raises(ValueError, match=r"unit length .* lengths from 2 to 2"):
        index.add(embeddings * 2, ids)
    assert len(index) == 0


def test_product_quantisation_says_how_much_it_needs(embeddings, ids):
    index = IVFPQIndex(DIM)
    with pytest.raises(ValueError, match="needs 256 embeddings, got 255"):
        index.add(embeddings[:255], ids[:255])
    index.add(embeddings, ids)
    assert len(index) == COUNT


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
        with pytest.raises(ValueError, match="is not an index, or is cut short"):
            Index.load(path)
    with pytest.raises(FileNotFoundError, match="no saved index"):
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


def test_being_killed_while_saving_leaves_the_old_index(embeddings, ids, tmp_path):
    path = filled(ExactIndex, embeddings, ids).save(tmp_path / "gallery.index")
    code = """
import os, sys, torch
from pathlib import Path
from cvlib import checkpoints
from cvlib.search import exact as indexes
def half(tensors, place, metadata):
    Path(place).write_bytes(b"half")
    os._exit(9)
checkpoints.save_file = half
index = indexes.ExactIndex(16)
index.add(torch.ones(1, 16), [1])
index.save(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == 9
    assert len(ExactIndex.load(path)) == COUNT


def test_faiss_is_imported_only_for_approximate_search():
    code = """
import sys, torch
from cvlib.search.exact import ExactIndex
from cvlib.search.approximate import HNSWIndex
index = ExactIndex(4)
index.add(torch.eye(4), torch.arange(4))
index.search(torch.eye(4), 1)
assert "faiss" not in sys.modules
HNSWIndex(4).add(torch.eye(4), torch.arange(4))
assert "faiss" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def manifest(root: Path) -> list[dict]:
    text = (root / "book" / "similarity" / "qdrant.yaml").read_text("utf8")
    return list(yaml.safe_load_all(text))


def test_the_clusters_manifest_is_valid_kubernetes(root: Path):
    for document in manifest(root):
        kubernetes_validate.validate(document, "1.33", strict=True)
    broken = manifest(root)[-1]
    broken["spec"]["replicas"] = "three"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.33", strict=True)


def test_the_clusters_parts_name_each_other(root: Path):
    parts = {(d["kind"], d["metadata"]["name"]): d for d in manifest(root)}
    stateful = parts["StatefulSet", "qdrant"]["spec"]
    peers = parts["Service", stateful["serviceName"]]["spec"]
    clients = parts["Service", "qdrant"]["spec"]
    container = stateful["template"]["spec"]["containers"][0]
    labels = stateful["template"]["metadata"]["labels"]
    assert peers["clusterIP"] == "None" and "clusterIP" not in clients
    assert peers["selector"] == clients["selector"]
    assert peers["selector"].items() <= labels.items()
    assert f".{stateful['serviceName']}:6335" in container["command"][-1]
    assert stateful["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    served = [*clients["ports"], *peers["ports"]]
    assert ports == {port["name"]: port["port"] for port in served}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {v["metadata"]["name"] for v in stateful["volumeClaimTemplates"]}


BESIDE_METRIC_LEARNING = """
import torch
from pytorch_metric_learning import losses  # loads FAISS's layer for torch
from cvlib.search.approximate import HNSWIndex

rows = torch.nn.functional.normalize(torch.rand(50, 8))
index = HNSWIndex(8)
index.add(rows, range(50))
print(index.search(rows[:1], k=1)[1].item())
"""


def test_it_works_beside_pytorch_metric_learning():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BESIDE_METRIC_LEARNING],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]
