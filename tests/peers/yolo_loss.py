"""YOLOv3's loss in PyTorch, written from the paper, and a record of it for the tests of lib/train/detection.

    python tests/peers/yolo_loss.py tests/fixtures/yolo_loss.json

Loops over boxes and cells, dense and plain; double precision where it records. Needs only torch.
"""

import json
import math
import sys

import torch
from torch.nn import functional as F


def shape_iou(w, h, anchor):
    both = min(w, anchor[0]) * min(h, anchor[1])
    return both / (w * h + anchor[0] * anchor[1] - both)


def assign(boxes, spec, options):
    """For one picture: {(head, anchor, row, column): positive}. A box is (class, left, top, right, bottom, weight)."""
    taken = {}
    for box in boxes:
        _, left, top, right, bottom, weight = box
        w, h, x, y = right - left, bottom - top, (left + right) / 2, (top + bottom) / 2
        ious = {
            (k, a): shape_iou(w, h, anchor)
            for k, head in enumerate(spec["heads"]) for a, anchor in enumerate(head["anchors"])
        }
        best = max(ious, key=ious.get)
        for (k, a), iou in ious.items():
            if (k, a) != best and iou <= options.get("anchorThreshold", 2):
                continue
            stride = spec["heads"][k]["stride"]
            cells = spec["size"] // stride
            i, j = int(x / stride), int(y / stride)
            places = [(j, i)]
            if options.get("neighbours"):
                for di, dj, near in (
                    (-1, 0, x / stride - i < 0.5), (1, 0, x / stride - i > 0.5),
                    (0, -1, y / stride - j < 0.5), (0, 1, y / stride - j > 0.5),
                ):
                    if near and 0 <= i + di < cells and 0 <= j + dj < cells:
                        places.append((j + dj, i + di))
            for order, (row, column) in enumerate(places):
                new = {
                    "box": box, "weight": weight, "classes": {box[0]: weight},
                    "first": (k, a) == best and order == 0, "area": w * h, "heaviest": weight,
                }
                key = (k, a, row, column)
                old = taken.get(key)
                if old is None:
                    taken[key] = new
                elif old["first"] != new["first"]:
                    taken[key] = old if old["first"] else new
                elif old["weight"] + new["weight"] <= 1 + 1e-6:
                    heavier = new if new["heaviest"] > old["heaviest"] else old
                    classes = dict(old["classes"])
                    classes[box[0]] = classes.get(box[0], 0) + weight
                    taken[key] = {**heavier, "classes": classes, "weight": old["weight"] + weight}
                elif new["area"] >= old["area"]:
                    taken[key] = new
    return taken


def iou_of(a, b):
    """Corner boxes [..., 4] with corner boxes [..., 4]."""
    overlap = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    both = overlap.prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return both / (areas - both)


def ciou_loss(p, t):
    """1 - CIoU of corner boxes (Zheng et al. 2020, eq. 7, 10 and 11), the epsilon as torchvision's complete_box_iou_loss."""
    epsilon = 1e-7
    overlap = (torch.minimum(p[2:], t[2:]) - torch.maximum(p[:2], t[:2])).clamp(min=0)
    both = overlap.prod()
    iou = both / ((p[2:] - p[:2]).prod() + (t[2:] - t[:2]).prod() - both + epsilon)
    outer = torch.maximum(p[2:], t[2:]) - torch.minimum(p[:2], t[:2])
    apart = (p[:2] + p[2:] - t[:2] - t[2:]) / 2
    (w, h), (wt, ht) = (p[2:] - p[:2]), (t[2:] - t[:2])
    v = 4 / math.pi ** 2 * (torch.atan(wt / (ht + epsilon)) - torch.atan(w / (h + epsilon))) ** 2
    alpha = (v / (1 - iou + v + epsilon)).detach()
    return 1 - iou + (apart ** 2).sum() / ((outer ** 2).sum() + epsilon) + alpha * v


