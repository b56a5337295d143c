"""What the model expects of a picture, as preprocessing.json says. Needs numpy and Pillow."""

import io

import numpy as np
from PIL import Image, ImageOps

PICTURE_SIZE = 416  # a picture of the data set is no larger
VISIBLE_ALPHA = 16


def read_picture(path, settings):
    """The planes [3, size, size], float32, of a picture file."""
    size, view = settings["size"], settings["view"]
    with open(path, "rb") as file:
        image = Image.open(io.BytesIO(file.read()))
    image = ImageOps.exif_transpose(image).convert("RGBA")
    longest = min(2 * size, 4096) if view == "content" else size
    image = shrink(shrink(image, PICTURE_SIZE), longest)
    pixels = np.asarray(image, dtype=np.float64)
    return planes(pixels, settings)


def shrink(image, longest):
    """At most `longest` pixels on the longer side, on colours weighted by alpha; never larger than it is."""
    factor = longest / max(image.size)
    if factor >= 1:
        return image
    shape = tuple(max(1, round(side * factor)) for side in image.size)
    # One factor for both directions; what its rounding leaves over is split between the two ends.
    over = [max(0, (side - kept / factor) / 2) for side, kept in zip(image.size, shape)]
    box = (over[0], over[1], image.size[0] - over[0], image.size[1] - over[1])
    lanczos = getattr(Image, "Resampling", Image).LANCZOS
    return image.convert("RGBa").resize(shape, lanczos, box).convert("RGBA")


def planes(pixels, settings):
    """The planes of RGBA [height, width, 4]: the view as large as fits, centred, on the background, normalised."""
    height, width, _ = pixels.shape
    size = settings["size"]
    left, top, right, bottom = 0, 0, width, height
    if settings["view"] == "content":
        rows, columns = np.nonzero(pixels[:, :, 3] >= VISIBLE_ALPHA)
        if len(rows):
            left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    longer = max(right - left, bottom - top)
    x0, y0, step = left - (longer - (right - left)) / 2, top - (longer - (bottom - top)) / 2, longer / size
    if not (pixels.shape[:2] == (size, size) and step == 1 and x0 == 0 and y0 == 0):
        while step >= 2 and min(pixels.shape[:2]) >= 2:
            pixels, x0, y0, step = halve(pixels), x0 / 2, y0 / 2, step / 2
        pixels = sample(pixels, x0, y0, step, size)
    alpha = pixels[:, :, 3:] / 255
    laid = np.rint(pixels[:, :, :3] * alpha + np.array(settings["background"]) * (1 - alpha))
    mean, std = np.array(settings["mean"]), np.array(settings["std"])
    return ((laid / 255 - mean) / std).transpose(2, 0, 1).astype(np.float32)


def halve(pixels):
    """Half the size, each pixel the alpha-weighted mean of 2 x 2; an odd last row or column is averaged alone."""
    height, width, _ = pixels.shape
    pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    parts = np.stack([pixels[y::2, x::2] for y in (0, 1) for x in (0, 1)])
    weights = parts[..., 3:]
    total = weights.sum(axis=0)
    colours = (parts[..., :3] * weights).sum(axis=0) / np.maximum(total, 1e-9)
    return np.rint(np.concatenate([np.where(total > 0, colours, 0), total / 4], axis=2))


def sample(pixels, left, top, step, size):
    """Bilinear, on colours weighted by alpha; the picture's edge is smoothed over one pixel of the square."""
    height, width, _ = pixels.shape

    def places(start, length):
        at = start + (np.arange(size) + 0.5) * step - 0.5
        inner = max(0, 0.5 * step - 0.5)
        inside = (at >= inner) & (at <= length - 1 - inner)
        reach = np.minimum(at + 0.5, length - 0.5 - at) / step + 0.5
        at = np.clip(at, 0, length - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, length - 1), at - low, inside, reach

    xa, xb, fx, inside_x, reach_x = places(left, width)
    ya, yb, fy, inside_y, reach_y = places(top, height)
    reach = np.minimum(reach_y[:, None], reach_x[None, :])
    reach = np.where(inside_y[:, None] & inside_x[None, :], 1, reach)
    coverage = np.where(reach > 0.999, 1, np.maximum(reach, 0))[..., None]
    fx, fy = fx[None, :, None], fy[:, None, None]
    corners = [(ya, xa, (1 - fx) * (1 - fy)), (ya, xb, fx * (1 - fy)), (yb, xa, (1 - fx) * fy), (yb, xb, fx * fy)]
    alpha = colours = 0
    for rows, columns, weight in corners:
        part = pixels[np.ix_(rows, columns)]
        weight = weight * part[..., 3:]
        alpha = alpha + weight
        colours = colours + weight * part[..., :3]
    colours = np.where(alpha > 0, colours / np.maximum(alpha, 1e-9), 0)
    return np.rint(np.concatenate([colours, alpha * coverage], axis=2))
