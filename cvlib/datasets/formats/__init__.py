"""Annotation formats, in and out: files of every common tool ↔ one `ImageSet`.

    from cvlib.datasets import formats

    found = formats.read("~/my_export")            # the format is recognised
    formats.write(found, "out", format="yolo")

Readers never follow a path out of the folder they were given. Used in
book/data/annotate.
"""
