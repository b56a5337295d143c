"""The loss of one whole YOLOv3 in PyTorch, for weights and a batch that another program wrote.

    python tests/peers/yolo_full.py FOLDER --threads 2

FOLDER holds step.safetensors: "images" [N, 3, size, size] and the numbers of the convolutions in Darknet's order, "0/weight" and
either "0/scale" and "0/shift" (batch normalisation) or "0/bias"; and step.json: spec, boxes (class, left, top, right, bottom,
weight), options of the loss, the epsilon of batch normalisation, a multiplier of width and the counts of residual blocks.
Prints one JSON line: loss, its parts, the gradients' norm, the number of weights. Computed in double precision: in single, the
norm of so deep a network's gradients is off by some 1e-4 by itself.
Needs torch and numpy.
"""

import argparse
import json
import os
import struct
import sys

import numpy
import torch
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from yolo_loss import yolo_loss  # noqa: E402


def read_safetensors(path):
    """Float32 tensors by name (huggingface/safetensors, README "Format")."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        content = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", f"{name}: expected F32, found {entry['dtype']}"
        begin, end = entry["data_offsets"]
        array = numpy.frombuffer(content[begin:end], dtype="<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors


class YoloV3:
    """Redmon and Farhadi 2018, table 1 and section 2.3, layer by layer as in Darknet's yolov3.cfg."""

    def __init__(self, tensors, blocks, epsilon):
        self.tensors, self.blocks, self.epsilon = tensors, blocks, epsilon
        self.next = 0

    def convolution(self, x, stride=1):
        weight = self.tensors[f"{self.next}/weight"]
        bias = self.tensors.get(f"{self.next}/bias")
        x = F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[2] // 2)
        if bias is None:
            scale, shift = self.tensors[f"{self.next}/scale"], self.tensors[f"{self.next}/shift"]
            x = F.batch_norm(x, None, None, scale, shift, training=True, eps=self.epsilon)
            x = F.leaky_relu(x, 0.1)
        self.next += 1
        return x

    def __call__(self, x):
        self.next = 0
        x = self.convolution(x)
        stages = []
        for count in self.blocks:
            x = self.convolution(x, stride=2)
            for _ in range(count):
                x = x + self.convolution(self.convolution(x))
            stages.append(x)
        heads = []
        for scale in range(3):
            if scale > 0:
                x = F.interpolate(self.convolution(x), scale_factor=2, mode="nearest")
                x = torch.cat([x, stages[4 - scale]], 1)
            for _ in range(5):
                x = self.convolution(x)
            heads.append(self.convolution(self.convolution(x)))
        return heads


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
    network = YoloV3(tensors, step["blocks"], step["epsilon"])
    loss, parts = yolo_loss(network(images), step["boxes"], step["spec"], step["options"])
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
