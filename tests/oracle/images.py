"""Images that the training environment's own libraries write, and what ultralytics makes of any file."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any


def write(folder: str) -> list[str]:
    """Write images of every kind that a dataset may hold into a folder; answer their names."""
    import cv2
    import numpy
    from PIL import Image, ImageCms

    target = Path(folder)
    chance = numpy.random.default_rng(7)
    noise = chance.integers(0, 255, (96, 128, 3), numpy.uint8)
    smooth = cv2.resize(chance.integers(0, 255, (6, 8, 3), numpy.uint8), (256, 192), interpolation=cv2.INTER_CUBIC)
    busy, plain = Image.fromarray(noise), Image.fromarray(smooth)
    exif = Image.Exif()
    exif[274] = 6
    exif[270] = "x" * 3000
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large = Image.fromarray(chance.integers(0, 255, (300, 400, 3), numpy.uint8))
    saved: list[tuple[str, Image.Image, str, dict[str, Any]]] = [
        ("plain.jpg", plain, "JPEG", {}),
        ("large.jpg", large, "JPEG", {"quality": 95}),
        ("progressive.jpg", busy, "JPEG", {"progressive": True}),
        ("restarts.jpg", large, "JPEG", {"restart_marker_blocks": 4}),
        ("exif.jpg", busy, "JPEG", {"exif": exif, "icc_profile": profile, "comment": "y" * 9000}),
        ("late_header.jpg", busy, "JPEG", {"exif": exif, "comment": "y" * 20000}),
        ("thumbnail.jpg", busy, "JPEG", {"exif": _with_thumbnail(plain)}),
        ("grey.jpeg", busy.convert("L"), "JPEG", {}),
        ("cmyk.jpg", busy.convert("CMYK"), "JPEG", {}),
        ("two.mpo", busy, "MPO", {"save_all": True, "append_images": [plain]}),
        ("two.jpg", large, "MPO", {"save_all": True, "append_images": [busy]}),
        ("one.mpo", busy, "JPEG", {}),
        ("plain.png", plain, "PNG", {}),
        ("large.png", large, "PNG", {}),
        ("huge.png", Image.fromarray(chance.integers(0, 255, (400, 600, 3), numpy.uint8)), "PNG", {}),
        ("palette.png", busy.convert("P"), "PNG", {}),
        ("bits.png", busy.convert("1"), "PNG", {}),
        ("grey.png", busy.convert("L"), "PNG", {}),
        ("grey_alpha.png", busy.convert("LA"), "PNG", {}),
        ("alpha.png", busy.convert("RGBA"), "PNG", {"exif": exif, "icc_profile": profile}),
        ("animated.png", busy, "PNG", {"save_all": True, "append_images": [busy.rotate(90), busy.rotate(180)]}),
        ("flat.webp", plain, "WEBP", {}),
        ("large.webp", large, "WEBP", {"quality": 95}),
        ("lossless.webp", busy, "WEBP", {"lossless": True}),
        ("alpha.webp", busy.convert("RGBA"), "WEBP", {"exif": exif}),
        ("animated.webp", busy, "WEBP", {"save_all": True, "append_images": [busy.rotate(90)], "duration": 100}),
        ("rgb.bmp", busy, "BMP", {}),
        ("grey.bmp", plain.convert("L"), "BMP", {}),
        ("bits.bmp", plain.convert("1"), "BMP", {}),
        ("palette.bmp", plain.convert("P"), "BMP", {}),
        ("alpha.bmp", plain.convert("RGBA"), "BMP", {}),
        ("raw.tif", busy, "TIFF", {}),
        ("lzw.tiff", plain, "TIFF", {"compression": "tiff_lzw"}),
        ("deflate.tif", plain, "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("jpeg.tif", plain, "TIFF", {"compression": "jpeg"}),
        ("packbits.tif", plain, "TIFF", {"compression": "packbits"}),
        ("fax.tif", plain.convert("1"), "TIFF", {"compression": "group4"}),
        ("grey.tif", plain.convert("L"), "TIFF", {}),
        ("palette.tif", plain.convert("P"), "TIFF", {}),
        ("cmyk.tif", plain.convert("CMYK"), "TIFF", {}),
        ("alpha.tif", plain.convert("RGBA"), "TIFF", {}),
        ("float.tif", Image.fromarray(noise[..., 0].astype(numpy.float32)), "TIFF", {}),
        ("sixteen_pil.tif", Image.fromarray(noise[..., 0].astype(numpy.uint16) * 200), "TIFF", {}),
        ("big.tif", plain, "TIFF", {"big_tiff": True}),
        ("pages.tif", busy, "TIFF", {"save_all": True, "append_images": [plain]}),
        ("grey_pages.tif", busy.convert("L"), "TIFF", {"save_all": True, "append_images": [busy.convert("L")] * 3}),
        ("one.jp2", plain, "JPEG2000", {}),
        ("lossy.jp2", large, "JPEG2000", {"quality_mode": "rates", "quality_layers": [10]}),
        ("grey.jp2", plain.convert("L"), "JPEG2000", {}),
        ("alpha.jp2", plain.convert("RGBA"), "JPEG2000", {}),
        ("stream.jp2", plain, "JPEG2000", {"no_jp2": True}),
        ("one.avif", plain, "AVIF", {}),
        ("large.avif", large, "AVIF", {}),
        ("alpha.avif", busy.convert("RGBA"), "AVIF", {"exif": exif}),
        ("animated.avif", busy, "AVIF", {"save_all": True, "append_images": [busy.rotate(90)]}),
        ("one.gif", busy, "GIF", {}),
        ("one.ico", plain, "ICO", {}),
        ("one.ppm", busy, "PPM", {}),
        ("one.tga", busy, "TGA", {}),
        ("one.pcx", busy, "PCX", {}),
        ("one.dds", busy, "DDS", {}),
        ("one.eps", busy, "EPS", {}),
        ("one.pdf", busy, "PDF", {}),
        ("one.icns", plain, "ICNS", {}),
        ("one.sgi", plain, "SGI", {}),
        ("one.qoi", plain, "QOI", {}),
    ]
    for name, image, kind, options in saved:
        image.save(target / name, kind, **options)
    cv2.imwrite(str(target / "sixteen.png"), noise.astype(numpy.uint16) * 200)
    cv2.imwrite(str(target / "sixteen.tif"), noise.astype(numpy.uint16) * 200)
    cv2.imwrite(str(target / "sixteen_grey.png"), noise[..., 0].astype(numpy.uint16) * 200)
    cv2.imwrite(str(target / "cv2.jpg"), smooth)
    cv2.imwrite(str(target / "cv2.webp"), smooth)
    cv2.imwrite(str(target / "cv2.bmp"), smooth)
    cv2.imwrite(str(target / "cv2.tif"), smooth)
    cv2.imwrite(str(target / "cv2.avif"), smooth)
    cv2.imwrite(str(target / "cv2.jp2"), smooth)
    return sorted(path.name for path in target.iterdir())


def _with_thumbnail(image: Any) -> bytes:
    """EXIF that holds a whole JPEG, whose end is not the end of the picture."""
    small = io.BytesIO()
    image.resize((64, 48)).save(small, "JPEG")
    content = small.getvalue()
    header = b"Exif\0\0II*\0\x08\0\0\0" + b"\0\0" + (14).to_bytes(4, "little")
    entries = b"".join(
        tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in ((0x0201, 44), (0x0202, len(content)))
    )
    return header + b"\x02\0" + entries + b"\0\0\0\0" + content


def judge(names: list[str], scratch: str) -> list[str]:
    """Why ultralytics does not train on each of these files, empty where it does; the files stay as they are."""
    return [_judge(Path(name), Path(scratch)) for name in names]


def _judge(image: Path, scratch: Path) -> str:
    from ultralytics.data.utils import check_image
    from ultralytics.utils.patches import imread

    # It mends some JPEGs in place.
    copy = scratch / image.name
    shutil.copyfile(image, copy)
    try:
        shape = check_image(str(copy))[1]
    except Exception as error:  # noqa: BLE001  (whatever it is, the image is dropped)
        return f"dropped: {type(error).__name__}: {error}"[:200]
    try:
        pixels = imread(str(copy))
    except Exception as error:  # noqa: BLE001  (whatever it is, training ends)
        return f"aborts: {type(error).__name__}: {error}"[:200]
    finally:
        copy.unlink()
    return "" if pixels is not None and min(pixels.shape[:2]) else f"aborts: unreadable, {shape}"
