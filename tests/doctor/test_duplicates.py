"""Copies and near copies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvlib.datasets import fetch
from cvlib.doctor import duplicates
from cvlib.doctor.files import THUMB, Facts, look_at_all

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)))


def facts(name: str, thumb: np.ndarray, digest: str = "") -> Facts:
    return Facts(Path(name), digest=digest or name, thumb=thumb.astype(np.uint8))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (THUMB, THUMB))


def test_the_same_bytes_are_copies_and_not_near_copies():
    same = [facts("a", noise(0), "x"), facts("b", noise(0), "x")]
    assert duplicates.find_copies(same) == [[Path("a"), Path("b")]]
    assert duplicates.find_near_copies(same) == []


def test_brightness_and_contrast_do_not_hide_a_copy():
    found = [
        facts("a", noise(0)),
        facts("b", noise(0) * 0.6 + 50),
        facts("c", noise(1)),
    ]
    assert duplicates.find_near_copies(found) == [[Path("a"), Path("b")]]


def test_blank_pictures_are_not_copies_of_each_other():
    flat = [facts(n, np.full((THUMB, THUMB), v)) for n, v in (("a", 9), ("b", 200))]
    assert duplicates.find_near_copies(flat) == []


def test_no_pictures_have_no_copies():
    assert duplicates.find_near_copies([]) == []
    assert duplicates.find_copies([Facts(Path("broken"))]) == []


def test_photographs_of_one_product_are_not_copies():
    paths = sorted((fetch("pantry/products") / "train" / "box").glob("*.jpg"))
    assert duplicates.find_near_copies(list(look_at_all(paths, workers=1))) == []


@given(EDGES)
def test_clusters_hold_what_hangs_together(edges: list[tuple[int, int]]):
    pairs = np.array([(a, b) for a, b in edges if a != b], int).reshape(-1, 2)
    edges = [tuple(pair) for pair in pairs.tolist()]
    groups = [group.tolist() for group in duplicates.clusters(pairs, 10)]
    place = {node: i for i, group in enumerate(groups) for node in group}
    assert sorted(place) == sorted({node for edge in edges for node in edge})
    assert all(place[a] == place[b] for a, b in edges)
    reached = {frozenset(group) for group in groups}
    for group in reached:  # every member is reached from the first along the edges
        seen, new = set(), {min(group)}
        while new:
            seen |= new
            new = {b for e in edges for a, b in (e, e[::-1]) if a in new} - seen
        assert seen == group


def test_a_thousand_frames_of_one_camera_are_one_group_and_no_million_pairs(
    monkeypatch: pytest.MonkeyPatch,
):
    cropped = []
    monkeypatch.setattr(
        duplicates, "_crops", lambda thumb: cropped.append(thumb) or thumb[None]
    )
    scene, frames = noise(0), []
    for number in range(1000):
        frame = scene.copy()
        frame[number % 40 : number % 40 + 4, :4] = 255
        frames.append(facts(f"{number:04}", frame))
    (group,) = duplicates.find_near_copies(frames)
    assert len(group) == 1000
    assert cropped == []


def test_a_chain_is_found_across_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(duplicates, "BLOCK", 3)
    found = [facts(f"{i}", noise(i % 4) + i // 4) for i in range(12)]
    groups = duplicates.find_near_copies(found)
    assert [[p.name for p in g] for g in groups] == [
        [str(i) for i in (k, k + 4, k + 8)] for k in range(4)
    ]
