"""What is said of files that are wrong: for each code what is counted, as the end of "3 …", and the cure."""

from __future__ import annotations

LABEL_LIMIT = 16 * 1024 * 1024
"""Bytes of a label file; a polygon of ten thousand points takes a hundredth of it."""
TINY_PIXELS = 8
"""The finest of the strides at which these models look for objects."""

FAULTS = {
    "label.not_text": ("label files are no UTF-8 text", "Save them as plain UTF-8 text."),
    "label.mixed": (
        "label files mix boxes with polygons",
        "Export every object of a segmentation dataset as a polygon; ultralytics drops such a file with its image.",
    ),
    "label.wrong_columns": (
        "label files have rows of a wrong length",
        "A box is `class x y width height`, a polygon `class x1 y1 x2 y2 x3 y3 …`; export them again.",
    ),
    "label.odd_coordinates": (
        "label files have a polygon whose coordinates do not pair up",
        "A polygon is `class x1 y1 x2 y2 x3 y3 …`; export them again.",
    ),
    "label.not_a_number": (
        "label files hold what is not a number",
        "Numbers are written with a point and parted by spaces; export them again.",
    ),
    "label.class_not_an_index": (
        "label files have a class that is no index",
        "Classes are 0, 1, 2, … in the order of `names` in data.yaml.",
    ),
    "label.class_out_of_range": (
        "label files have a class that data.yaml does not name",
        "Correct the class, or add it to `names` in data.yaml (and correct nc).",
    ),
    "label.out_of_bounds": (
        "label files have coordinates outside the image",
        "Coordinates are shares of the image's width and height, 0 to 1: divide pixels by them, or clip the shape.",
    ),
    "label.too_large": (
        f"label files have more than {LABEL_LIMIT // 1024**2} MiB",
        "Polygons of that many points bring nothing: simplify them.",
    ),
    "label.box_only": (
        "label files hold boxes although the others hold polygons",
        "One of them would abort the whole training: export these objects as polygons, or delete label and image.",
    ),
    "image.empty": ("images have no bytes", "Upload them again, or delete them with their labels."),
    "image.unreadable": ("images are none", "Replace them with real images, or delete them with their labels."),
    "image.unsupported": ("images have a format that is not trained on", "Convert them to PNG or JPEG."),
    "image.too_small": ("images are smaller than 10 pixels", "Delete them with their labels."),
    "image.too_large": ("images have more pixels than are decoded", "Cut them into tiles, or scale them down."),
    "image.truncated": ("images end before they are whole", "Upload them again."),
}
"""Of each code what is counted and the cure; without them ultralytics would drop the file, or abort."""

ODDITIES = {
    "label.outside": ("objects have points outside the image", "Clip them to the image where they are exported."),
    "label.flat": ("objects have no area", "Delete them: they teach nothing."),
    "label.crossing": ("polygons have edges that cross", "Their masks will not be what was drawn; draw them again."),
    "label.duplicate": ("objects are in their label twice", "They are trained once; delete the copies."),
    "label.tiny": (
        f"objects are smaller than {TINY_PIXELS} pixels at this imgsz",
        "They can hardly be learned: raise imgsz in training.yaml, or cut the images into tiles.",
    ),
    "label.point": ("polygons have a single corner", "Delete them: they have no area."),
    "label.class_form": (
        "objects have a class that is not written as a whole number",
        "It is taken for one (1.0 for 1); write it without a point.",
    ),
    "image.mislabelled": ("images have another format than their name says", "They are trained on; rename them."),
    "image.first_frame_only": (
        "images hold several pictures",
        "Only the first is trained on: export the others as images of their own.",
    ),
    "image.preview_only": (
        "images are raw photos",
        "Only their small preview is trained on: develop them to PNG or JPEG.",
    ),
    "image.sixteen_bits": (
        "images have 16 bits a channel",
        "Only the upper 8 are trained on: export them with 8, scaled to 0-255.",
    ),
    "image.zeros_at_end": (
        "images end in nothing but zeros",
        "An interrupted copy leaves them so: compare with the originals.",
    ),
    "image.trailing_bytes": ("images have bytes after their end", "They are trained on; save them again if in doubt."),
}
"""What ultralytics accepts though it is surely wrong."""
