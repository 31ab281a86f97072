"""cvlib: what the chapters of the book import, and you can too.

    backbones        pretrained networks and the embeddings they give
    images           reading images, once and fast
    devices          the processor or accelerator to run on
    recording        the numbers a chapter puts on record
    datasets         data sets by name: shipped, downloaded, mirrored, or your folder
    classification   what is in the image: data → model → train → evaluate → plot
    book             the engine that runs, judges and shows the chapters

Import the module you need: `from cvlib.classification.model import load_classifier`.
`import cvlib` alone costs milliseconds.
"""

from cvlib.recording import record

__all__ = ["record"]
__version__ = "0.1.0"
