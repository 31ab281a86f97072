"""Which of my images is most like this one, also among things nobody trained on.

Data flows through five files: `data` reads images and which thing each shows, `model`
turns images into embeddings, `train` moves images of one thing closer together,
`evaluate` ranks a gallery and says how far down the first match is, `plot` draws it.

    from cvlib.similarity import load_embedder

Each name is imported from its file when you ask for it.
"""

from typing import TYPE_CHECKING

from cvlib.faces import face

if TYPE_CHECKING:
    from cvlib.similarity.data import (
        ComparativeSets,
        comparative_sets,
        read_splits,
        shared_labels,
    )
    from cvlib.similarity.evaluate import (
        average_precisions,
        comparative_ranks,
        match_ranks,
        mean_average_precision,
        median_rank,
        recall_at_k,
        rerank,
    )
    from cvlib.similarity.model import (
        Embedder,
        build_embedder,
        load_embedder,
    )
    from cvlib.similarity.plot import (
        plot_closest,
        plot_intervals,
        plot_neighbours,
        plot_recalls,
    )
    from cvlib.similarity.train import (
        MinedLoss,
        fit,
        softmax_loss,
    )

__all__ = [
    "ComparativeSets",
    "Embedder",
    "MinedLoss",
    "average_precisions",
    "build_embedder",
    "comparative_ranks",
    "comparative_sets",
    "fit",
    "load_embedder",
    "match_ranks",
    "mean_average_precision",
    "median_rank",
    "plot_closest",
    "plot_intervals",
    "plot_neighbours",
    "plot_recalls",
    "read_splits",
    "recall_at_k",
    "rerank",
    "shared_labels",
    "softmax_loss",
]
__getattr__, __dir__ = face(__name__)
