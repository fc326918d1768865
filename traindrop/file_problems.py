"""What is said of files that are wrong, by code."""

from __future__ import annotations

from dataclasses import replace

from traindrop.problems import Words

LABEL_LIMIT = 16 * 1024 * 1024
"""Bytes of a label file; a polygon of ten thousand points takes a hundredth of it."""
TINY_PIXELS = 8
"""The finest of the strides at which these models look for objects."""


def _odd(found: str, cure: str) -> Words:
    return Words(found, cure, warning=True)


OF_LABELS_AND_IMAGES = {
    # Without these ultralytics would drop the file with its image or label, or abort.
    "label.not_text": Words("label files that are no UTF-8 text", "Save them as such."),
    "label.mixed": Words(
        "label files that mix boxes with polygons", "Export every object of a segmentation dataset as a polygon."
    ),
    "label.wrong_columns": Words(
        "label files with rows that are neither a box nor a polygon",
        "A box is `class x y width height`, a polygon `class x1 y1 x2 y2 x3 y3 …`: export them again.",
    ),
    "label.odd_coordinates": Words(
        "label files with a polygon whose coordinates do not pair up",
        "A polygon is `class x1 y1 x2 y2 x3 y3 …`: export them again.",
    ),
    "label.not_a_number": Words(
        "label files that hold what is not a number",
        "Numbers are written with a point and parted by spaces: export them again.",
    ),
    "label.class_not_an_index": Words(
        "label files with a class that is no index", "Classes are 0, 1, 2, … in the order of `names` in data.yaml."
    ),
    "label.class_out_of_range": Words(
        "label files with a class that data.yaml does not name",
        "Correct the class, or add it to `names` in data.yaml (and correct nc).",
    ),
    "label.out_of_bounds": Words(
        "label files with coordinates outside the image",
        "Coordinates are shares of the image's width and height, 0 to 1: divide pixels by them, or clip the shape.",
    ),
    "label.too_large": Words(
        f"label files of more than {LABEL_LIMIT // 1024**2} MiB",
        "Polygons of that many points bring nothing: simplify.",
    ),
    "label.box_only": Words(
        "label files that hold boxes although the others hold polygons",
        "One of them would abort the whole training: export these objects as polygons, or delete label and image.",
    ),
    "image.empty": Words("images without a byte", "Upload them again, or delete them with their labels."),
    "image.unreadable": Words(
        "files with an image's name that are none",
        "Put real ones there, PNG or JPEG, or delete them with their labels.",
    ),
    "image.unsupported": Words("images of a format that is not trained on", "Convert them to PNG or JPEG."),
    "image.too_small": Words("images of less than 10 pixels a side", "Delete them with their labels."),
    "image.too_large": Words("images of more pixels than are decoded", "Cut them into tiles, or scale them down."),
    "image.truncated": Words("images that end before they are whole", "Upload them again."),
    # These it accepts though they are surely wrong.
    "label.outside": _odd("objects with points outside the image", "Clip them to the image where they are exported."),
    "label.flat": _odd("objects without an area", "Delete them: they teach nothing."),
    "label.crossing": _odd("polygons whose edges cross", "Their masks will not be what was drawn: draw them again."),
    "label.duplicate": _odd("objects that are in their label twice", "They are trained once; delete the copies."),
    "label.tiny": _odd(
        f"objects of less than {TINY_PIXELS} pixels at this imgsz",
        "They can hardly be learned: raise imgsz in training.yaml, or cut the images into tiles.",
    ),
    "label.point": _odd("polygons of a single corner", "Delete them: they have no area."),
    "label.class_form": _odd(
        "objects whose class is not written as a whole number", "1.0 is taken for 1; write it without a point."
    ),
    "image.mislabelled": _odd("images of another format than their name says", "They are trained on; rename them."),
    "image.first_frame_only": _odd(
        "images that hold several pictures", "Only the first is trained on: export the others as images of their own."
    ),
    "image.preview_only": _odd("raw photos", "Only their small preview is trained on: develop them to PNG or JPEG."),
    "image.sixteen_bits": _odd(
        "images of 16 bits a channel", "Only the upper 8 are trained on: export them with 8, scaled to 0-255."
    ),
    "image.zeros_at_end": _odd(
        "images that end in nothing but zeros", "An interrupted copy leaves them so: compare with the originals."
    ),
    "image.trailing_bytes": _odd(
        "images with bytes after their end", "They are trained on; save them again if in doubt."
    ),
}


def of_split(split: str) -> dict[str, Words]:
    """What is said of the files of a split; training does not use the test split, so there it is a warning only."""
    found = {
        "split.no_images": Words(
            f"paths of `{split}:` in data.yaml where no image lies",
            "Upload the images there, or correct the path.",
            passing=True,
        ),
        "split.entry_is_an_image": Words(
            f"paths of `{split}:` in data.yaml that are an image",
            "Name its folder, or a list of images in a .txt file.",
        ),
        "split.list_not_text": Words(
            f"lists of images of the {split} split that are no UTF-8 text", "Save them as such."
        ),
        "split.image_missing": Words(
            f"lines in lists of the {split} split whose image is not there",
            "Upload the images, or delete the lines.",
            passing=True,
        ),
        "split.line_is_no_image": Words(
            f"lines in lists of the {split} split that name no image",
            "A line is the path of one image and nothing else, not even a blank at its end: others are not trained on.",
        ),
        "split.listed_twice": _odd(f"images that the {split} split lists more than once", "Each is trained on once."),
        "split.no_labels": Words(
            f"images of the {split} split, of which none has a label", "Upload the labels there.", passing=True
        ),
        "label.shared": _odd(
            f"images of the {split} split that share a label with another",
            "Images whose names differ in their suffix alone have one label: rename them if that is not meant.",
        ),
        "label.without_image": Words(
            f"labels of the {split} split without an image",
            "Upload the missing image, named alike in upper and lower case too, or delete the label.",
            passing=True,
        ),
        "label.wrong_suffix": Words(
            f"labels of the {split} split whose suffix is not .txt in lower case",
            "Training does not find them: rename them.",
        ),
    }
    return {code: replace(words, warning=True) for code, words in found.items()} if split == "test" else found
