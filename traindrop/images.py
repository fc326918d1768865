"""One image file judged by its first and last bytes, as ultralytics judges it: `check_image` and `imread` of 8.4.190.

A file that ultralytics drops, or on which training ends, has a `fault`; what it takes though it is surely not meant is
in `oddities`. Pure: bytes in, an `Image` out; nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from posixpath import splitext

from traindrop import image_directories, image_headers
from traindrop.image_ends import Cut, Damaged, Ends, Unseen, Unsupported
from traindrop.labels import Fault

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 1024
SMALLEST = 10
"""Pixels that each side must have."""
_READERS: dict[str, Callable[[Ends], None]] = {
    "jpeg": image_headers.jpeg,
    "png": image_headers.png,
    "webp": image_headers.webp,
    "bmp": image_headers.bmp,
    "tiff": image_directories.tiff,
    "jp2": image_directories.jp2,
    "avif": image_directories.avif,
}
_MOST_PIXELS = 178_956_970
"""Twice Pillow's MAX_IMAGE_PIXELS."""
_LONGEST = {"jpeg": 65_500, "mpo": 65_500, "png": 1_000_000}
_LONGEST_SIDE = 2**20
"""OpenCV's; libjpeg's and libpng's are below it."""
_ZEROS = 64
"""So many bytes at the end of compressed data are no accident."""
_SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".mpo"),
    "mpo": (".jpg", ".jpeg", ".mpo"),
    "tiff": (".tif", ".tiff", ".dng"),
    "dng": (".dng", ".tif", ".tiff"),
}
_PICTURES = (
    (b"GIF8", "gif", "a GIF"),
    (b"8BPS", "psd", "a Photoshop document"),
    (b"\0\0\1\0", "ico", "an icon"),
    (b"icns", "icns", "an icon"),
    (b"DDS ", "dds", "a DDS texture"),
    (b"qoif", "qoi", "a QOI image"),
    (b"\x76\x2f\x31\x01", "exr", "an OpenEXR image"),
    (b"#?RADIANCE", "hdr", "a Radiance image"),
    (b"\xff\x0a", "jxl", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "jxl", "a JPEG XL image"),
    (b"\1\xda", "sgi", "an SGI image"),
    (b"%!PS", "eps", "a PostScript document"),
    (b"\x1aE\xdf\xa3", "webm", "a video"),
    (b"P1", "pbm", "a PBM image"),
    (b"P2", "pgm", "a PGM image"),
    (b"P3", "ppm", "a PPM image"),
    (b"P4", "pbm", "a PBM image"),
    (b"P5", "pgm", "a PGM image"),
    (b"P6", "ppm", "a PPM image"),
)
_OTHERS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; fetch it with `git lfs pull`"),
    (b"%PDF", "a PDF; export its pages as PNG"),
    (b"PK\3\4", "a zip; unpack it"),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\0\5\x16\7", "a macOS resource fork, not the picture; delete it"),
    (b"\0\0\0\0\0\0\0\0", "a file that begins with zeros, as an interrupted copy leaves it"),
)
_MARKUP = (
    (b"<svg", "an SVG drawing; export it as PNG"),
    (b"<code>", "an error answer of S3, saved in the picture's place; download the picture again"),
    (b"<html", "a web page, saved in the picture's place; download the picture again"),
    (b"<!doctype html", "a web page, saved in the picture's place; download the picture again"),
    (b"<", "an XML document"),
)
_FTYP = {
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"heis": "heic",
    b"hevc": "heic",
    b"hevx": "heic",
    b"crx ": "cr3",
}
_PLAIN = bytes([9, 10, 12, 13, *range(32, 127)])


@dataclass(frozen=True, slots=True)
class Image:
    """What an image file is: format by content, pixels (0 where its head does not show them), what is wrong or odd.

    `unsure`: it counts as truncated, but its end may lie between its head and its tail, when other data follow.
    """

    format: str
    width: int = 0
    height: int = 0
    fault: Fault | None = None
    oddities: tuple[Fault, ...] = ()
    unsure: bool = False


