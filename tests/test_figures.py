import warnings

import matplotlib as mpl
import pytest
import torch
from matplotlib.figure import Figure

from cvlib.figures import show_images, use_figure_style


@pytest.mark.parametrize(("count", "columns"), [(0, 8), (1, 8), (11, 4)])
def test_a_contact_sheet_shows_every_image_and_caption(count, columns):
    ax = Figure().subplots()
    images = torch.zeros(count, 3, 8, 8, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sheet = show_images(
            ax, images, [f"n{i}" for i in range(count)], columns=columns
        )
    assert sheet is ax
    assert len(ax.images) == count
    assert [text.get_text() for text in ax.texts] == [f"n{i}" for i in range(count)]


def test_figures_stand_on_a_white_card():
    with mpl.rc_context():
        use_figure_style()
        assert mpl.rcParams["savefig.facecolor"] == "white"
