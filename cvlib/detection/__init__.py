"""Where it is, and how many: boxes, each with a label and a score.

Data flows through five files: `data` reads a set with boxes, `model` puts a detector's
head on a pretrained backbone, `train` fits it, `evaluate` turns predictions into
numbers with intervals, `plot` draws them.

A **target** is what `Sample.target()` gives. A **prediction** is one image's dict:
`boxes` float32 [N, 4], XYXY in pixels of the upright picture, `labels` int64 [N],
places in `class_names` counted from 0, `scores` float32 [N], best first; and `masks` or
`keypoints` where the model finds them.

Each name is imported from its file when you ask for it.
"""

from typing import TYPE_CHECKING

from cvlib.faces import face

if TYPE_CHECKING:
    from cvlib.detection.data import (
        describe_boxes,
        read_splits,
        trainable,
        upright,
    )
    from cvlib.detection.evaluate import (
        ap_difference,
        ap_interval,
        average_precision,
        confusion,
        count_curves,
        error_types,
        evaluate_detections,
        match_objects,
    )
    from cvlib.detection.model import (
        Detector,
        build_detector,
        load_detector,
        predict,
        predict_stream,
        predict_tiles,
    )
    from cvlib.detection.plot import (
        plot_boxes,
        plot_counts,
        plot_precision_recall,
        plot_training,
    )
    from cvlib.detection.train import (
        augmentation,
        fit,
    )

__all__ = [
    "Detector",
    "ap_difference",
    "ap_interval",
    "augmentation",
    "average_precision",
    "build_detector",
    "confusion",
    "count_curves",
    "describe_boxes",
    "error_types",
    "evaluate_detections",
    "fit",
    "load_detector",
    "match_objects",
    "plot_boxes",
    "plot_counts",
    "plot_precision_recall",
    "plot_training",
    "predict",
    "predict_stream",
    "predict_tiles",
    "read_splits",
    "trainable",
    "upright",
]
__getattr__, __dir__ = face(__name__)
