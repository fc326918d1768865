from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import DNG, bmp, box, chunk, made_by_hand, png, run_lengths, tiff
from traindrop.images import HEAD_BYTES, TAIL_BYTES, Image, look

SHAPE = (300, 400, 3)
PIXELS = numpy.random.default_rng(1).integers(0, 255, SHAPE, numpy.uint8)


def encoded(suffix: str, pixels: Any = PIXELS) -> bytes:
    content: bytes = cv2.imencode(suffix, pixels)[1].tobytes()
    return content


def seen(content: bytes, name: str = "x.png") -> Image:
    return look(name, len(content), content[:HEAD_BYTES], content[-TAIL_BYTES:])


def fault(content: bytes, name: str = "x.png") -> str:
    found = seen(content, name).fault
    return found.code if found else ""


def oddities(content: bytes, name: str = "x.png") -> list[str]:
    return [oddity.code for oddity in seen(content, name).oddities]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".jp2", ".avif"])
def test_each_format_shows_its_size_and_nothing_is_wrong_with_it(suffix: str) -> None:
    found = seen(encoded(suffix), f"images/x{suffix.upper()}")
    kinds = {".jpg": "jpeg", ".tif": "tiff"}
    assert found == Image(kinds.get(suffix, suffix[1:]), 400, 300)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".jp2", ".avif"])
@pytest.mark.parametrize("missing", [1, 4, 5000, 0.5, 0.97])
def test_a_file_that_was_cut_is_truncated(suffix: str, missing: float) -> None:
    content = encoded(suffix)
    cut = missing if missing >= 1 else len(content) * missing
    assert fault(content[: len(content) - int(cut)]) == "image.truncated"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncation_is_not_looked_for_where_the_last_bytes_are_not_known(suffix: str) -> None:
    content = encoded(suffix)[:-4]
    assert look(f"x{suffix}", len(content), content[:HEAD_BYTES], b"").fault is None


def test_bytes_that_follow_the_picture_are_odd_and_not_wrong() -> None:
    jpeg = encoded(".jpg")
    assert oddities(jpeg + b"x" * 900, "x.jpg") == ["image.trailing_bytes"]
    assert oddities(encoded(".png") + bytes(900)) == ["image.trailing_bytes"]
    assert oddities(jpeg + b"x" * 900, "x.jpg") != oddities(jpeg, "x.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_where_more_follows_than_the_last_bytes_show_the_whole_file_tells(suffix: str) -> None:
    content = encoded(suffix) + b"x" * 5000
    by_its_ends = seen(content, f"x{suffix}")
    assert (by_its_ends.fault and by_its_ends.fault.code, by_its_ends.unsure) == ("image.truncated", True)
    whole = look(f"x{suffix}", len(content), content, b"")
    assert (whole.fault, whole.unsure) == (None, False)
    assert [oddity.code for oddity in whole.oddities] == ["image.trailing_bytes"]


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".avif"])
def test_what_was_cut_where_the_header_says_how_long_it_is_needs_no_more_reading(suffix: str) -> None:
    found = seen(encoded(suffix)[:-1], f"x{suffix}")
    assert (found.fault and found.fault.code, found.unsure) == ("image.truncated", False)


def test_a_small_picture_before_much_else_is_whole() -> None:
    content = encoded(".jpg", PIXELS[:20, :20]) + b"x" * 50_000
    assert oddities(content, "x.jpg") == ["image.trailing_bytes"]


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("empty.jpg", "empty", "no bytes"),
        ("zeros.png", "unreadable", "zeros"),
        ("text.png", "unreadable", "text"),
        ("page.jpg", "unreadable", "web page"),
        ("error.jpg", "unreadable", "S3"),
        ("drawing.png", "unreadable", "SVG"),
        ("pointer.png", "unreadable", "git-lfs"),
        ("document.png", "unreadable", "PDF"),
        ("packed.jpg", "unreadable", "zip"),
        ("resource.jpg", "unreadable", "macOS"),
        ("noise.jpg", "unreadable", "unknown"),
        ("film.jpg", "unsupported", "video"),
        ("photo.heic", "unsupported", "HEIC"),
        ("photo.heif", "unsupported", "HEIC"),
        ("tiff_raw.dng", "unsupported", "32803"),
        ("tiff_32_1_1_3.tif", "unsupported", "32 bits"),
        ("tiff_strange.tif", "unsupported", "34887"),
        ("bmp_2.bmp", "unsupported", "2 bits"),
        ("bmp_444.bmp", "unsupported", "colours"),
        ("png_apple.png", "unsupported", "CgBI"),
        ("png_no_palette.png", "unreadable", "palette"),
        ("png_filters.png", "unreadable", "header"),
        ("png_text_broken.png", "unreadable", "tEXt"),
        ("png_no_end.png", "truncated", "ends before"),
        ("png_thin.png", "too_small", "9x40"),
        ("bmp_thin.bmp", "too_small", "40x9"),
        ("tiff_thin.tif", "too_small", "9x40"),
        ("png_bomb.png", "too_large", "13378x13378"),
        ("png_wide.png", "too_large", "1000001x10"),
    ],
)
def test_what_cannot_be_trained_on_is_named(name: str, code: str, word: str) -> None:
    found = seen(made_by_hand()[name], name).fault
    assert found
    assert (found.code, word in found.words) == (f"image.{code}", True), found.words


