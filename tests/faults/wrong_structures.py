"""Mutations of a dataset as a whole: data.yaml, what lies where, what is missing, and its training.yaml."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

import yaml

from tests.faults.datasets import Made, Mutation

# --- data.yaml --------------------------------------------------------------------------------------------------------


def _say(made: Made, **values: object) -> None:
    """Change keys of data.yaml; None removes one."""
    made.data.update(values)
    for key, value in values.items():
        if value is None:
            made.data.pop(key, None)


def _val_under_its_long_name(made: Made) -> None:
    _say(made, validation=made.data.get("val", "images/val"), val=None)


def _val_is_train(made: Made) -> None:
    made.data["val"] = made.data.get("train", "images/train")


def _val_from_two_places(made: Made) -> None:
    value = made.data.get("val", "images/val")
    made.data["val"] = [*(value if isinstance(value, list) else [value]), "images/more"]


def _names(made: Made) -> list[str]:
    names = made.data.get("names") or [f"class_{index}" for index in range(made.data.get("nc", 1))]
    return list(names.values()) if isinstance(names, dict) else list(names)


def _names_with_a_hole(made: Made) -> None:
    made.data["names"] = {index + (index > 0): name for index, name in enumerate([*_names(made), "more"])}


def _names_from_one(made: Made) -> None:
    made.data["names"] = dict(enumerate(_names(made), 1))


def _a_name_less(made: Made) -> None:
    made.data["names"] = _names(made)[:-1] or ["other"]
    made.data.pop("nc", None)


def _a_name_more(made: Made) -> None:
    made.data["names"] = [*_names(made), "never seen"]
    made.data.pop("nc", None)


def _nc_differs(made: Made) -> None:
    made.data |= {"names": _names(made), "nc": len(_names(made)) + made.random.choice((-1, 1))}


def _absolute_entries(made: Made) -> None:
    base = made.random.choice(("/home/me/rooms", "C:/Users/me/rooms"))
    made.data["path"] = base
    for split in ("train", "val"):
        value = made.data.get(split, f"images/{split}")
        made.data[split] = f"{base}/{value}" if isinstance(value, str) else [f"{base}/{entry}" for entry in value]


def _rewrite(made: Made, change: Callable[[str], str]) -> None:
    text = made.files.get("data.yaml") or yaml.safe_dump(made.data, sort_keys=False, allow_unicode=True).encode()
    made.files["data.yaml"] = change(text.decode()).encode()


# --- files ------------------------------------------------------------------------------------------------------------


def _move(made: Made, change: Callable[[str], str]) -> None:
    made.files = {change(name): content for name, content in made.files.items()}


def _labels_gone(made: Made, *splits: str) -> None:
    for split in splits:
        for label in list(made.every_label(split)):
            made.files.pop(label, None)


def _labels_emptied(made: Made, *splits: str) -> None:
    for split in splits:
        for label in made.every_label(split):
            made.files[label] = b""


def _images_gone(made: Made, split: str) -> None:
    for image in made.splits[split]:
        made.files.pop(image, None)


def _a_label_gone(made: Made) -> None:
    del made.files[made.label()]


def _an_image_gone(made: Made) -> None:
    del made.files[made.image()]


def _label_without_image(made: Made) -> None:
    label = made.label()
    made.files[posixpath.join(posixpath.dirname(label), "another.txt")] = made.files[label]


def _loud_label(made: Made) -> None:
    label = made.label()
    made.files[posixpath.splitext(label)[0] + ".TXT"] = made.files.pop(label)


def _two_images_of_one_stem(made: Made) -> None:
    split = made.split()
    image = made.image(split)
    stem, suffix = posixpath.splitext(image)
    twin = stem + (".jpeg" if suffix != ".jpeg" else ".png")
    made.splits[split][twin] = made.splits[split][image]
    made.files[twin] = made.files[image]


def _only(made: Made, split: str, count: int) -> None:
    """So many images in a split, with their labels."""
    for image in sorted(made.splits[split])[count:]:
        label = made.splits[split].pop(image)
        made.files.pop(image, None)
        made.files.pop(label, None)


def _same_image_in_both(made: Made) -> None:
    one, other = made.image("train"), made.image("val")
    if posixpath.splitext(one)[1].lower() == posixpath.splitext(other)[1].lower():
        made.files[other] = made.files[one]
    else:
        made.files[one] = made.files[other] = made.files[other]


def _class_absent_in_val(made: Made) -> None:
    for label in made.every_label("val"):
        rows = made.files[label].decode("utf-8-sig", errors="replace").split("\n")
        made.files[label] = "\n".join("0" + row[row.find(" ") :] if " " in row else row for row in rows).encode()


def _list(made: Made, line: str) -> None:
    """The train split as a list with one more line."""
    made.data["train"] = "train.txt"
    lines = [f"./{image}" for image in made.splits["train"]]
    made.files["train.txt"] = "\n".join([*lines, line.format(image=next(iter(made.splits["train"])))]).encode()


def _beside(made: Made, suffix: str) -> None:
    image = made.image()
    made.files[posixpath.splitext(image)[0] + suffix] = b"\x93NUMPY\x01\0v\0{'descr': '|O', 'shape': (1,)}"


# --- training.yaml ----------------------------------------------------------------------------------------------------


def _set(made: Made, **values: object) -> None:
    made.settings.update(values)


def _train(made: Made, **values: object) -> None:
    made.settings["train"].update(values)


def _other_model(made: Made) -> None:
    made.settings["model"] = "yolov8n.yaml" if made.task == "segment" else "yolov8n-seg.yaml"


MUTATIONS: dict[str, Mutation] = {
    "val missing": lambda made: _say(made, val=None),
    "val under its long name": _val_under_its_long_name,
    "val is train": _val_is_train,
    "train elsewhere": lambda made: _say(made, train="pictures/train"),
    "val from two places, one of them missing": _val_from_two_places,
    "names with a hole": _names_with_a_hole,
    "names from one": _names_from_one,
    "a name less": _a_name_less,
    "a name more": _a_name_more,
    "nc differs": _nc_differs,
    "names are a text": lambda made: _say(made, names=" ".join(_names(made)), nc=len(_names(made))),
    "names are numbers": lambda made: _say(made, names=dict(enumerate(range(len(_names(made)))))),
    "no names": lambda made: _say(made, names=None, nc=0),
    "absolute entries": _absolute_entries,
    "path of another machine": lambda made: _say(made, path="/content/drive/MyDrive/rooms"),
    "keypoints": lambda made: _say(made, kpt_shape=[17, 3]),
    "one channel": lambda made: _say(made, channels=1),
    "four channels": lambda made: _say(made, channels=4),
    "download": lambda made: _say(made, download="https://example.invalid/rooms.zip"),
    "data.yaml empty": lambda made: _rewrite(made, lambda _: ""),
    "data.yaml with tabs": lambda made: _rewrite(made, lambda text: text + "\tnc: 1\n"),
    "data.yaml cut off": lambda made: _rewrite(made, lambda text: text[: len(text) // 2]),
    "data.yaml with a byte-order mark": lambda made: _rewrite(made, lambda text: "\ufeff" + text),
    "data.yaml with CRLF": lambda made: _rewrite(made, lambda text: text.replace("\n", "\r\n")),
    "data.yaml with backslashes": lambda made: _rewrite(made, lambda text: text.replace("images/", "images\\")),
    "labels missing": lambda made: _labels_gone(made, "train", "val"),
    "labels of train missing": lambda made: _labels_gone(made, "train"),
    "labels of val missing": lambda made: _labels_gone(made, "val"),
    "labels empty": lambda made: _labels_emptied(made, "train", "val"),
    "labels of train empty": lambda made: _labels_emptied(made, "train"),
    "labels of val empty": lambda made: _labels_emptied(made, "val"),
    "labels in another folder": lambda made: _move(made, lambda name: name.replace("labels/", "annotations/")),
    "Labels in capitals": lambda made: _move(made, lambda name: name.replace("labels/", "Labels/")),
    "Images in capitals": lambda made: _move(made, lambda name: name.replace("images/", "Images/")),
    "a folder deeper": lambda made: _move(made, lambda name: f"data/{name}" if "/" in name else name),
    "images of train missing": lambda made: _images_gone(made, "train"),
    "images of val missing": lambda made: _images_gone(made, "val"),
    "a label missing": _a_label_gone,
    "an image missing": _an_image_gone,
    "label without image": _label_without_image,
    "label .TXT": _loud_label,
    "two images of one stem": _two_images_of_one_stem,
    "one image": lambda made: _only(made, "train", 1),
    "five images": lambda made: _only(made, "train", 5),
    "one image of val": lambda made: _only(made, "val", 1),
    "same image in both": _same_image_in_both,
    "a class absent in val": _class_absent_in_val,
    "list with a missing line": lambda made: _list(made, "./images/train/gone.png"),
    "list with a line twice": lambda made: _list(made, "./{image}"),
    "list with a line of another machine": lambda made: _list(made, "/home/me/rooms/{image}"),
    "list with a comment": lambda made: _list(made, "# {image}"),
    "list with a blank before a line": lambda made: _list(made, " ./{image}"),
    "list with no image at all": lambda made: _say(made, train="classes.txt"),
    "pickled array beside an image": lambda made: _beside(made, ".npy"),
    "JSON beside an image": lambda made: _beside(made, ".json"),
    "label of another tool beside an image": lambda made: _beside(made, ".xml"),
    "model of the other task": _other_model,
    "one class for all": lambda made: _train(made, single_cls=True),
    "a share of the images": lambda made: _train(made, fraction=0.3),
    "batch of one": lambda made: _set(made, batch=1),
    "batch above all images": lambda made: _set(made, batch=64),
    "expected counts": lambda made: _set(made, expect={split: len(images) for split, images in made.splits.items()}),
    "misspelt setting": lambda made: _set(made, epoch=3),
    "setting of a wrong type": lambda made: _set(made, batch="many"),
}
