"""A classifier from 134 photographs: embed and fit a head, beside fastai's fine-tune.

Both decode the same files, start from the same weights and are timed after imports.
Their accuracy on the same test images is in `extra_info`: speed is no use alone.
"""

from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from torch import Tensor, nn

from cvlib.backbones import Backbone, load_backbone
from cvlib.classification.data import read_splits
from cvlib.classification.model import (
    Classifier,
    build_classifier,
    predict_logits,
    set_head,
)
from cvlib.devices import keep_memory, seed_everything
from cvlib.embeddings import embed
from cvlib.images import load_images
from cvlib.samples import ImageSet

COUNT = 134


@pytest.fixture
def backbone() -> Backbone:
    keep_memory()  # as the engine does for chapters
    return load_backbone()


@pytest.fixture(scope="module")
def splits() -> dict[str, ImageSet]:
    found = read_splits("pantry/products")
    order = torch.randperm(
        len(found["train"]), generator=torch.Generator().manual_seed(0)
    )
    few = order[:COUNT]
    train = found["train"]
    found["train"] = train.having(train[i] for i in few.tolist())
    return found


@pytest.fixture(scope="module")
def test_images(splits: dict[str, ImageSet]) -> Tensor:
    return load_images(splits["test"].paths, size=224)


def embed_and_fit(split: ImageSet, backbone: Backbone) -> Classifier:
    """Files → a classifier: decode, embed, fit a linear head."""
    head = LogisticRegression(C=1.0, max_iter=2000)
    head.fit(embed(backbone, split.paths).numpy(), split.labels)
    model = build_classifier(backbone, split.class_names)
    set_head(model, head.coef_, head.intercept_)
    return model


def fastai_fine_tune(split: ImageSet, backbone: Backbone, folder: Path) -> nn.Module:
    """Files → a classifier, by fastai's `fine_tune(1)`: its loaders, its two epochs."""
    from fastai.callback.schedule import fine_tune  # noqa: F401 (a method of Learner)
    from fastai.learner import Learner
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize

    loaders = ImageDataLoaders.from_lists(
        folder,
        split.paths,
        [split.class_names[label] for label in split.labels],
        valid_pct=0.1,
        seed=0,
        item_tfms=Resize(224),
        batch_tfms=Normalize.from_stats(backbone.mean, backbone.std),
        bs=16,
        num_workers=0,
    )
    assert list(loaders.vocab) == split.class_names
    head = nn.Linear(backbone.embedding_dim, len(split.class_names))
    model = nn.Sequential(backbone.module, head)
    learn = Learner(
        loaders,
        model,
        loss_func=nn.CrossEntropyLoss(),
        splitter=lambda model: [list(part.parameters()) for part in model],
    )
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1)
    return model.eval()


def accuracy_on(split: ImageSet, logits: Tensor) -> float:
    return accuracy_score(split.labels, logits.argmax(dim=1))


@pytest.mark.benchmark(group="a classifier from 134 images")
def test_embed_and_fit(
    benchmark: BenchmarkFixture, splits, backbone, test_images
) -> None:
    model = benchmark.pedantic(
        embed_and_fit, args=[splits["train"], backbone], rounds=3, warmup_rounds=1
    )
    found = accuracy_on(splits["test"], predict_logits(model, test_images))
    benchmark.extra_info["test_accuracy"] = found
    assert found > 0.5


@pytest.mark.benchmark(group="a classifier from 134 images")
@pytest.mark.filterwarnings("ignore")  # fastai's own, about pandas and numpy
def test_fastai_fine_tune(
    benchmark: BenchmarkFixture, splits, backbone, test_images, tmp_path
) -> None:
    seed_everything(0)
    model = benchmark.pedantic(
        fastai_fine_tune, args=[splits["train"], backbone, tmp_path], rounds=1
    )
    with torch.inference_mode():
        parts = [model(backbone.normalize(x)) for x in test_images.split(16)]
    found = accuracy_on(splits["test"], torch.cat(parts))
    benchmark.extra_info["test_accuracy"] = found
    assert found >= 0.2  # of eight classes, after two short epochs
