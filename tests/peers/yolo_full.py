"""YOLOv3 and YOLOv3-tiny in PyTorch; as a program the loss of one whole YOLOv3 for weights and a batch that another wrote.

    python tests/peers/yolo_full.py FOLDER --threads 2

FOLDER holds step.safetensors: "images" [N, 3, size, size] and the numbers of the convolutions in Darknet's order, "0/weight" and
either "0/scale" and "0/shift" (batch normalisation) or "0/bias"; and step.json: spec, boxes (class, left, top, right, bottom,
weight), options of the loss, the epsilon of batch normalisation, a multiplier of width and the counts of residual blocks.
Prints one JSON line: loss, its parts, the gradients' norm, the number of weights. Computed in double precision: in single, the
norm of so deep a network's gradients is off by some 1e-4 by itself.
Needs only torch.
"""

import argparse
import json
import os
import struct
import sys

import torch
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from yolo_loss import yolo_loss  # noqa: E402


def read_safetensors(path):
    """Float32 tensors by name (huggingface/safetensors, README "Format")."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        content = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", f"{name}: expected F32, found {entry['dtype']}"
        begin, end = entry["data_offsets"]
        count = (end - begin) // 4
        tensors[name] = torch.frombuffer(content, dtype=torch.float32, count=count, offset=begin).reshape(entry["shape"])
    return tensors


class Darknet:
    """Convolutions in Darknet's order on tensors by number: "0/weight" and either "0/scale", "0/shift" or "0/bias".

    Batch normalisation takes the batch's statistics, and updates "0/mean" and "0/variance" where they are there.
    """

    def __init__(self, tensors, epsilon=1e-5):
        self.tensors, self.epsilon = tensors, epsilon
        self.next = 0

    def convolution(self, x, outputs, kernel, stride=1, activation=True):
        weight, bias = (self.tensors.get(f"{self.next}/{name}") for name in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, stride=stride, padding=kernel // 2)
        if bias is None:
            mean, variance, scale, shift = (
                self.tensors.get(f"{self.next}/{name}") for name in ("mean", "variance", "scale", "shift")
            )
            x = F.batch_norm(x, mean, variance, scale, shift, training=True, eps=self.epsilon)
        self.next += 1
        return F.leaky_relu(x, 0.1) if activation else x

    def head(self, x, outputs):
        return self.convolution(x, outputs, 1, activation=False)


class FreshDarknet(Darknet):
    """Makes the tensors that its networks need while they run on a small picture; folded: biases, no normalisations."""

    def __init__(self, folded=False):
        super().__init__({})
        self.folded = folded

    def convolution(self, x, outputs, kernel, stride=1, activation=True):
        fan = x.shape[1] * kernel ** 2
        self.tensors[f"{self.next}/weight"] = torch.randn(outputs, x.shape[1], kernel, kernel) * (2 / 1.01 / fan) ** 0.5
        if self.folded or not activation:
            self.tensors[f"{self.next}/bias"] = torch.zeros(outputs)
        else:
            for name, value in (("scale", 1), ("shift", 0), ("mean", 0), ("variance", 1)):
                self.tensors[f"{self.next}/{name}"] = torch.full((outputs,), float(value))
        return super().convolution(x, outputs, kernel, stride, activation)


def yolo_v3(layers, x, outputs, blocks=(1, 2, 8, 8, 4)):
    """Redmon and Farhadi 2018, table 1 and section 2.3, layer by layer as in Darknet's yolov3.cfg; three heads, coarse to fine."""
    layers.next = 0
    x = layers.convolution(x, 32, 3)
    stages = []
    for stage, count in enumerate(blocks):
        width = 64 << stage
        x = layers.convolution(x, width, 3, stride=2)
        for _ in range(count):
            x = x + layers.convolution(layers.convolution(x, width // 2, 1), width, 3)
        stages.append(x)
    heads = []
    for scale in range(3):
        width = 512 >> scale
        if scale > 0:
            x = F.interpolate(layers.convolution(x, width, 1), scale_factor=2, mode="nearest")
            x = torch.cat([x, stages[4 - scale]], 1)
        for _ in range(2):
            x = layers.convolution(layers.convolution(x, width, 1), 2 * width, 3)
        x = layers.convolution(x, width, 1)
        heads.append(layers.head(layers.convolution(x, 2 * width, 3), outputs))
    return heads


def yolo_v3_tiny(layers, x, outputs):
    """Darknet's yolov3-tiny.cfg: two heads, coarse and fine."""
    layers.next = 0
    for width in (16, 32, 64, 128, 256):
        x = layers.convolution(x, width, 3)
        fine = x
        x = F.max_pool2d(x, 2, 2)
    x = F.max_pool2d(F.pad(layers.convolution(x, 512, 3), (0, 1, 0, 1), value=float("-inf")), 2, 1)
    x = layers.convolution(layers.convolution(x, 1024, 3), 256, 1)
    coarse = layers.head(layers.convolution(x, 512, 3), outputs)
    x = F.interpolate(layers.convolution(x, 128, 1), scale_factor=2, mode="nearest")
    return [coarse, layers.head(layers.convolution(torch.cat([x, fine], 1), 256, 3), outputs)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tensors = read_safetensors(os.path.join(arguments.folder, "step.safetensors"))
    with open(os.path.join(arguments.folder, "step.json")) as file:
        step = json.load(file)
    tensors = {name: each.double() for name, each in tensors.items()}
    images = tensors.pop("images")
    for weight in tensors.values():
        weight.requires_grad_()
    # The tensors know their widths, so that the heads' channels need not be told.
    heads = yolo_v3(Darknet(tensors, step["epsilon"]), images, None, step["blocks"])
    loss, parts = yolo_loss(heads, step["boxes"], step["spec"], step["options"])
    loss.backward()
    unused = [name for name, weight in tensors.items() if weight.grad is None]
    assert not unused, f"expected every weight to be used, found {unused[:4]} unused"
    norm = torch.sqrt(sum((weight.grad.double() ** 2).sum() for weight in tensors.values()))
    print(json.dumps({
        "loss": loss.item(), "parts": {name: part.item() for name, part in parts.items()},
        "gradientNorm": norm.item(), "weights": sum(weight.numel() for weight in tensors.values()),
    }))


if __name__ == "__main__":
    main()
