"""cvlib: what the chapters of the book import, and you can too.

    backbones        pretrained networks and the embeddings they give
    images           reading images, once and fast
    labelled         files of one label each, as training loops read them
    training         what fastai's training loop leaves to us
    checkpoints      weights and what they need, in one file
    indexes          nearest neighbours among many embeddings, exact and approximate
    nearest          the arithmetic of exact search
    explorers        results to browse in a page
    boxes            how much boxes overlap, and which match
    intervals        how far a number can be trusted
    devices          the processor or accelerator to run on
    recording        the numbers a chapter puts on record
    datasets         data by name or folder: formats, splits, and a doctor for it
    classification   what is in the image: data → model → train → evaluate → plot
    similarity       which image is most like this one: the same five files
    book             the engine that runs, judges and shows the chapters

Import the module you need: `from cvlib.classification.model import load_classifier`.
`import cvlib` alone costs milliseconds.
"""

from cvlib.recording import record

__all__ = ["record"]
__version__ = "0.1.0"
