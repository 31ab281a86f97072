import math

import numpy as np
import pytest
import torch

import cvlib
from cvlib.recording import MIME_TYPE, as_text, record


class Kernel:
    """Stands for IPython inside a kernel."""

    kernel = object()


@pytest.fixture
def shown(monkeypatch):
    """Everything displayed, as in a notebook."""
    bundles = []
    monkeypatch.setattr("IPython.get_ipython", Kernel)
    monkeypatch.setattr(
        "IPython.display.display", lambda bundle, raw: bundles.append(bundle)
    )
    return bundles


def test_the_package_exposes_it():
    assert cvlib.record is record


def test_numbers_become_one_flat_object_and_text(shown):
    record(accuracy=0.5, images=320)
    assert shown == [
        {
            MIME_TYPE: {"accuracy": 0.5, "images": 320},
            "text/plain": "accuracy  0.5\nimages    320",
        }
    ]


@pytest.mark.parametrize(
    "value", [np.float32(2), np.int64(2), torch.tensor(2.0), np.array(2), 2]
)
def test_scalars_of_numpy_and_torch_become_plain_numbers(shown, value):
    record(value=value)
    (stored,) = shown[0][MIME_TYPE].values()
    assert stored == 2 and type(stored) in (int, float)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool"),
        (np.bool_(True), "bool"),
        ("0.9", "str"),
        (None, "NoneType"),
        ([1.0], "list"),
        (np.ones(2), "ndarray"),
        (1j, "complex"),
    ],
)
def test_what_is_no_number_is_an_error_naming_key_and_type(value, kind):
    with pytest.raises(TypeError, match=rf"record\(recall=…\).*got {kind}"):
        record(recall=value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_is_an_error_naming_the_key(value):
    with pytest.raises(ValueError, match=r"record\(loss=…\) must be finite"):
        record(loss=value)


def test_outside_a_notebook_it_prints_nothing(capsys):
    assert record(accuracy=0.5) is None
    assert capsys.readouterr() == ("", "")


def test_recording_nothing_shows_nothing(shown):
    record()
    assert not shown


def test_text_aligns_names_and_shortens_floats():
    assert as_text({"a": 1 / 3, "images": 1234}) == "a       0.3333\nimages  1,234"
    assert as_text({}) == ""
