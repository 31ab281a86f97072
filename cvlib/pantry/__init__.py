"""Rendered kitchen products: what they are, how they are photographed, the images.

Data flows through the modules in this order, and only `render` needs the extra
`render`: `catalogue` (the products, with `palette`, `shapes`, `labels`, `surfaces`
and `clutter` as their stuff) → `scenes` (what stands where, seen from where, in which
light) and `arrangements` (many products in one scene) → `render` (light, and which
object each pixel shows) → `truth` (boxes, masks, keypoints) and `photo` (what a phone
makes of the light) → `generate` (the image sets `products/` and `shelves/`).

The images are in the repository. To make one of them again, or all:

    python -m cvlib.pantry products --out again --only can-03-07
    python -m cvlib.pantry products --jobs 2
    python -m cvlib.pantry shelves --jobs 2
"""
