"""Rendered kitchen products: what they are, how they are photographed, the images.

`catalogue` has the products, `scenes` where they stand, `render` traces a scene (extra
`render`), `photo` is the camera, `generate` writes the image set `products/`.
"""
