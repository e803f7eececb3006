#!/usr/bin/env python3
"""Makes the pictures that crates/images is tested with, and what Pillow and transformers make of them.

    pip install pillow==11.3.0 numpy==2.4.6 torch==2.15.0 transformers==5.23.0
    python3 scripts/reference/pictures.py crates/images/tests/data

`decoded.json` holds the upright RGB pixels of each file in the folder as Pillow decodes them: alpha laid
over white, the EXIF orientation applied. `frames.json` holds, for pictures that the test makes by the same
formula as `pattern` here, the rows and columns of transformers' Idefics3ImageProcessorPil and of each
frame the mean of each channel and a grid of values, as bytes.

Pillow 11.3 resizes along rows, then along columns, as it did when the models were trained. Pillow 13 turns
that around for some sizes, which changes values by one here and there.

Files that are broken on purpose are not made here but in the tests, out of these.
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

TILE = 512
LONGEST_EDGE = 2048
# The longest edge of each detail.
EDGES = {"low": TILE, "auto": 2 * TILE, "high": LONGEST_EDGE}
SIZES = [(640, 480), (480, 640), (512, 512), (1, 1), (1, 2000), (20000, 1), (4000, 3), (701, 333), (1537, 1025)]
GRID = 8


def pattern(width, height):
    """Slopes with jumps, so that filters overshoot and are cut off. The tests have it too."""
    x, y, c = np.meshgrid(np.arange(width), np.arange(height), np.arange(3), indexing="xy")
    values = x * 3 + y * 5 + c * 40 + 90 * ((x // 8 + y // 8) % 2)
    return Image.fromarray((values % 256).astype(np.uint8))


def smooth(width=24, height=16):
    """Without jumps, so that lossy formats stay near."""
    x, y = np.meshgrid(np.arange(width), np.arange(height), indexing="xy")
    channels = [40 + x * 6, 200 - y * 8, 60 + x * 3 + y * 4]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def translucent(image, mode="RGBA"):
    image = image.convert(mode)
    width, height = image.size
    alpha = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    image.putalpha(Image.fromarray(alpha))
    return image


def oriented(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def ycck(image, path):
    """Stored as Y, Cb, Cr and K, with the mark that says so: written as CMYK, the mark then changed."""
    y, cb, cr = image.convert("YCbCr").split()
    black = Image.new("L", image.size, 200)
    # Pillow stores the inverse of what it is given.
    channels = [Image.eval(channel, lambda value: 255 - value) for channel in (y, cb, cr, black)]
    stream = io.BytesIO()
    Image.merge("CMYK", channels).save(stream, "JPEG", quality=95)
    data = bytearray(stream.getvalue())
    mark = data.index(b"Adobe") + 11
    assert data[mark] == 0
    data[mark] = 2
    path.write_bytes(bytes(data))


def transparent_palette(image):
    """A palette of which one colour is transparent."""
    palette = image.quantize(16, dither=Image.Dither.NONE)
    palette.info["transparency"] = palette.getpixel((0, 0))
    return palette


def sixteen_bits_grey(path):
    values = (np.arange(24 * 16).reshape(16, 24) * 170).astype(np.uint16)
    Image.fromarray(values).save(path)


def write_pictures(folder):
    image = smooth()
    other = ImageOps.invert(image)

    image.save(folder / "plain.png")
    translucent(image).save(folder / "alpha.png")
    translucent(image, "L").save(folder / "grey-alpha.png")
    image.convert("1").save(folder / "one-bit.png")
    palette = transparent_palette(image)
    palette.save(folder / "palette.png", transparency=palette.info["transparency"])
    sixteen_bits_grey(folder / "grey-16.png")
    image.save(folder / "animated.png", save_all=True, append_images=[other], duration=50)

    image.save(folder / "plain.jpg", quality=95)
    image.save(folder / "progressive.jpg", quality=95, progressive=True)
    image.save(folder / "restarts.jpg", quality=95, subsampling=0, restart_marker_blocks=1)
    image.convert("L").save(folder / "grey.jpg", quality=95)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    image.save(folder / "rgb.jpg", quality=95, keep_rgb=True)
    ycck(image, folder / "ycck.jpg")

    image.save(folder / "lossy.webp", quality=90)
    image.save(folder / "lossless.webp", lossless=True)
    translucent(image).save(folder / "alpha.webp", quality=90)
    image.save(folder / "animated.webp", lossless=True, save_all=True, append_images=[other], duration=50)

    image.save(folder / "plain.gif")
    image.save(folder / "animated.gif", save_all=True, append_images=[other], duration=50)
    palette.save(folder / "transparent.gif", transparency=palette.info["transparency"])

    image.save(folder / "plain.bmp")
    image.quantize(16).save(folder / "palette.bmp")

    image.save(folder / "plain.tiff")
    image.save(folder / "lzw.tiff", compression="tiff_lzw")
    image.save(folder / "pages.tiff", save_all=True, append_images=[other])
    image.convert("CMYK").save(folder / "cmyk.tiff")
    image.convert("1").save(folder / "one-bit.tiff")
    sixteen_bits_grey(folder / "grey-16.tiff")
    image.quantize(16).save(folder / "palette.tiff")
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(folder / "fractions.tiff")

    for number in range(1, 9):
        image.save(folder / f"upright-{number}.png", exif=oriented(number))
        image.save(folder / f"upright-{number}.jpg", quality=95, exif=oriented(number))
    for ending in ("webp", "tiff"):
        image.save(folder / f"upright-6.{ending}", exif=oriented(6), **({"lossless": True} if ending == "webp" else {}))


def on_white(image):
    """As transformers does it."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    if image.mode == "I;16":
        values = (np.asarray(image).astype(np.uint32) + 128) // 257
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def text(data):
    return base64.b64encode(bytes(data)).decode()


