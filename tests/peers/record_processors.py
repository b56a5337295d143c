"""Records what the Python picture processors of transformers give, for the tests of lib/vlm.

    python tests/peers/record_processors.py tests/fixtures/vlm/processors.json

Needs transformers, Pillow 12.0.0 and numpy. Pictures are written by a formula that the test repeats.
"""

import json
import sys

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

CLIP = {
    "do_resize": True,
    "size": {"shortest_edge": 32},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "do_convert_rgb": True,
}
SIGLIP = {
    "do_resize": True,
    "size": {"height": 24, "width": 24},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
SETTINGS = {
    "clip": (CLIPImageProcessorPil, CLIP),
    "clip, a number as size": (CLIPImageProcessorPil, {**CLIP, "size": 32, "crop_size": 32}),
    "clip, lanczos": (CLIPImageProcessorPil, {**CLIP, "resample": 1}),
    "mobileclip": (CLIPImageProcessorPil, {**CLIP, "resample": 2, "do_normalize": False}),
    "clip, smaller than its crop": (CLIPImageProcessorPil, {**CLIP, "size": {"shortest_edge": 21}}),
    "clip, larger than its crop": (CLIPImageProcessorPil, {**CLIP, "size": {"shortest_edge": 39}}),
    "clip, nearest": (CLIPImageProcessorPil, {**CLIP, "resample": 0}),
    "siglip": (SiglipImageProcessorPil, SIGLIP),
    "siglip, bilinear": (SiglipImageProcessorPil, {**SIGLIP, "resample": 2}),
}
SIZES = [(32, 32), (47, 31), (19, 83), (120, 95), (7, 9)]


def picture(width: int, height: int) -> Image.Image:
    """Hard edges, where kernels overshoot, beside slopes; whole numbers only, so that every language draws the same."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    red = (x * x * 7 + y * 13 + x * y * 3) % 256
    green = np.where((x // 5 + y // 3) % 2 == 0, 255, 0)
    blue = (x * 255) // max(1, width - 1)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8), "RGB")


def main(path: str) -> None:
    cases = []
    for name, (kind, settings) in SETTINGS.items():
        processor = kind(**settings)
        for width, height in SIZES:
            values = np.asarray(processor(picture(width, height))["pixel_values"][0])
            flat = values.reshape(-1)
            # Every 41st value, and the sum of all: a subset that a wrong row, channel or kernel cannot pass.
            cases.append({
                "settings": name,
                "picture": [width, height],
                "shape": list(values.shape),
                "values": [round(float(each), 5) for each in flat[::41]],
                "sum": round(float(flat.astype(np.float64).sum()), 3),
            })
    document = {
        "transformers": transformers.__version__,
        "pillow": PIL.__version__,
        "settings": {
            name: {"family": "siglip" if kind is SiglipImageProcessorPil else "clip", "file": settings}
            for name, (kind, settings) in SETTINGS.items()
        },
        "cases": cases,
    }
    with open(path, "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


main(sys.argv[1])