@pytest.mark.parametrize(
    "name",
    [
        "png_ten.png",
        "png_just_wide.png",
        "png_private.png",
        "png_palette.png",
        "bmp_ten.bmp",
        "bmp_top.bmp",
        "bmp_runs.bmp",
        "bmp_565.bmp",
        "bmp_masks.bmp",
        "bmp_header_12.bmp",
        "tiff_big_endian.tif",
        "tiff_8_4_5_0.tif",
        "png_1_0.png",
    ],
)
def test_rare_kinds_that_can_be_trained_on_are_not_refused(name: str) -> None:
    found = seen(made_by_hand()[name], name)
    assert (found.fault, found.oddities) == (None, ())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"GIF89a" + bytes(90), "x.png"),
        (b"8BPS\0\1" + bytes(90), "x.jpg"),
        (b"RIFF\0\0\0\0AVI LIST", "x.jpg"),
        (b"\xff\x0a" + bytes(90), "x.jpg"),
        (b"P6\n4 4\n255\n" + bytes(90), "x.png"),
    ],
)
def test_other_pictures_are_unsupported(content: bytes, name: str) -> None:
    assert fault(content, name) == "image.unsupported"


def test_a_suffix_that_names_another_format_is_odd() -> None:
    assert oddities(encoded(".jpg"), "x.png") == ["image.mislabelled"]
    assert oddities(encoded(".jpg"), "x.JPEG") == []


def test_only_the_first_of_several_pictures_is_trained_on() -> None:
    moving = png(before=chunk(b"acTL", bytes(8)))
    assert oddities(moving) == ["image.first_frame_only"]
    two_pages = bytearray(tiff())
    two_pages[8 + 2 + 12 * 9] = 8
    assert oddities(bytes(two_pages), "x.tif") == ["image.first_frame_only"]


def test_a_raw_photo_is_trained_on_by_its_preview() -> None:
    assert oddities(tiff(extra={**DNG, 254: (4, [1])}), "x.dng") == ["image.preview_only"]
    assert oddities(tiff(extra=DNG), "x.dng") == []


def test_sixteen_bits_lose_their_lower_half() -> None:
    assert oddities(png(bits=16)) == ["image.sixteen_bits"]
    assert oddities(tiff(16), "x.tif") == ["image.sixteen_bits"]


def test_an_end_of_zeros_is_odd_where_it_may_still_be_trained_on() -> None:
    for suffix in (".jpg", ".webp", ".avif"):
        content = encoded(suffix)
        assert oddities(content[:-3000] + bytes(3000), f"x{suffix}") == ["image.zeros_at_end"]
    assert fault(encoded(".png")[:-3000] + bytes(3000)) == "image.truncated"


def test_the_thumbnail_of_a_photo_is_neither_its_size_nor_its_end() -> None:
    small, large = encoded(".jpg", PIXELS[:40, :30]), encoded(".jpg", PIXELS[:100, :200])
    exif = b"\xff\xe1" + struct.pack(">H", len(small) + 8) + b"Exif\0\0" + small
    photo = large[:2] + exif + large[2:]
    assert seen(photo, "x.jpg") == Image("jpeg", 200, 100)
    assert fault(photo[: len(exif) + 10], "x.jpg") == "image.truncated"


def test_a_header_that_is_longer_than_the_head_leaves_the_size_open() -> None:
    jpeg = encoded(".jpg")
    comment = b"\xff\xfe" + struct.pack(">H", 20_002) + bytes(20_000)
    assert seen(jpeg[:2] + comment + jpeg[2:], "x.jpg") == Image("jpeg", 0, 0)
    assert fault((jpeg[:2] + comment + jpeg[2:])[:-9], "x.jpg") == "image.truncated"


def test_the_second_picture_of_a_camera_may_be_cut_and_the_first_may_not() -> None:
    first, second = encoded(".jpg", PIXELS[:100, :200]), encoded(".jpg", PIXELS)
    index = b"MPF\0II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHII", 0xB001, 4, 1, 2)
    index += struct.pack("<HHII", 0xB002, 7, 32, 38) + bytes(4)
    size = len(first) + 4 + len(index) + 32
    index += struct.pack("<IIIHH", 0x30000, size, 0, 0, 0) + struct.pack("<IIIHH", 0, len(second), size, 0, 0)
    both = first[:2] + b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index + first[2:] + second
    assert seen(both, "x.mpo") == Image("mpo", 200, 100)
    assert fault(both[:-2000], "x.jpg") == ""
    assert fault(both[: size - 9], "x.mpo") == "image.truncated"


def test_packed_rows_of_a_bmp_are_as_long_as_it_says() -> None:
    packed = bmp(8, compression=1, pixels=run_lengths())
    assert fault(packed[:-4], "x.bmp") == ""
    assert fault(packed[:-5], "x.bmp") == "image.truncated"


def test_an_avif_without_its_pixels_is_truncated() -> None:
    content = encoded(".avif")
    until_pixels = content.index(b"mdat") - 4
    assert fault(content[:until_pixels], "x.avif") == "image.truncated"


BEGINNINGS = [
    content[:n] for content in (*made_by_hand().values(), encoded(".avif"), encoded(".jp2")) for n in (4, 40, 400)
]


@given(st.sampled_from([*BEGINNINGS, box(b"ftyp", b"avif" + bytes(8))]), st.binary(max_size=300), st.data())
def test_any_bytes_are_judged(beginning: bytes, rest: bytes, data: st.DataObject) -> None:
    head = beginning + rest
    if head:
        changed = bytearray(head)
        for place in data.draw(st.lists(st.integers(0, len(head) - 1), max_size=6)):
            changed[place] = data.draw(st.integers(0, 255))
        head = bytes(changed)
    size = data.draw(st.integers(0, 10**7) | st.just(len(head)))
    found = look("x.jpg", size, head, data.draw(st.binary(max_size=50)))
    assert found.fault is None or found.fault.words
