"""Headers of the image formats that are read from front to back: sizes, and where a file ends that is whole.

Each reader walks its format as Pillow 13 and OpenCV 5 do, which ultralytics opens images with, as far as the bytes at
hand go. It raises `Cut` for what ought to lie beyond the end of the file, `Damaged` and `Unsupported` with words for
what those two refuse, and `Unseen` for bytes that are in the file but were not read.
"""

from __future__ import annotations

import struct
from zlib import crc32

from traindrop.image_ends import Cut, Damaged, Ends, Unseen, Unsupported

_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PNG_END = b"\0\0\0\0IEND"
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_BMP_LAYOUTS: dict[int, set[tuple[int, ...]]] = {
    16: {(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)},
    24: {(0xFF0000, 0xFF00, 0xFF)},
    32: {
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF000000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
        (0, 0, 0, 0),
    },
}
"""Where the colours lie in a pixel, of the layouts that Pillow reads."""
_JPEG_UNSUPPORTED = frozenset([0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
"""Frames of differential and of lossless arithmetic JPEG, which libjpeg-turbo does not read."""


def jpeg(file: Ends) -> None:
    """JPEG and MPO: segments up to the first scan, then the end marker."""
    offset, code, tables = 2, 0, False
    try:
        while code != 0xDA:
            offset = _marker(file, offset)
            code = file.at(offset + 1, 1)[0]
            if code == 0xD9:
                raise Damaged("it ends before its picture begins")
            if code == 0 or 0xD0 <= code <= 0xD8:
                offset += 2
                continue
            length = int.from_bytes(file.at(offset + 2, 2))
            if code < 0xC0:
                raise Damaged(f"byte {offset} of its header begins no JPEG segment")
            if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
                bits, file.height, file.width, layers = struct.unpack(">BHHB", file.at(offset + 4, 6))
                if bits != 8 or layers not in (1, 3, 4) or code in _JPEG_UNSUPPORTED:
                    raise Unsupported(f"a JPEG of {bits} bits and {layers} channels, of kind SOF{code - 0xC0}")
                tables |= code == 0xC3  # lossless, which has none
            elif code == 0xDB:
                tables = True
            elif code == 0xE2 and file.at(offset + 4, 4) == b"MPF\0" and _pictures(file, offset + 8):
                file.kind = "mpo"
            offset += 2 + max(2, length)
    except Unseen:
        pass
    else:
        if not (file.width and tables):
            raise Damaged("its size or its tables are missing")
    if file.kind == "mpo":
        return
    end = file.find_last(b"\xff\xd9", offset)
    if end < 0:
        raise Cut
    file.after = file.size - end - 2


def _marker(file: Ends, offset: int) -> int:
    """Offset of the next marker, past what Pillow passes over."""
    while (found := file.at(offset, 2)) == b"\xff\xff" or found[0] != 0xFF:
        if found[0] == 0xFF:
            offset += 1
        else:
            offset = file.head.find(b"\xff", offset)
            if offset < 0:
                raise Cut if len(file.head) >= file.size else Unseen
    return offset


def _pictures(file: Ends, base: int) -> bool:
    """Whether the index of a multi-picture file, at `base`, has more than one; the first must lie in the file."""
    try:
        order = "<" if file.at(base, 2) == b"II" else ">"
        (start,) = struct.unpack(order + "I", file.at(base + 4, 4))
        (count,) = struct.unpack(order + "H", file.at(base + start, 2))
        tags = {}
        for index in range(min(count, 16)):
            tag, _, _, value = struct.unpack(order + "HHII", file.at(base + start + 2 + 12 * index, 12))
            tags[tag] = value
        if tags.get(0xB001, 0) < 2:
            return False
        (first,) = struct.unpack(order + "I", file.at(base + tags[0xB002] + 4, 4))
    except (Unseen, Cut, KeyError):
        return False
    if first > file.size:
        raise Cut
    return True


def png(file: Ends) -> None:
    """PNG: chunks with their checksums as far as they are at hand, then the end chunk."""
    offset, colour, image, need = 8, -1, False, 12
    try:
        while True:
            length, kind = struct.unpack(">I4s", file.at(offset, 8))
            if not kind.isalpha():
                raise Damaged(f"byte {offset} begins no PNG chunk")
            if kind == b"IEND":
                break
            if offset + 12 + length > file.size:
                raise Cut
            if kind != b"IDAT":
                content = file.at(offset + 8, length + 4)
                if crc32(content[:-4], crc32(kind)) != int.from_bytes(content[-4:]):
                    raise Damaged(f"the checksum of its chunk {kind.decode()} is wrong")
                if kind == b"IHDR":
                    colour = _png_header(file, content)
                elif kind == b"acTL":
                    file.frames, need = True, 8
                elif kind == b"PLTE":
                    colour = 0 if colour == 3 else colour
                elif kind[0] & 0x20 == 0:
                    raise Unsupported(f"a PNG with a {kind.decode()} chunk, which only its maker's programs read")
            elif not image:
                image = True
                if colour < 0 or colour == 3:
                    raise Damaged("its header or its palette is missing")
            offset += 12 + length
    except Unseen:
        offset = file.find_last(_PNG_END, offset)
        if offset < 0:
            raise Cut from None
    else:
        if not image:
            raise Damaged("it has no picture")
    if offset + need > file.size:
        raise Cut
    file.after = max(0, file.size - offset - 12)


def _png_header(file: Ends, content: bytes) -> int:
    """Take the size; answer the kind of colour."""
    if len(content) != 17:
        raise Damaged("its header has a wrong length")
    file.width, file.height, bits, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", content[:13])
    if (
        bits not in _PNG_DEPTHS.get(colour, ())
        or compression
        or filters
        or interlace > 1
        or not file.width * file.height
    ):
        raise Damaged("its header has values that PNG does not know")
    file.deep = bits == 16
    return int(colour)


def webp(file: Ends) -> None:
    """WebP: the size of the RIFF file, and of the picture."""
    kind = file.at(12, 4)
    if kind == b"VP8 ":
        if file.at(23, 3) != b"\x9d\x01\x2a":
            raise Damaged("its first frame has no start code")
        width, height = struct.unpack("<HH", file.at(26, 4))
        file.width, file.height = width & 0x3FFF, height & 0x3FFF
    elif kind == b"VP8L":
        (bits,) = struct.unpack("<I", file.at(21, 4))
        file.width, file.height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        canvas = file.at(20, 10)
        file.frames = bool(canvas[0] & 2)
        file.width, file.height = (int.from_bytes(canvas[i : i + 3], "little") + 1 for i in (4, 7))
    else:
        raise Damaged("its first chunk is no picture")
    if 8 + int.from_bytes(file.at(4, 4), "little") > file.size:
        raise Cut


def bmp(file: Ends) -> None:
    """BMP: the header, and rows of pixels that follow from it."""
    start, header = struct.unpack("<II", file.at(10, 8))
    if header not in _BMP_HEADERS:
        raise Damaged(f"its header has {header} bytes, which no BMP has")
    compression = packed = 0
    if header == 12:
        file.width, file.height, _, bits = struct.unpack("<HHHH", file.at(18, 8))
    else:
        width, height, _, bits, compression, packed = struct.unpack("<iiHHII", file.at(18, 20))
        file.width, file.height = max(0, width), abs(height)
    if bits not in (1, 4, 8, 16, 24, 32) or compression > 3:
        raise Unsupported(f"a BMP of {bits} bits a pixel and compression {compression}")
    if compression == 3:
        masks: tuple[int, ...] = struct.unpack("<III", file.at(54, 12))
        if bits == 32:
            masks += struct.unpack("<I", file.at(66, 4)) if header >= 56 else (0,)
        if masks not in _BMP_LAYOUTS.get(bits, ()):
            raise Unsupported(f"a BMP of {bits} bits with an unusual order of colours")
    # Of run lengths the marks of the last row's end and of the end, two bytes each, may be missing.
    needed = max(0, packed - 4) if compression in (1, 2) else (file.width * bits + 31) // 32 * 4 * file.height
    if (start or 14 + header) + needed > file.size:
        raise Cut
