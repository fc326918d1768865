"""What can be wrong with a split, in words: each fault with its code, told once however many files have it."""

from __future__ import annotations

from dataclasses import dataclass, field

from traindrop.problems import EXAMPLES, Problem

_PASSING = frozenset({"split.no_images", "split.image_missing", "split.no_labels", "label.without_image"})
_WARNINGS = frozenset({"split.listed_twice", "label.shared"})
_WORDS = {
    "split.no_images": "data.yaml names `{split}: {first}`, but no image lies there{more}; upload the images there, or "
    "correct the path",
    "split.entry_is_an_image": "data.yaml names `{split}: {first}`, which is an image{more}; name its folder, or a "
    "list of images in a .txt file",
    "split.list_not_text": "{first}, a list of images of the {split} split, is not UTF-8 text{more}; save it as such",
    "split.image_missing": "lines in lists of the {split} split whose image is not there: {count}, such as {first}; "
    "upload the images, or delete the lines",
    "split.line_is_no_image": "lines in lists of the {split} split that name no image: {count}, such as {first}; a "
    "line is the path of one image and nothing else, not even a blank at its end: others are passed over in training",
    "split.listed_twice": "images that the {split} split lists more than once: {count}, such as {first}; each is "
    "trained on once",
    "split.no_labels": "none of the {count} images of the {split} split has a label; expected for instance {first}",
    "label.shared": "images of the {split} split that share a label with another: {count}, such as {first}; images "
    "whose names differ in their suffix alone have one label: name them differently if that is not meant",
    "label.without_image": "labels of the {split} split without an image: {count}, such as {first}; upload the missing "
    "image, named alike in upper and lower case too, or delete the label",
    "label.wrong_suffix": "labels of the {split} split whose suffix is not .txt in lower case: {count}, such as "
    "{first}; training does not find them: rename them",
}


@dataclass
class Faults:
    """The faults of one split, by code; `warned_of` makes each of them a warning."""

    split: str
    warned_of: bool = False
    examples: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, code: str, place: str, count: int = 1) -> None:
        """Take one more place, or so many of which one is named."""
        self.counts[code] = self.counts.get(code, 0) + count
        examples = self.examples.setdefault(code, [])
        if len(examples) < EXAMPLES:
            examples.append(place)

    def problems(self) -> list[Problem]:
        """One problem for each code."""
        return [
            Problem(
                code,
                _WORDS[code].format(
                    split=self.split,
                    first=self.examples[code][0],
                    count=count,
                    more=f" (and {count - 1} more)" if count > 1 else "",
                ),
                self.examples[code],
                count,
                passing=code in _PASSING,
                warning=self.warned_of or code in _WARNINGS,
            )
            for code, count in self.counts.items()
        ]
