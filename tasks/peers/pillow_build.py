"""What `deno task data build` does to a file, done with Pillow: python pillow_build.py FILES.json OUT PROCESSES

Prints the seconds it took. Per file: read, SHA-256, decode, store (a copy where the picture is small enough, else WebP),
fit into 416 x 416 (bilinear) on one of 32 backgrounds, JPEG of quality 90, a difference hash of the content box with its
outline, SHA-256 of what was written; all files written under a temporary name and renamed.
"""

import hashlib
import io
import json
import multiprocessing
import os
import sys
import time

from PIL import Image

SIZE = 416
backgrounds = {}


def background(index):
    if index not in backgrounds:
        if index % 2:
            noise = Image.effect_noise((26, 26), 90).resize((SIZE, SIZE), Image.BILINEAR)
        else:
            noise = Image.linear_gradient("L").rotate(index * 5).resize((SIZE, SIZE))
        flat = Image.new("L", (SIZE, SIZE), index * 8)
        backgrounds[index] = Image.merge("RGB", (noise, flat, noise))
    return backgrounds[index]


def put(path, data):
    with open(path + ".tmp", "wb") as file:
        file.write(data)
    os.rename(path + ".tmp", path)
    return hashlib.sha256(data).hexdigest()


def bits(values):
    return "".join("1" if value else "0" for value in values)


def fingerprint(picture):
    alpha = picture.getchannel("A")
    box = alpha.getbbox() or (0, 0, *picture.size)
    white = Image.new("RGBA", picture.size, "white")
    grey = Image.alpha_composite(white, picture).convert("L").resize((13, 12), Image.BOX, box=box).tobytes()
    cover = alpha.resize((12, 12), Image.BOX, box=box).tobytes()
    steps = [grey[13 * row + column + 1] - grey[13 * row + column] for row in range(12) for column in range(12)]
    return bits(step > 3 for step in steps) + bits(step < -3 for step in steps) + bits(value >= 128 for value in cover)


def make(job):
    index, path, out = job
    with open(path, "rb") as file:
        raw = file.read()
    digest = hashlib.sha256(raw).hexdigest()
    opened = Image.open(io.BytesIO(raw))
    picture = opened.convert("RGBA")
    stored = raw
    if max(picture.size) > SIZE:
        picture.thumbnail((SIZE, SIZE), Image.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=90, method=2)
        stored = buffer.getvalue()
    scale = SIZE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    if picture.getchannel("A").getextrema()[0] < 255:
        square = background(int(digest[:8], 16) % 32).copy()
    else:
        square = Image.new("RGB", (SIZE, SIZE), (114, 114, 114))
    fitted = picture.resize((width, height), Image.BILINEAR)
    square.paste(fitted, ((SIZE - width) // 2, (SIZE - height) // 2), fitted)
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=90)
    name = os.path.join(out, f"{index:06}")
    return digest, put(name + ".raw", stored), put(name + ".jpg", buffer.getvalue()), fingerprint(picture)


def main():
    files, out, processes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.makedirs(out)
    with open(files, encoding="utf-8") as file:
        paths = json.load(file)
    start = time.perf_counter()
    with multiprocessing.Pool(processes) as pool:
        rows = pool.map(make, [(index, path, out) for index, path in enumerate(paths)], chunksize=8)
    with open(os.path.join(out, "manifest.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
