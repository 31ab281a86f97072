"""What is in the image: one label of a fixed list.

Data flows through five files: `data` reads a folder of images per class, `model` puts a
new head on a pretrained backbone, `train` fine-tunes it, `evaluate` turns predictions
into numbers with intervals, `plot` draws them.

    from cvlib.classification import load_classifier

Each name is imported from its file when you ask for it.
"""

from typing import TYPE_CHECKING

from cvlib.faces import face

if TYPE_CHECKING:
    from cvlib.classification.data import (
        read_splits,
    )
    from cvlib.classification.evaluate import (
        answering_threshold,
        average_precision_per_tag,
        best_thresholds,
        calibration_bins,
        expected_calibration_error,
        fit_temperature,
        grad_cam,
        grouped_interval,
        pareto_front,
        recall_per_class,
        risk_bound,
        risk_coverage,
        worst_mistakes,
    )
    from cvlib.classification.model import (
        Classifier,
        Prediction,
        build_classifier,
        load_classifier,
        predict,
        predict_logits,
        predict_probabilities,
        set_head,
    )
    from cvlib.classification.plot import (
        plot_accuracy,
        plot_confusion,
        plot_losses,
        plot_lr_finder,
        plot_pareto,
        plot_prediction,
        plot_recall,
        plot_reliability,
    )
    from cvlib.classification.train import (
        fit,
    )

__all__ = [
    "Classifier",
    "Prediction",
    "answering_threshold",
    "average_precision_per_tag",
    "best_thresholds",
    "build_classifier",
    "calibration_bins",
    "expected_calibration_error",
    "fit",
    "fit_temperature",
    "grad_cam",
    "grouped_interval",
    "load_classifier",
    "pareto_front",
    "plot_accuracy",
    "plot_confusion",
    "plot_losses",
    "plot_lr_finder",
    "plot_pareto",
    "plot_prediction",
    "plot_recall",
    "plot_reliability",
    "predict",
    "predict_logits",
    "predict_probabilities",
    "read_splits",
    "recall_per_class",
    "risk_bound",
    "risk_coverage",
    "set_head",
    "worst_mistakes",
]
__getattr__, __dir__ = face(__name__)