def yolo_loss(heads, boxes, spec, options):
    """The loss and its parts. heads: raw tensors [N, A (5 + C), rows, columns]; boxes: a list for each picture."""
    count, size = spec["classes"], spec["size"]
    gains = {"box": 1, "objectness": 1, "noObject": 1, "class": 1, **options.get("gains", {})}
    sums = {"box": 0.0, "objectness": 0.0, "class": 0.0}
    positives = 0.0
    smoothing = options.get("labelSmoothing", 0)
    for n, truth in enumerate(boxes):
        taken = assign(truth, spec, options)
        corners = torch.tensor([box[1:5] for box in truth], dtype=heads[0].dtype).reshape(-1, 4) / size
        for k, head in enumerate(spec["heads"]):
            side, anchors = size // head["stride"], torch.tensor(head["anchors"], dtype=heads[k].dtype)
            raw = heads[k][n].reshape(len(anchors), 5 + count, side, side).permute(0, 2, 3, 1)  # A, row, column, 5 + C
            rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
            corner = torch.stack([columns, rows], -1)
            centre = (torch.sigmoid(raw[..., :2]) + corner) / side
            extent = torch.exp(raw[..., 2:4]) * anchors[:, None, None] / size
            decoded = torch.cat([centre - extent / 2, centre + extent / 2], -1)
            counted = torch.ones(raw.shape[:3], dtype=raw.dtype) * gains["noObject"]
            if len(truth):
                best = iou_of(decoded.detach()[..., None, :], corners).amax(-1)
                counted[best > options.get("ignoreThreshold", 0.7)] = 0
            target = torch.zeros(raw.shape[:3], dtype=raw.dtype)
            for (_, a, j, i), positive in ((key, value) for key, value in taken.items() if key[0] == k):
                _, left, top, right, bottom, _ = positive["box"]
                weight = positive["weight"]
                target[a, j, i], counted[a, j, i] = weight, 1
                t = raw[a, j, i]
                w, h = (right - left) / size, (bottom - top) / size
                place = torch.tensor(
                    [(left + right) / 2 / size * side - i, (top + bottom) / 2 / size * side - j], dtype=raw.dtype,
                ).clamp(0, 1)
                shape = torch.log(torch.tensor([w, h], dtype=raw.dtype) * size / anchors[a])
                kind = options.get("boxLoss", "darknet")
                if kind == "ciou":
                    box = ciou_loss(decoded[a, j, i], torch.tensor([left, top, right, bottom], dtype=raw.dtype) / size)
                else:
                    xy = F.binary_cross_entropy_with_logits(t[:2], place, reduction="sum") if kind == "darknet" \
                        else ((torch.sigmoid(t[:2]) - place) ** 2).sum() / 2
                    box = (2 - w * h) * (xy + ((t[2:4] - shape) ** 2).sum() / 2)
                classes = torch.zeros(count, dtype=raw.dtype)
                for class_id, share in positive["classes"].items():
                    classes[class_id] = share / sum(positive["classes"].values())
                classes = classes * (1 - smoothing) + smoothing / count
                if options.get("classLoss") == "softmax":
                    one = -(classes * torch.log_softmax(t[5:], 0)).sum()
                else:
                    one = F.binary_cross_entropy_with_logits(t[5:], classes, reduction="sum")
                sums["box"] = sums["box"] + weight * box
                sums["class"] = sums["class"] + weight * one
                positives += weight
            losses = F.binary_cross_entropy_with_logits(raw[..., 4], target, reduction="none")
            sums["objectness"] = sums["objectness"] + (counted * losses).sum()
    divisor = len(boxes) if options.get("normalisation") == "pictures" else max(1.0, positives)
    parts = {name: gains[name] * value / divisor for name, value in sums.items()}
    return sum(parts.values()), parts


def formula(shape, phase):
    """Head values that both sides can make: 2 sin(1.7 i + phase) + 0.5 cos(0.31 i)."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (2 * torch.sin(1.7 * i + phase) + 0.5 * torch.cos(0.31 * i)).reshape(shape)


SPEC = {
    "classes": 3, "size": 64,
    "heads": [
        {"output": "coarse", "stride": 32, "anchors": [[40, 30], [25, 50]]},
        {"output": "fine", "stride": 16, "anchors": [[12, 14], [20, 10]]},
    ],
}
PLAIN = [
    [[0, 3, 5, 45, 38, 1], [2, 30, 40, 43, 53, 1], [1, 33, 41, 44, 57, 1], [1, 50, 1, 64, 15, 1]],
    [],
    [[2, 10.5, 8.25, 34, 60, 1], [0, 44, 44, 62, 55, 1]],
]
# The first two share a cell and an anchor and mix; the third stands alone with half a weight; the last two collide.
MIXED = [
    [[0, 2, 2, 40, 34, 0.7], [1, 4, 1, 43, 32, 0.3], [2, 40, 40, 52, 55, 0.5]],
    [[0, 17, 33, 28, 46, 1], [1, 17, 34, 29, 47, 1]],
]
CASES = {
    "defaults": (PLAIN, {}),
    "squares, pictures, gains": (PLAIN, {
        "boxLoss": "squares", "normalisation": "pictures", "gains": {"box": 2, "objectness": 0.7, "noObject": 0.5, "class": 3},
    }),
    "ciou, smoothed": (PLAIN, {"boxLoss": "ciou", "labelSmoothing": 0.1, "ignoreThreshold": 0.2}),
    "softmax, smoothed": (PLAIN, {"classLoss": "softmax", "labelSmoothing": 0.2, "ignoreThreshold": 1}),
    "more anchors and neighbours": (PLAIN, {"anchorThreshold": 0.4, "neighbours": True, "ignoreThreshold": 0.12}),
    "mixed pictures": (MIXED, {"labelSmoothing": 0.1}),
    "mixed pictures, softmax, neighbours, ciou": (MIXED, {"classLoss": "softmax", "neighbours": True, "boxLoss": "ciou"}),
    "no boxes": ([[], []], {}),
}


def record(path):
    recorded = {}
    for name, (boxes, options) in CASES.items():
        heads = []
        for k, head in enumerate(SPEC["heads"]):
            side = SPEC["size"] // head["stride"]
            shape = (len(boxes), len(head["anchors"]) * (5 + SPEC["classes"]), side, side)
            heads.append(formula(shape, k).requires_grad_())
        loss, parts = yolo_loss(heads, boxes, SPEC, options)
        loss.backward()
        parts = {key: float(value.detach()) if torch.is_tensor(value) else value for key, value in parts.items()}
        recorded[name] = {
            "boxes": boxes, "options": options, "loss": float(f"{loss.item():.10g}"),
            "parts": {key: float(f"{value:.10g}") for key, value in parts.items()},
            "gradients": [[float(f"{x:.7g}") for x in head.grad.flatten().tolist()] for head in heads],
        }
    with open(path, "w") as file:
        json.dump({"spec": SPEC, "cases": recorded}, file)
        file.write("\n")


if __name__ == "__main__":
    record(sys.argv[1])