def decoded(folder):
    result = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json" or path.name in ("palette.tiff", "fractions.tiff"):
            continue
        image = on_white(ImageOps.exif_transpose(Image.open(path)))
        result[path.name] = {"width": image.width, "height": image.height, "pixels": text(image.tobytes())}
    return result


def case(width, height, detail, edge, tile, longest_edge, resample):
    """What transformers makes of a picture, with `edge` for the detail that is meant."""
    processor = Idefics3ImageProcessorPil(
        size={"longest_edge": edge},
        max_image_size={"longest_edge": tile},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        resample=resample,
    )
    output = processor(pattern(width, height), return_row_col_info=True, return_tensors="np")
    values = np.rint((output["pixel_values"][0] * 0.5 + 0.5) * 255).astype(np.uint8)
    step = tile // GRID
    return {
        "width": width,
        "height": height,
        "detail": detail,
        "tile": tile,
        "longest_edge": longest_edge,
        "resample": resample,
        "rows": output["rows"][0][0],
        "columns": output["cols"][0][0],
        "frames": [
            {
                "means": [round(float(mean), 6) for mean in frame.astype(np.float64).mean(axis=(1, 2))],
                # (3, GRID, GRID), at places that are not all even.
                "grid": text(frame[:, step // 2 + 1 :: step, step // 2 :: step].tobytes()),
            }
            for frame in values
        ],
    }


def frames():
    lanczos = Image.Resampling.LANCZOS.value
    sizes = [
        case(width, height, detail, edge, TILE, LONGEST_EDGE, lanczos)
        for width, height in SIZES
        for detail, edge in EDGES.items()
    ]
    filters = [
        case(width, height, "high", 128, 64, 128, resample)
        for width, height in [(70, 50), (300, 900)]
        for resample in range(1, 6)
    ]
    return sizes + filters


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder)
    (folder / "decoded.json").write_text(json.dumps(decoded(folder), indent=1) + "\n")
    (folder / "frames.json").write_text(json.dumps(frames(), indent=1) + "\n")


if __name__ == "__main__":
    main()
