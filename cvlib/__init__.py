"""cvlib: what the chapters of the book import, and you can too.

    import cvlib

    images = cvlib.load("~/my_folder")                   # or the name of a data set
    cvlib.write(images, "out", format="yolo")            # any format to any other
    from cvlib.classification import load_classifier     # each scenario's verbs

Nouns, which know nothing of scenarios:

    samples          Sample and ImageSet: images and all that is known of them
    boxes masks      how much boxes overlap and which match; masks, coded and drawn
    images figures   reading images, once and fast; how figures look
    files            writing a file whole or not at all
    devices          the processor or accelerator to run on
    intervals        how far a number can be trusted
    recording        the numbers a chapter puts on record
    checkpoints      weights and what they need, in one file
    backbones        pretrained networks and what they want of an image
    embeddings       one vector an image, or one a place in it
    models           what every portable model shares: kind, normalise, save, load
    training         the training loop that scenarios share
    augmentation     images changed at random, for training
    search           nearest neighbours among many embeddings, exact and approximate
    explorers        results to browse in a page
    datasets         data by name or folder: registry, download, formats, splits

Applications of them, which do not know each other:

    classification   what is in the image: data → model → train → evaluate → plot
    similarity       which image is most like this one: the same five files
    detection        where it is, and how many: the same five files
    doctor           what is wrong with a data set, before a model learns it
    book             the engine that runs, judges and shows the chapters

`cvlib.load`, `fetch`, `read`, `write` and `record`, and every room above as an
attribute, are imported when you ask for them: `import cvlib` alone costs milliseconds.
"""

from typing import TYPE_CHECKING

from cvlib.faces import face

if TYPE_CHECKING:
    from cvlib import (
        augmentation,
        backbones,
        book,
        boxes,
        checkpoints,
        classification,
        datasets,
        detection,
        devices,
        doctor,
        embeddings,
        explorers,
        figures,
        files,
        images,
        intervals,
        masks,
        models,
        recording,
        samples,
        search,
        similarity,
        training,
    )
    from cvlib.datasets.download import fetch
    from cvlib.datasets.formats import read, write
    from cvlib.datasets.loading import load
    from cvlib.recording import record

__all__ = [
    "augmentation",
    "backbones",
    "book",
    "boxes",
    "checkpoints",
    "classification",
    "datasets",
    "detection",
    "devices",
    "doctor",
    "embeddings",
    "explorers",
    "fetch",
    "figures",
    "files",
    "images",
    "intervals",
    "load",
    "masks",
    "models",
    "read",
    "record",
    "recording",
    "samples",
    "search",
    "similarity",
    "training",
    "write",
]
__version__ = "0.1.0"
__getattr__, __dir__ = face(__name__)
