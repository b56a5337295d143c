"""Records what OpenCV's Darknet importer computes, for lib/models/darknet/opencv_test.ts.

    python tests/peers/record_darknet.py tests/fixtures/darknet/opencv.json

Each case is a small `.cfg` that ends in a layer whose output OpenCV leaves as Darknet has it, random weights written in
Darknet's format, an input and OpenCV's output. Needs opencv-python-headless==4.10.0.84 (the 5 series reads no Darknet files)
and numpy.
"""

import base64
import json
import os
import struct
import sys
import tempfile

import cv2
import numpy as np

random = np.random.default_rng(53)


def conv(filters, size=3, stride=1, norm=True, activation="leaky", groups=1):
    lines = ["[convolutional]"] + (["batch_normalize=1"] if norm else [])
    lines += [f"filters={filters}", f"size={size}", f"stride={stride}", "pad=1", f"activation={activation}"]
    return "\n".join(lines + ([f"groups={groups}"] if groups > 1 else []))


def pool(stride, size=2):
    return f"[maxpool]\nsize={size}\nstride={stride}"


def route(*layers):
    return "[route]\nlayers=" + ",".join(map(str, layers))


SHORTCUT = "[shortcut]\nfrom=-3\nactivation=linear"

# name: (height, width, layers)
CASES = {
    "darknet19": (
        32,
        32,
        [conv(4), pool(2), conv(8), pool(2), conv(8), conv(4, 1), conv(8), pool(2), conv(16), conv(8, 1), conv(16)]
        + [conv(10, 1, norm=False, activation="linear"), "[avgpool]", "[softmax]\ngroups=1"],
    ),
    "darknet53": (
        32,
        32,
        [conv(4), conv(8, 3, 2), conv(4, 1), conv(8), SHORTCUT, conv(16, 3, 2), conv(8, 1), conv(16), SHORTCUT]
        + ["[avgpool]", conv(10, 1, norm=False, activation="linear"), "[softmax]\ngroups=1"],
    ),
    "yolov2 with reorg": (
        32,
        48,
        [conv(8), pool(2), conv(8), pool(2), conv(16), pool(2), conv(16), route(4), conv(4, 1), "[reorg]\nstride=2"]
        + [route(-1, 6), conv(12), conv(18, 1, norm=False, activation="linear")],
    ),
    "tiny, odd sizes": (
        27,
        35,
        [conv(4), pool(2), conv(8), pool(2), conv(8), pool(1), conv(8), conv(6, 1), "[upsample]\nstride=2"]
        + [route(-1), conv(9, 1, norm=False, activation="linear")],
    ),
    "activations": (
        16,
        16,
        [conv(4, activation="mish"), conv(4, activation="relu"), conv(8, activation="logistic", groups=2)]
        + [conv(5, 1, norm=False, activation="linear")],
    ),
}


def read_layers(layers):
    for layer in layers:
        kind, *options = layer.split("\n")
        yield kind, dict(option.split("=") for option in options)


def weights(layers, channels=3):
    """Random numbers in the file's order. Follows channels through the layers as Darknet does."""
    parts, outputs = [struct.pack("<iiiQ", 0, 2, 0, 64)], []
    for index, (kind, options) in enumerate(read_layers(layers)):
        before = outputs[-1] if outputs else channels
        if kind == "[convolutional]":
            filters, size = int(options["filters"]), int(options["size"])
            inputs = before // int(options.get("groups", 1)) * size * size
            bias = random.normal(0, 0.3, filters)
            numbers = [bias]
            if "batch_normalize" in options:
                variance = random.uniform(0.2, 1.5, filters)
                numbers += [random.uniform(0.5, 1.5, filters), random.normal(0, 0.3, filters), variance]
            numbers.append(random.normal(0, 1 / np.sqrt(inputs), filters * inputs))
            parts += [part.astype("<f4").tobytes() for part in numbers]
            outputs.append(filters)
        elif kind == "[route]":
            picked = [int(each) for each in options["layers"].split(",")]
            outputs.append(sum(outputs[each + index if each < 0 else each] for each in picked))
        elif kind == "[reorg]":
            outputs.append(before * int(options["stride"]) ** 2)
        else:
            outputs.append(before)
    return b"".join(parts)


def text(array):
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def main(target):
    cases = {}
    for name, (height, width, layers) in CASES.items():
        cfg = f"[net]\nwidth={width}\nheight={height}\nchannels=3\n\n" + "\n\n".join(layers) + "\n"
        numbers = weights(layers)
        images = random.uniform(0, 1, (1, 3, height, width)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, "net.cfg"), os.path.join(folder, "net.weights")]
            open(paths[0], "w").write(cfg)
            open(paths[1], "wb").write(numbers)
            net = cv2.dnn.readNetFromDarknet(*paths)
            net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
            net.setInput(images)
            output = net.forward()
        cases[name] = {
            "cfg": cfg,
            "weights": base64.b64encode(numbers).decode(),
            "input": text(images),
            "output": text(output),
            "shape": list(output.shape),
        }
    with open(target, "w") as file:
        json.dump({"opencv": cv2.__version__, "cases": cases}, file, indent=1)
        file.write("\n")


main(sys.argv[1])
