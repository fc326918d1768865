"""Mutations of one image each: what broken downloads, renames and odd tools make of it."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from tests.faults.datasets import Made, Mutation, draw, encode

# 16 x 16 pixels in CMYK, which OpenCV does not write.
_CMYK = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwBQNzxGPDJQRkFGWlVQX3jIgnhubnj1r7mRyP//////////////////////////////////////////////"
    "/////8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAEA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsA"
    "AD8AsYKloAAAD//Z"
)
_SIDEWAYS = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def _plan(made: Made) -> Any:
    return draw(made.random, made.task, made.class_count)[0]


def _size(made: Made, height: int, width: int) -> Any:
    return cv2.resize(_plan(made), (width, height))


def _as(suffix: str) -> Callable[[Made, bytes, str], bytes]:
    return lambda made, _content, _own: encode(_plan(made), suffix)


def _drawn(change: Callable[[Made], Any], *, suffixes: str = "") -> Callable[[Made, bytes, str], bytes]:
    """Another picture in the image's own format, or in the first of those that can hold it."""

    def spoilt(made: Made, _content: bytes, own: str) -> bytes:
        return encode(change(made), own if not suffixes or own in suffixes.split() else suffixes.split()[0])

    return spoilt


def _sideways(made: Made, _content: bytes, _own: str) -> bytes:
    """A photograph that a camera took upright: its EXIF says how to turn it."""
    photograph = encode(_plan(made), ".jpg")
    return photograph[:2] + _SIDEWAYS + photograph[2:]


def _pages(made: Made, _content: bytes, _own: str) -> bytes:
    done, encoded = cv2.imencodemulti(".tiff", [_plan(made), _plan(made)])
    assert done
    return bytes(encoded.tobytes())


_CONTENTS: dict[str, Callable[[Made, bytes, str], bytes]] = {
    "empty": lambda _made, _content, _own: b"",
    "first half only": lambda _made, content, _own: content[: len(content) // 2],
    "last bytes missing": lambda _made, content, _own: content[:-7],
    "header only": lambda _made, content, _own: content[:30],
    "bytes after its end": lambda _made, content, _own: content + b"\0" * 100,
    "zeros": lambda _made, content, _own: b"\0" * len(content),
    "text": lambda _made, _content, _own: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "web page": lambda _made, _content, _own: b"<!DOCTYPE html><html><body>404</body></html>",
    "drawing": lambda _made, _content, _own: b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"/>',
    "a PDF": lambda _made, _content, _own: b"%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF",
    "a PNG whatever its name": _as(".png"),
    "a JPEG whatever its name": _as(".jpg"),
    "a WebP whatever its name": _as(".webp"),
    "a BMP whatever its name": _as(".bmp"),
    "a GIF whatever its name": _as(".gif"),
    "an AVIF whatever its name": _as(".avif"),
    "a JPEG 2000 whatever its name": _as(".jp2"),
    "5 pixels": _drawn(lambda made: _size(made, 5, 5)),
    "9 pixels high": _drawn(lambda made: _size(made, 9, 40)),
    "10 pixels wide": _drawn(lambda made: _size(made, 40, 10)),
    "a strip": _drawn(lambda made: _size(made, 12, 900)),
    "large": _drawn(lambda made: _size(made, 1200, 1500)),
    "grayscale": _drawn(
        lambda made: cv2.cvtColor(_plan(made), cv2.COLOR_BGR2GRAY), suffixes=".png .jpg .jpeg .tif .tiff .bmp"
    ),
    "black and white": _drawn(
        lambda made: (cv2.cvtColor(_plan(made), cv2.COLOR_BGR2GRAY) > 127).astype(np.uint8) * 255,
        suffixes=".png .tif .tiff",
    ),
    "16 bits": _drawn(lambda made: _plan(made).astype(np.uint16) * 257, suffixes=".png .tif .tiff"),
    "floats": _drawn(lambda made: _plan(made).astype(np.float32) / 255, suffixes=".tiff .tif"),
    "transparent": _drawn(lambda made: cv2.cvtColor(_plan(made), cv2.COLOR_BGR2BGRA), suffixes=".png .tif .tiff .webp"),
    "CMYK": lambda _made, _content, _own: _CMYK,
    "sideways": _sideways,
    "of two pages": _pages,
}


def _spoil(change: Callable[[Made, bytes, str], bytes], made: Made) -> None:
    image = made.image()
    made.files[image] = change(made, made.files[image], posixpath.splitext(image)[1].lower())


def _damage(made: Made) -> None:
    """A few bytes in the middle, which no header tells of."""
    image = made.image()
    content = made.files[image]
    middle = len(content) // 2
    made.files[image] = content[:middle] + b"\xff\0\xff\0" + content[middle + 4 :]
    made.hidden.add(image)


MUTATIONS: dict[str, Mutation] = {f"image: {name}": partial(_spoil, change) for name, change in _CONTENTS.items()} | {
    "image: damaged in the middle": _damage
}
