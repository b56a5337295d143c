"""Detections judged by pycocotools, COCO's own program, for the tests of lib/evaluate. Needs pycocotools and numpy.

    python tests/peers/coco.py cases OUT.json FIRST COUNT    random cases by seed, with pycocotools' figures
    python tests/peers/coco.py evaluate TRUTH.json DETECTIONS.json    prints the figures and the seconds they took
"""

import contextlib
import io
import json
import random
import sys
import time

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NAMES = "ap ap50 ap75 apSmall apMedium apLarge ar1 ar10 ar100 arSmall arMedium arLarge".split()


def case(seed: int) -> dict:
    """A small data set with what is hard to count: crowds, ties, equal boxes, strange ids, empty images and classes."""
    rng = random.Random(seed)
    classes = rng.choice([1, 2, 4, 9])
    category_ids = rng.sample(range(0, 90), classes)
    image_ids = rng.sample(range(0, 10_000), rng.choice([1, 2, 3, 4]))
    # A coarse grid makes equal boxes, equal areas and overlaps that lie exactly on a threshold.
    grid = rng.choice([None, None, 4, 16, 32])
    levels = rng.choice([None, None, 1, 3, 8])  # how many different scores
    most = rng.choice([2, 4, 7])
    crowds = rng.choice([0, 0.1, 0.4])

    def number(value: float) -> float:
        return round(value / grid) * grid if grid else round(value, 1)

    def box(scale: float) -> list:
        return [number(rng.uniform(-5, 120)), number(rng.uniform(-5, 120)),
                number(rng.uniform(0, scale)), number(rng.uniform(0, scale))]

    def near(other: list) -> list:
        shift = rng.choice([0, 0.5, 2, 8])
        moved = [number(value + rng.uniform(-shift, shift)) for value in other]
        return moved[:2] + [max(0, value) for value in moved[2:]]

    annotations = []
    for image in image_ids:
        for _ in range(rng.randint(0, most)):
            place = near(annotations[-1]["bbox"]) if annotations and rng.random() < 0.3 else box(rng.choice([20, 90, 200]))
            category = rng.choice(category_ids[: max(1, classes - 1)])  # one class stays without truth
            if rng.random() < 0.03:
                category = 91  # not among the categories
            area = place[2] * place[3]
            if rng.random() < 0.3:
                area = number(area * rng.uniform(0.4, 1))  # as of a mask
            annotations.append({
                "image_id": 10_001 if rng.random() < 0.03 else image, "category_id": category, "bbox": place,
                "area": rng.choice([area, area, area, 1024, 9216]), "iscrowd": int(rng.random() < crowds),
            })
    first = rng.choice([0, 1, 1, 100])
    ids = list(range(first, first + len(annotations)))
    rng.shuffle(ids)
    for annotation, each in zip(annotations, ids):
        annotation["id"] = each

    detections = []
    for image in image_ids:
        here = [each for each in annotations if each["image_id"] == image]
        for _ in range(rng.choice([0, 4, 8, 14])):
            source = rng.choice(here) if here and rng.random() < 0.8 else None
            category = source["category_id"] if source and rng.random() < 0.8 else rng.choice(category_ids + [92])
            score = rng.random()
            detections.append({
                "image_id": image, "category_id": category,
                "bbox": near(source["bbox"]) if source else box(rng.choice([20, 90, 200])),
                "score": round(score * levels) / levels if levels else round(score, 3),
            })
    if seed % 15 == 7:  # more than 100 of one class in one image; the 100th is right, and so would the 101st be
        image, category = image_ids[0], category_ids[0]
        right = {98: [300, 300, 50, 50], 99: [400, 400, 50, 50]}
        for each, place in right.items():
            annotations.append({
                "image_id": image, "category_id": category, "bbox": place, "area": 2500, "iscrowd": 0, "id": 1000 + each,
            })
        # An IoU of 0.85, which NumPy's threshold equals exactly.
        annotations.append({
            "image_id": image, "category_id": category, "bbox": [800, 0, 100, 100], "area": 10_000, "iscrowd": 0, "id": 1200,
        })
        detections.append({"image_id": image, "category_id": category, "bbox": [800, 0, 85, 100], "score": 2.5})
        for i in range(114):
            detections.append({
                "image_id": image, "category_id": category, "bbox": right.get(i, [600, 600, 20, 20]), "score": 2 - i / 200,
            })
    if seed % 20 == 3 and detections:
        detections[-1]["image_id"] = 10_002  # not among the images
    rng.shuffle(detections)
    return {
        "truth": {
            "images": [{"id": each} for each in image_ids],
            "categories": [{"id": each, "name": f"class {each}"} for each in category_ids],
            "annotations": annotations,
        },
        "detections": detections,
    }


def judge(truth: dict, detections: list) -> dict:
    """pycocotools' summary, and precision and recall by class; None where there is nothing to be found."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(truth))
        coco.createIndex()
        try:
            found = coco.loadRes(json.loads(json.dumps(detections))) if detections else COCO()
        except AssertionError:
            return {"refused": True}
        if not detections:
            found.dataset = {**coco.dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(coco, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]

    def mean(values):
        return None if values.size == 0 or values.max() < 0 else float(values.mean())

    return {
        "figures": {name: None if value < 0 else float(value) for name, value in zip(NAMES, evaluation.stats)},
        "classes": [
            {
                "ap50": mean(precision[0, :, k, 0, 2]), "ap": mean(precision[:, :, k, 0, 2]),
                "ar": mean(recall[:, k, 0, 2]),
            }
            for k in range(precision.shape[2])
        ],
    }


def main() -> None:
    if sys.argv[1] == "cases":
        out, first, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        cases = []
        for seed in range(first, first + count):
            each = case(seed)
            cases.append({"seed": seed, **each, **judge(**each)})
        with open(out, "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in cases) + "\n]\n")
    else:
        begin = time.perf_counter()
        with open(sys.argv[2]) as truth, open(sys.argv[3]) as detections:
            result = judge(json.load(truth), json.load(detections))
        print(json.dumps({**result, "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
