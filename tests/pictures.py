"""Small image files made by hand, of kinds that no library at hand writes."""

from __future__ import annotations

import struct
import zlib
from functools import cache

TIFF_CODES = {1: "B", 3: "H", 4: "I"}
DNG = {50706: (1, [1, 4, 0, 0])}


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int = 40,
    height: int = 30,
    *,
    bits: int = 8,
    colour: int = 2,
    methods: tuple[int, int, int] = (0, 0, 0),
    before: bytes = b"",
    end: bytes | None = None,
) -> bytes:
    """A black PNG; `methods` are of compression, filter and interlacing."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    rows = bytes((1 + (width * bits * channels + 7) // 8) * height)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, *methods)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            before,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND") if end is None else end,
        ]
    )


def bmp(
    bits: int = 24,
    *,
    compression: int = 0,
    header: int = 40,
    masks: tuple[int, ...] = (),
    size: tuple[int, int] = (40, 30),
    pixels: bytes | None = None,
) -> bytes:
    """A BMP; a negative height has its first row on top, and `masks` say where the colours lie in a pixel."""
    width, height = size
    if pixels is None:
        pixels = bytes(range(250)) * ((width * bits + 31) // 32 * 4 * abs(height) // 250 + 1)
        pixels = pixels[: (width * bits + 31) // 32 * 4 * abs(height)]
    palette = bytes(range(256)) * (4 << bits >> 8 or 1) if bits <= 8 else b""
    palette = palette[: (3 if header == 12 else 4) << bits]
    if header == 12:
        fields = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        fields = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(pixels), 2835, 2835, 0, 0)
    extra = struct.pack(f"<{len(masks)}I", *masks)
    extra = extra.ljust(max(0, header - 40), b"\0")
    start = 14 + len(fields) + len(extra) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + fields + extra + palette + pixels


def run_lengths(width: int = 40, height: int = 30) -> bytes:
    """Pixels of a BMP of 8 bits, packed: each row of one colour."""
    return b"".join(bytes([width, row * 8, 0, 0]) for row in range(height)) + b"\0\1"


def tiff(
    bits: int = 8,
    channels: int = 3,
    photometric: int = 2,
    *,
    numbers: int = 0,
    compression: int = 1,
    order: str = "<",
    size: tuple[int, int] = (40, 30),
    extra: dict[int, tuple[int, list[int]]] | None = None,
) -> bytes:
    """A TIFF of one strip after its directory; `numbers` is its sample format, `extra` has more tags."""
    width, height = size
    pixels = bytes(range(240)) * (width * height * channels * bits // 1920 + 1)
    pixels = pixels[: width * height * channels * bits // 8]
    tags: dict[int, tuple[int, list[int]]] = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [bits] * channels),
        259: (3, [compression]),
        262: (3, [photometric]),
        273: (4, [0]),
        277: (3, [channels]),
        278: (3, [height]),
        279: (4, [len(pixels)]),
        **({339: (3, [numbers] * channels)} if numbers else {}),
        **(extra or {}),
    }
    base = 8 + 2 + 12 * len(tags) + 4
    packed = {tag: struct.pack(f"{order}{len(v)}{TIFF_CODES[kind]}", *v) for tag, (kind, v) in tags.items()}
    start = base + sum(len(value) for value in packed.values() if len(value) > 4)
    packed[273] = struct.pack(order + "I", start)
    entries = apart = b""
    for tag, (kind, values) in sorted(tags.items()):
        value = packed[tag]
        inline = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", base + len(apart))
        apart += value if len(value) > 4 else b""
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + inline
    beginning = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(tags))
    return beginning + entries + bytes(4) + apart + pixels


def box(kind: bytes, content: bytes) -> bytes:
    """A box of the formats that are made of them."""
    return struct.pack(">I", 8 + len(content)) + kind + content


@cache
def made_by_hand() -> dict[str, bytes]:
    """Files of rare kinds by name, some of which cannot be trained on."""
    found = {f"bmp_{bits}.bmp": bmp(bits) for bits in (1, 2, 4, 8, 16, 24, 32)}
    found |= {f"bmp_header_{header}.bmp": bmp(header=header) for header in (12, 16, 52, 56, 64, 108, 124)}
    found |= {
        f"png_{bits}_{colour}.png": png(bits=bits, colour=colour) for bits in (1, 8, 16) for colour in (0, 2, 4, 6)
    }
    found |= {
        f"tiff_{bits}_{channels}_{photometric}_{numbers}.tif": tiff(bits, channels, photometric, numbers=numbers)
        for bits in (1, 4, 8, 12, 16, 32, 64)
        for channels, photometric in ((1, 0), (1, 1), (3, 2), (4, 2), (4, 5))
        for numbers in (0, 3)
        if (bits >= 8 or channels == 1) and (bits >= 16 or not numbers)
    }
    return found | {
        "bmp_top.bmp": bmp(size=(40, -30)),
        "bmp_565.bmp": bmp(16, compression=3, masks=(0xF800, 0x7E0, 0x1F)),
        "bmp_444.bmp": bmp(16, compression=3, masks=(0xF00, 0xF0, 0xF)),
        "bmp_masks.bmp": bmp(32, compression=3, masks=(0xFF0000, 0xFF00, 0xFF)),
        "bmp_masks_alpha.bmp": bmp(32, compression=3, header=56, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "bmp_masks_odd.bmp": bmp(32, compression=3, masks=(0xFF, 0xFF00, 0xFF0000)),
        "bmp_jpeg.bmp": bmp(compression=4),
        "bmp_runs.bmp": bmp(8, compression=1, pixels=run_lengths()),
        "bmp_thin.bmp": bmp(size=(40, 9)),
        "bmp_ten.bmp": bmp(size=(10, 10)),
        "png_thin.png": png(9, 40),
        "png_ten.png": png(10, 10),
        "png_wide.png": png(1_000_001, 10, bits=1, colour=0),
        "png_just_wide.png": png(1_000_000, 10, bits=1, colour=0),
        "png_bomb.png": png(13_378, 13_378, bits=1, colour=0),
        "png_no_palette.png": png(colour=3),
        "png_palette.png": png(colour=3, before=chunk(b"PLTE", bytes(6))),
        "png_filters.png": png(methods=(0, 1, 0)),
        "png_apple.png": png(before=chunk(b"CgBI", bytes(4))),
        "png_private.png": png(before=chunk(b"abCd", bytes(99))),
        "png_text_broken.png": png(before=chunk(b"tEXt", b"a\0b")[:-1] + b"\0"),
        "png_no_end.png": png(end=b""),
        "tiff_big_endian.tif": tiff(order=">"),
        "tiff_thin.tif": tiff(size=(9, 40)),
        "tiff_strange.tif": tiff(compression=34887),
        "tiff_preview.dng": tiff(extra={**DNG, 254: (4, [1])}),
        "tiff_raw.dng": tiff(16, 1, 32803, extra=DNG),
        "tiff_linear.dng": tiff(16, 3, 34892, extra=DNG),
        "photo.heic": box(b"ftyp", b"heic" + bytes(4) + b"mif1heic") + bytes(99),
        "photo.heif": box(b"ftyp", b"mif1" + bytes(4) + b"mif1heic") + bytes(99),
        "film.jpg": box(b"ftyp", b"isom" + bytes(4) + b"isommp42") + bytes(99),
        "empty.jpg": b"",
        "zeros.png": bytes(5000),
        "text.png": b"not a picture\n" * 40,
        "page.jpg": b"<!DOCTYPE html>\n<html><body>404</body></html>",
        "error.jpg": b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>",
        "drawing.png": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>",
        "pointer.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "document.png": b"%PDF-1.7\n",
        "packed.jpg": b"PK\3\4" + bytes(30),
        "resource.jpg": b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(99),
        "noise.jpg": bytes((i * i * 31 + 7) % 256 for i in range(9000)),
    }
