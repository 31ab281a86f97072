import grimp
import pytest

from cvlib.book.imports import modules_named

MODULES = frozenset(grimp.build_graph("cvlib", cache_dir=None).modules)
HOUSE = {"cvlib"}
DATA = {"cvlib", "cvlib.datasets"}
MODEL = {"cvlib", "cvlib.classification", "cvlib.classification.model"}


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("import cvlib\ncvlib.record(x=1)", HOUSE | {"cvlib.recording"}),
        ("import cvlib as cv\ncv.load('x')", DATA | {"cvlib.datasets.loading"}),
        ("from cvlib import read", DATA | {"cvlib.datasets.formats"}),
        ("from cvlib.classification import load_classifier", MODEL),
        ("import cvlib\ncvlib.classification.load_classifier(x)", MODEL),
        ("from cvlib import classification as c\nc.load_classifier(x)", MODEL),
        ("from cvlib.classification.model import predict", MODEL),
        ("import cvlib.classification.model", MODEL),
        (
            "import cvlib\ncvlib.datasets.splits.assign",
            DATA | {"cvlib.datasets.splits"},
        ),
        ("import cvlib as cv\ncv.classification.load_classifier(x)", MODEL),
        ("import cvlib.classification as c\nc.load_classifier(x)", MODEL),
        (
            "import cvlib.faces\nimport cvlib.recording",
            HOUSE | {"cvlib.faces", "cvlib.recording"},
        ),
        ("%run setup.py\ncvlib.load(x)", DATA | {"cvlib.datasets.loading"}),
        ("!rm -r x\n  %time\nimport cvlib", HOUSE),
        ("from cvlib import load as fetch\nfetch()", DATA | {"cvlib.datasets.loading"}),
        ("from cvlib import nothing_of_this_name", HOUSE),
        ("from . import x\nfrom numpy import array as cvlib", set()),
        ("%pip install cvlib\nimport torch\ntorch.load", set()),
        ("name = 'text'\nload = name.upper()", set()),
    ],
)
def test_a_name_counts_as_the_module_that_defines_it(cell: str, wanted: set[str]):
    assert modules_named([cell], MODULES) == wanted


def test_a_name_bound_in_one_cell_is_known_in_the_next():
    cells = ["import cvlib.datasets as d", "d.fetch('clothing')"]
    assert "cvlib.datasets.download" in modules_named(cells, MODULES)


def test_a_name_from_nowhere_brings_nothing():
    assert modules_named(["from cvlib.nowhere import x"], MODULES) == {"cvlib"}
