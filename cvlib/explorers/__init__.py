"""Results to browse in a page: one piece of HTML, no kernel, no server, no network.

`results` shows what a classifier said of each image, `retrieval` what a search found
for each query. What they share is in `page`.
"""
