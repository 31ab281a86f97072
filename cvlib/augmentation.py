"""What a network in training gets to see: images changed at random."""

from torchvision.transforms import v2


def augmentation(size: int, *, grey: float = 0.3) -> v2.Transform:
    """Random crops of `size` pixels, mirrored and recoloured at random.

    A share `grey` of them loses its colour, and with `grey` above 0 hues turn freely:
    right where colour must not decide, wrong where it does. Used in
    book/data/how-many-images.
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.4, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.3, 0.3, 0.3, hue=0.5 if grey else 0),
            v2.RandomGrayscale(grey),
        ]
    )
