"""Which of my images is most like this one, also among things nobody trained on.

Data flows through five files: `data` reads images and which thing each shows, `model`
turns images into embeddings, `train` moves images of one thing closer together,
`evaluate` ranks a gallery and says how far down the first match is, `plot` draws it.
"""