def look(name: str, size: int, head: bytes, tail: bytes) -> Image:
    """Judge an image file by its ends.

    Args:
        name: the file's name; its suffix says what it is meant to be.
        size: of the whole file, in bytes.
        head: its first HEAD_BYTES, or all of it; who is told `unsure` gives more, and asks again.
        tail: its last TAIL_BYTES; empty where they are not known, and then truncation is not looked for.

    Returns:
        An `Image`. Faults are `image.empty`, `image.unreadable`, `image.unsupported`, `image.truncated`,
        `image.too_small` and `image.too_large`; oddities are `image.mislabelled`, `image.trailing_bytes`,
        `image.first_frame_only`, `image.preview_only`, `image.sixteen_bits` and `image.zeros_at_end`.
    """
    if size <= 0:
        return Image("", fault=Fault("image.empty", 0, "it has no bytes"))
    head = head[:size]
    format_, words = recognise(head)
    if format_ not in _READERS:
        code = "image.unsupported" if format_ else "image.unreadable"
        return Image(format_, fault=Fault(code, 0, words))
    file = Ends(size, head, tail[-size:] if len(head) < size else head[-TAIL_BYTES:], kind=format_)
    fault = None
    zeros = format_ in ("webp", "avif", "jp2") and _ends_in_zeros(file)
    try:
        _READERS[format_](file)
    except Cut:
        # Zeros are taken for a picture too, so what becomes of them shows only when they are decoded.
        zeros = format_ in ("jpeg", "jp2") and _ends_in_zeros(file)
        if not zeros:
            words = f"the {format_.upper()} ends before its picture does, at byte {size}"
            fault = Fault("image.truncated", 0, words)
    except Damaged as damage:
        fault = Fault("image.unreadable", 0, f"a damaged {format_.upper()}: {damage}")
    except Unsupported as kind:
        fault = Fault("image.unsupported", 0, f"{kind}, which cannot be read in training")
    except Unseen:
        pass
    fault = fault or _size_fault(file)
    unsure = file.unsure and fault is not None and fault.code == "image.truncated"
    return Image(
        file.kind, file.width, file.height, fault, () if fault else tuple(_oddities(name, file, zeros)), unsure
    )


def recognise(head: bytes) -> tuple[str, str]:
    """What a file is by its first bytes: its format, empty if it is no picture, and what to say if it cannot train."""
    for magic, format_ in (
        (b"\xff\xd8\xff", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"BM", "bmp"),
        (b"\xff\x4f\xff\x51", "jp2"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    ):
        if head.startswith(magic):
            return format_, ""
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MM*\0", b"II\0*"):
        return "tiff", ""
    if head[:4] == b"RIFF":
        return ("webp", "") if head[8:12] == b"WEBP" else ("avi", "a video or sound")
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    for magic, format_, words in _PICTURES:
        if head.startswith(magic):
            return format_, f"{words}, which is not trained on"
    return "", f"not an image but {_looks(head)}"


def _of_brands(head: bytes) -> tuple[str, str]:
    """The format of a file of ISO boxes, by the brands that it names."""
    length = min(int.from_bytes(head[:4]), 256)
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, length, 4))]
    if brands[0] in (b"avif", b"avis") or (brands[0] in (b"mif1", b"msf1") and b"avif" in brands):
        return "avif", ""
    format_ = next((_FTYP[brand] for brand in brands if brand in _FTYP), "")
    if format_ == "heic":
        return format_, "a HEIC photo, for which the training environment has no decoder"
    return format_ or "mp4", f"{'a raw photo' if format_ else 'a video'}, which is not trained on"


def _looks(head: bytes) -> str:
    """What a file that is no picture looks like, and the cure."""
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        beginning = text[:1024].lower()
        return next(words for mark, words in _MARKUP if mark in beginning)
    if not head[:1024].translate(None, _PLAIN):
        return "text; put the picture in its place"
    return "unknown data"


def _ends_in_zeros(file: Ends) -> bool:
    return len(file.tail) >= _ZEROS and not file.tail[-_ZEROS:].strip(b"\0")


def _size_fault(file: Ends) -> Fault | None:
    width, height = file.width, file.height
    if (width or height) and min(width, height) < SMALLEST:
        words = f"{width}x{height} pixels, and each side must have {SMALLEST}; remove it or export it larger"
        return Fault("image.too_small", 0, words)
    if width * height > _MOST_PIXELS or max(width, height) > _LONGEST.get(file.kind, _LONGEST_SIDE):
        words = f"{width}x{height} pixels, more than can be opened in training; scale it down or cut it into tiles"
        return Fault("image.too_large", 0, words)
    return None


def _oddities(name: str, file: Ends, zeros: bool) -> list[Fault]:
    found = []
    suffix = splitext(name)[1].lower()
    if suffix not in _SUFFIXES.get(file.kind, (f".{file.kind}",)):
        found.append(Fault("image.mislabelled", 0, f"its content is {file.kind.upper()}; rename it to what it is"))
    if file.after:
        words = f"{file.after} bytes follow the end of the picture"
        words += ", so ultralytics writes it anew, with a loss" if file.kind == "jpeg" else ""
        found.append(Fault("image.trailing_bytes", 0, f"{words}"))
    if file.frames:
        found.append(Fault("image.first_frame_only", 0, "of its several pictures only the first is trained on"))
    if file.preview:
        words = f"a raw photo, of which only the preview of {file.width}x{file.height} pixels is trained on"
        found.append(Fault("image.preview_only", 0, words))
    if file.deep:
        words = "16 bits a channel, of which only the upper 8 are trained on"
        found.append(Fault("image.sixteen_bits", 0, words))
    if zeros:
        found.append(Fault("image.zeros_at_end", 0, "its end is nothing but zeros, as an interrupted copy leaves it"))
    return found
