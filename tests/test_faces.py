"""Faces: names that are imported when somebody asks for them."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import cvlib
from cvlib import faces

LAZY = ("cvlib", "cvlib.datasets", "cvlib.classification", "cvlib.similarity")
LAZY += ("cvlib.detection",)


@pytest.mark.parametrize("package", LAZY)
def test_a_package_keeps_what_its_face_promises(package: str):
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None, name
    assert set(module.__all__) <= set(dir(module))
    assert set(faces.origins(package)) <= set(module.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_no_name_that_is_handed_on_is_the_name_of_a_module(package: str, root: Path):
    """A module's name becomes the module, once anybody imports it."""
    folder = root.joinpath(*package.split("."))
    modules = {path.stem for path in folder.iterdir()}
    assert not modules & set(faces.origins(package))


@pytest.mark.slow
def test_first_uses_work_as_they_are_typed():
    code = (
        "import cvlib; cvlib.datasets.formats; cvlib.doctor.examine;"
        "import cvlib.datasets as d; d.formats; d.registry.DATASETS;"
        "from cvlib.classification import load_classifier;"
        "from cvlib.similarity import load_embedder, recall_at_k;"
        "from cvlib import load, fetch, read, write, record, boxes;"
        "print(load_classifier.__module__, load.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "cvlib.classification.model cvlib.datasets.loading\n"


def test_a_name_is_looked_up_once():
    first = cvlib.load
    assert vars(cvlib)["load"] is first


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("laod", "module 'cvlib' has no attribute 'laod'; did you mean 'load'"),
        ("qqq", "module 'cvlib' has no attribute 'qqq'$"),
        ("__wrapped__", "has no attribute '__wrapped__'$"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_closest(name: str, said: str):
    with pytest.raises(AttributeError, match=said):
        getattr(cvlib, name)


def test_what_stands_in_another_room_is_named():
    from cvlib import datasets

    with pytest.raises(AttributeError, match=r"there is cvlib\.doctor$"):
        datasets.doctor  # noqa: B018


def test_an_import_that_fails_inside_a_module_is_not_taken_for_a_missing_name(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "numpy", None)
    for name in [m for m in sys.modules if m.startswith("cvlib.boxes")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match="numpy"):
        faces.face("cvlib")[0]("boxes")
