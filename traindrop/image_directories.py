"""Headers of the image formats whose parts lie where a directory says: TIFF, and those made of ISO boxes.

The readers do as those of `image_headers` do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from traindrop.image_ends import Cut, Damaged, Ends, Unsupported

_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}
_TIFF_CHANNELS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
"""The least of each photometric interpretation that Pillow reads: grey, RGB, palette, CMYK, YCbCr, CIELAB."""
_TIFF_COMPRESSIONS = frozenset([1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34676, 34677])
_TIFF_MOST_STRIPS = 4096
_BOXES = frozenset([b"ftyp", b"meta", b"moov", b"mdat", b"free", b"skip", b"uuid", b"jp2h", b"jp2c", b"xml "])


def tiff(file: Ends) -> None:
    """TIFF, BigTIFF and DNG: the first directory, and the strips or tiles that it names."""
    order = "<" if file.at(0, 1) == b"I" else ">"
    big = 43 in file.at(2, 2)
    (start,) = struct.unpack(order + ("Q" if big else "I"), file.at(8 if big else 4, 8 if big else 4))
    (count,) = struct.unpack(order + ("Q" if big else "H"), file.at(start, 8 if big else 2))
    first, step = (start + 8, 20) if big else (start + 2, 12)
    if count > 65535 or first + step * count > file.size:
        raise Cut
    tags = {}
    for index in range(count):
        entry = file.at(first + step * index, step)
        tag, kind = struct.unpack(order + "HH", entry[:4])
        tags[tag] = (kind, *struct.unpack(order + ("QQ" if big else "II"), entry[4:]), entry[12:] if big else entry[8:])

    def values(tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        kind, number, place, inline = tags.get(tag, (0, 0, 0, b""))
        if kind not in _TIFF_TYPES:
            return default
        form = f"{order}{min(number, _TIFF_MOST_STRIPS)}{_TIFF_TYPES[kind]}"
        length = struct.calcsize(form)
        full = length // max(1, min(number, _TIFF_MOST_STRIPS)) * number
        if full > len(inline) and place + full > file.size:
            raise Cut
        return struct.unpack(form, inline[:length] if full <= len(inline) else file.at(place, length)) or default

    (file.width, *_), (file.height, *_) = values(256, (0,)), values(257, (0,))
    (photometric, *_), (compression, *_), (channels, *_) = values(262, (0,)), values(259, (1,)), values(277, (1,))
    if not file.width or not file.height or (photometric == 3 and 320 not in tags):
        raise Damaged("its size or its palette is missing")
    bits, numbers = max(values(258, (1,))), max(values(339, (1,)))
    usual = bits in (1, 8) or (bits == 16 and photometric <= 2)
    usual = usual and (numbers == 1 or (numbers == 2 and photometric == 1))
    if not (usual and compression in _TIFF_COMPRESSIONS and channels >= _TIFF_CHANNELS.get(photometric, 99)):
        raise Unsupported(
            f"a TIFF of {bits} bits, {channels} channels, sample format {numbers}, compression {compression} and "
            f"photometric interpretation {photometric}"
        )
    if 50706 in tags:
        file.kind, file.preview = "dng", bool(values(254, (0,))[0] & 1)
    file.deep = bits == 16
    place = first + step * count
    width = 8 if big else 4
    # The offset of the next directory, the last thing in many files, may be missing.
    file.frames = place + width <= file.size and any(file.at(place, width)) and not file.preview
    values(347)  # the tables of JPEG strips
    for offsets, lengths in ((273, 279), (324, 325)):
        if any(begins + length > file.size for begins, length in zip(values(offsets), values(lengths), strict=False)):
            raise Cut


def jp2(file: Ends) -> None:
    """JPEG 2000: boxes up to the code stream and its end marker, or the bare stream."""
    begins = 0
    if file.at(0, 4) != b"\xff\x4f\xff\x51":
        for kind, start, _ in _boxes(file):
            if kind == b"jp2h":
                if file.at(start + 4, 4) != b"ihdr":
                    raise Damaged("its size is missing")
                file.height, file.width = struct.unpack(">II", file.at(start + 8, 8))
            elif kind == b"jp2c":
                if any(file.at(start - 8, 4)):
                    return  # it has a length, and the file has so much
                begins = start
                break
        else:
            raise Damaged("it has no picture")
    if file.at(begins, 4) != b"\xff\x4f\xff\x51":
        raise Damaged("its code stream does not begin as one")
    width, height, left, top = struct.unpack(">IIII", file.at(begins + 8, 16))
    file.width, file.height = width - left, height - top
    if file.find_last(b"\xff\xd9", begins) < 0:
        raise Cut


def avif(file: Ends) -> None:
    """AVIF: boxes to the end of the file, and the largest size among its items; tiles and thumbnails are smaller."""
    file.frames = file.at(8, 4) == b"avis"
    kinds = set()
    for kind, start, end in _boxes(file):
        kinds.add(kind)
        if kind == b"meta":
            found = file.head.find(b"ispe", start, end)
            while 0 <= found <= len(file.head) - 16:
                size = struct.unpack(">II", file.head[found + 8 : found + 16])
                if size[0] * size[1] > file.width * file.height:
                    file.width, file.height = size
                found = file.head.find(b"ispe", found + 16, end)
    if not kinds & {b"meta", b"moov"} or not (b"mdat" in kinds or b"idat" in file.head):
        raise Cut


def _boxes(file: Ends) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin of content and end of each box of a file of ISO boxes."""
    offset = 0
    while offset + 8 <= file.size:
        length, kind = struct.unpack(">I4s", file.at(offset, 8))
        start = offset + 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.at(start, 8))
            start += 8
        end = offset + length if length else file.size
        if end > file.size and kind in _BOXES:
            raise Cut
        if not start <= end <= file.size:
            return
        yield kind, start, end
        offset = end
