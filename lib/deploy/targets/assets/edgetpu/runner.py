#!/usr/bin/env python3
"""Names the species in pictures: python3 runner.py [--cpu] [--top N] FILE...

Runs model_edgetpu.tflite, which edgetpu_compiler wrote, on a Coral Edge TPU; with --cpu it runs model.tflite on the processor, on any
machine. One JSON line a picture. --self-test checks known answers. Needs numpy, Pillow and tflite_runtime (or ai-edge-litert).
"""

import argparse
import json
import os
import platform
import sys

import numpy as np

from preprocess import read_picture

HOME = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = {"Linux": "libedgetpu.so.1", "Darwin": "libedgetpu.1.dylib", "Windows": "edgetpu.dll"}


def runtime():
    """The module with TFLite's interpreter that is installed."""
    try:
        from tflite_runtime import interpreter
    except ImportError:
        from ai_edge_litert import interpreter
    return interpreter


class Model:
    """Planes of pictures to logits, in int8."""

    def __init__(self, path, on_chip):
        tflite, delegates = runtime(), None
        if on_chip:
            library = LIBRARIES[platform.system()]
            try:
                delegates = [tflite.load_delegate(library)]
            except (OSError, ValueError) as error:
                raise SystemExit(f"error: {library}: expected an Edge TPU and libedgetpu1-std, found none ({error}); try --cpu")
        self.interpreter = tflite.Interpreter(model_path=path, experimental_delegates=delegates)
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()
        for port in (self.input, self.output):
            if port["dtype"] != np.int8 or port["quantization"][0] == 0:
                raise SystemExit(f"error: {path}: expected int8 with a scale, found {port['dtype'].__name__}")

    def __call__(self, planes):
        scale, zero = self.input["quantization"]
        whole = np.clip(np.rint(planes / scale) + zero, -128, 127).astype(np.int8)
        self.interpreter.set_tensor(self.input["index"], whole.transpose(1, 2, 0)[None])
        self.interpreter.invoke()
        scale, zero = self.output["quantization"]
        return (self.interpreter.get_tensor(self.output["index"])[0].astype(np.float64) - zero) * scale


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def classify(model, path, settings, views):
    """The probabilities of all classes, the mean over the views, at the model's temperature."""
    planes = read_picture(path, settings["input"])
    shown = [planes, planes[:, :, ::-1]] if views == "mirror" else [planes]
    mean = np.mean([softmax(model(each)) for each in shown], axis=0)
    return softmax(np.log(np.maximum(mean, 2.0**-126)) / settings["output"]["temperature"])


def load(name):
    with open(os.path.join(HOME, name), encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description="Names the species in pictures.")
    parser.add_argument("--cpu", action="store_true", help="run model.tflite on the processor")
    parser.add_argument("--model", help="another .tflite file")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("pictures", nargs="*")
    options = parser.parse_args()
    settings, views = load("preprocessing.json"), load("edgetpu.json")["views"]
    with open(os.path.join(HOME, "classes.txt"), encoding="utf-8") as file:
        names = file.read().splitlines()
    path = options.model or os.path.join(HOME, "model.tflite" if options.cpu else "model_edgetpu.tflite")
    if not os.path.exists(path):
        raise SystemExit(f"error: {path}: expected what edgetpu_compiler writes, found none; see README.md, or try --cpu")
    model = Model(path, not options.cpu)
    if options.self_test:
        for each in load("selftest.json")["pictures"]:
            scores = classify(model, os.path.join(HOME, each["file"]), settings, views)
            # Int8 moves a probability; the decision should stay.
            if scores.argmax() != each["class"]:
                raise SystemExit(f"error: {each['file']}: expected class {each['class']}, found {scores.argmax()}")
            print(f"{each['file']}: {scores.max():.4f}, expected {each['score']:.4f}")
        return
    if not options.pictures:
        parser.error("expected pictures, found none")
    for picture in options.pictures:
        scores = classify(model, picture, settings, views)
        best = np.argsort(-scores, kind="stable")[: options.top]
        top = [{"dex": settings["output"]["dex"][i], "class": int(i), "name": names[i], "score": float(scores[i])} for i in best]
        print(json.dumps({"image": picture, "top": top}, ensure_ascii=False))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ImportError) as error:
        sys.exit(f"error: {error}")
