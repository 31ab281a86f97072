"""What a phone does to light: exposure, white balance, blur, noise, sharpening, JPEG.

Used by `cvlib.pantry.generate` on the renderer's linear image.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvlib.pantry.seeds import between, generator

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Effects:
    """The faults of one photograph.

    `exposure` is the brightness the meter aims at, 0-1; `balance` how much of the
    light's colour is corrected, with the leftover `warmth`; `defocus` and `motion`
    are blur radii in pixels at 224; `noise` is a share of full scale in mid grey.
    """

    exposure: float
    balance: float
    warmth: float
    contrast: float
    vignette: float
    defocus: float
    motion: float
    direction: float
    noise: float
    sharpen: float
    quality: int


def draw_effects(name: str, light: str) -> Effects:
    """The faults of the photograph called `name`; dim light brings noise and blur."""
    rng = generator("photo", name)
    dim = light == "dim"
    shaky = rng.random() < (0.3 if dim else 0.12)
    soft = rng.random() < 0.25
    return Effects(
        exposure=between(rng, 0.14, 0.32) if dim else between(rng, 0.3, 0.62),
        balance=between(rng, 0.25, 0.75),
        warmth=round(float(rng.normal(0, 0.06)), 4),
        contrast=between(rng, 0.15, 0.7),
        vignette=between(rng, 0.05, 0.4),
        defocus=between(rng, 0.6, 1.8) if soft else between(rng, 0.0, 0.5),
        motion=between(rng, 1.5, 5.0) if shaky else 0.0,
        direction=between(rng, 0, 180),
        noise=between(rng, 0.03, 0.075) if dim else between(rng, 0.008, 0.035),
        sharpen=between(rng, 0.0, 0.7),
        quality=int(rng.integers(68, 92)),
    )


def photograph(light: Array, effects: Effects, *, name: str) -> bytes:
    """The JPEG file that a phone would write for linear light [H, W, 3]."""
    rng = generator("noise", name)
    seen = _meter(light.astype(np.float32), effects)
    seen = _lens(seen, effects)
    shot = np.sqrt(np.clip(seen, 0, None) * 0.8 + 0.05)
    grain = rng.normal(0, effects.noise, seen.shape) * shot
    seen = seen + _soften(grain.astype(np.float32), 0.45)
    curve = _tone(np.clip(seen, 0, None), effects.contrast)
    crisp = curve + effects.sharpen * (curve - _soften(curve, 1.0))
    pixels = (np.clip(crisp, 0, 1) * 255 + 0.5).astype(np.uint8)
    return _jpeg(pixels, effects.quality)


def _meter(light: Array, effects: Effects) -> Array:
    """Expose for the middle of the frame and balance the colours in part."""
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    weight = np.exp(-(x**2 + y**2) / 0.7)[..., None]
    mean = np.exp((weight * np.log(light + 1e-3)).sum((0, 1)) / weight.sum())
    gain = effects.exposure * 0.55 / mean.mean()
    cast = (mean.mean() / mean) ** effects.balance
    tint = np.array([1 + effects.warmth, 1, 1 - effects.warmth])
    falloff = 1 - effects.vignette * (x**2 + y**2)[..., None] / 2
    return (light * gain * cast * tint * falloff).astype(np.float32)


def _lens(seen: Array, effects: Effects) -> Array:
    """Defocus and motion, in linear light, where highlights spread."""
    scale = seen.shape[0] / 224
    if effects.defocus:
        seen = _soften(np.minimum(seen, 4.0), effects.defocus * scale)
    if not effects.motion:
        return seen
    angle, reach = np.radians(effects.direction), effects.motion * scale
    steps = np.linspace(-reach, reach, 9)
    moved = [_shift(seen, s * np.sin(angle), s * np.cos(angle)) for s in steps]
    return np.mean(moved, axis=0, dtype=np.float32)


def _tone(linear: Array, contrast: float) -> Array:
    """A phone's curve: shoulder on the highlights, sRGB, a little S."""
    bright = linear * (1 + linear / 9) / (1 + linear * 0.75)
    coded = np.clip(1.2 * bright, 0, 1) ** (1 / 2.2)
    curved = coded * coded * (3 - 2 * coded)
    return (coded * (1 - contrast) + curved * contrast).astype(np.float32)


def _soften(image: Array, radius: float) -> Array:
    """Gaussian blur of [H, W, C] with this sigma, edges repeated."""
    half = max(1, int(np.ceil(2.5 * radius)))
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / max(radius, 1e-3)) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        pad = [(half, half) if a == axis else (0, 0) for a in range(image.ndim)]
        wide = np.pad(image, pad, mode="edge")
        length = image.shape[axis]
        shifted = [
            t * wide.take(np.arange(i, i + length), axis) for i, t in enumerate(taps)
        ]
        image = np.sum(shifted, axis=0, dtype=np.float32)
    return image


def _shift(image: Array, down: float, across: float) -> Array:
    rows = np.clip(np.arange(image.shape[0]) + round(down), 0, image.shape[0] - 1)
    cols = np.clip(np.arange(image.shape[1]) + round(across), 0, image.shape[1] - 1)
    return image[rows.astype(int)][:, cols.astype(int)]


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    picture.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
    return buffer.getvalue()
