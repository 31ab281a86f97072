"""Copies and near copies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

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


def test_of_the_same_bytes_the_first_is_named():
    found = [
        facts("a", noise(0), "x"),
        facts("b", noise(0), "x"),
        facts("c", noise(1)),
        facts("d", noise(0) * 0.6 + 50),
    ]
    assert duplicates.find_near_copies(found) == [[Path("a"), Path("d")]]


def test_a_picture_whose_tones_deviate_by_two_is_not_blank():
    """Of two tones, half the pixels each, the deviation is half their distance."""
    stripes = np.tile([100, 104], (THUMB, THUMB // 2))
    for apart, copies in ((4, 1), (3, 0)):
        first = np.minimum(stripes, 100 + apart)
        found = [facts("a", first), facts("b", first + 50)]
        assert len(duplicates.find_near_copies(found)) == copies


def test_each_output_pixel_averages_its_share():
    third = np.float32(1 / 3)
    (halves, fine) = (duplicates._sampling(size, 0, 0) for size in (2, 32))
    assert halves.tolist() == [[np.float32(1 / 24)] * 24 + [0] * 24,
                               [0] * 24 + [np.float32(1 / 24)] * 24]  # fmt: skip
    assert fine.shape == (32, 48)  # one and a half pixels become one
    assert fine[0, :3].tolist() == pytest.approx([2 * third, third, 0])
    assert fine[1, :3].tolist() == pytest.approx([0, third, 2 * third])
    left = duplicates._sampling(1, 0.25, 0)
    assert left.tolist() == [[0] * 12 + [np.float32(1 / 36)] * 36]
    right = duplicates._sampling(1, 0, 0.25)
    assert right.tolist() == [[np.float32(1 / 36)] * 36 + [0] * 12]


def test_rows_become_of_unit_length_and_an_even_one_nought():
    found = duplicates._unit(np.array([[1, 9], [5, 5]], np.float32))
    assert found[0].tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])
    assert found[1].tolist() == [0, 0]


def test_the_details_are_what_differs_from_the_five_by_five_around():
    """A point of 25 among noughts: less 1 in each of the 25 pixels around it."""
    side = duplicates.FINE
    pictures = np.zeros((2, side, side), np.float32)
    pictures[0, 9, 9] = 25
    found = duplicates._details(pictures.reshape(2, -1)).reshape(2, side, side)
    wanted = np.zeros((side, side))
    wanted[7:12, 7:12] = -1
    wanted[9, 9] = 24
    np.testing.assert_allclose(found[0], wanted / 600**0.5, atol=1e-6)
    assert not found[1].any()  # pictures do not reach into each other


def test_at_the_edge_the_nearest_pixels_stand_for_those_beyond():
    """The corner's copies make it 9 of its 25 pixels, 6 of the next, 3, none."""
    side = duplicates.FINE
    picture = np.zeros((side, side), np.float32)
    picture[0, 0] = 25
    weights = np.array([3, 2, 1] + [0] * (side - 3))
    wanted = picture - np.outer(weights, weights)
    wanted -= wanted.mean()
    found = duplicates._details(picture.reshape(1, -1)).reshape(side, side)
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted), atol=1e-6)


def test_all_crops_of_a_picture_are_tried():
    """Rows and columns cut by different shares: the whole first, 5 % all round last."""
    picture = noise(3).astype(np.float32)
    crops = duplicates._crops(picture)
    assert crops.shape == (81, duplicates.FINE**2)
    for number, (top, bottom), (left, right) in (
        (0, (0, 0), (0, 0)),
        (1, (0, 0), (0, 0.025)),
        (6, (0, 0), (0.05, 0)),
        (18, (0, 0.05), (0, 0)),
        (80, (0.05, 0.05), (0.05, 0.05)),
    ):
        rows = duplicates._sampling(duplicates.FINE, top, bottom)
        columns = duplicates._sampling(duplicates.FINE, left, right)
        cut = (rows @ picture @ columns.T).reshape(1, -1)
        np.testing.assert_allclose(
            crops[number], duplicates._details(cut)[0], atol=1e-4
        )


def scene(seed: int, size: int) -> np.ndarray:
    """Blots that a crop shifts and does not destroy, [size, size], 0 to 255."""
    rough = np.random.default_rng(seed).integers(0, 255, (10, 10)).astype(np.uint8)
    picture = Image.fromarray(rough).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def small(picture: np.ndarray) -> np.ndarray:
    own = Image.fromarray(picture).resize((THUMB, THUMB), Image.Resampling.BOX)
    return np.asarray(own)


@pytest.mark.parametrize("block", [512, 2])
def test_a_crop_is_found_whichever_of_the_two_comes_first(
    monkeypatch: pytest.MonkeyPatch, block: int
):
    """A strip off the left and the top: neither has the other's details as it is."""
    monkeypatch.setattr(duplicates, "BLOCK", block)
    whole = scene(0, 960)
    pair = [facts("whole", small(whole)), facts("cut", small(whole[24:, 48:]))]
    others = [facts(f"{n}", small(scene(n, 960))) for n in range(1, 5)]
    for order in (1, -1):
        given = [*others[:2], *pair[::order], *others[2:]]
        names = [[path.name for path in g] for g in duplicates.find_near_copies(given)]
        assert names == [["whole", "cut"][::order]]


def test_only_the_closest_candidates_are_looked_at_closer(
    monkeypatch: pytest.MonkeyPatch,
):
    """Five pictures that share an outline, with details of their own each."""
    monkeypatch.setattr(duplicates, "CANDIDATE", 0.5)
    outline = np.zeros((THUMB, THUMB))
    outline[:24] = 120
    found = [outline + noise(n) * 0.4 for n in range(5)]
    thumbs = np.array(found, np.float32)
    side = duplicates._sampling(duplicates.FINE, 0, 0)
    whole = duplicates._details(duplicates._resampled(thumbs, side, side))
    sure, unsure = duplicates._candidates(thumbs, whole)
    assert not len(sure)
    assert sorted(map(tuple, unsure)) == [
        (a, b) for a in range(5) for b in range(a + 1, 5)
    ]
    monkeypatch.setattr(duplicates, "MOST", 1)
    _, best = duplicates._candidates(thumbs, whole)
    coarse = duplicates._sampling(duplicates.COARSE, 0, 0)
    rows = duplicates._resampled(thumbs, coarse, coarse)
    alike = np.corrcoef(rows)
    assert sorted(map(tuple, best)) == [
        (a, a + 1 + int(alike[a, a + 1 :].argmax())) for a in range(4)
    ]
