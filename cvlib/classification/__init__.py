"""What is in the image: one label of a fixed list.

Data flows through five files: `data` reads a folder of images per class, `model` puts a
new head on a pretrained backbone, `train` keeps the history of fastai's training loop,
`evaluate` turns predictions into numbers with intervals, `plot` draws them.
"""
