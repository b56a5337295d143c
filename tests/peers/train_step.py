"""Times PyTorch CPU training steps of the networks of `deno task bench train`, on request.

    python tests/peers/train_step.py --threads 2

Reads one JSON request a line from stdin, {"case": NAME, "steps": N, "layout": "nchw" | "nhwc"}, and answers with one
JSON line, {"case", "ms": [milliseconds of each step], "cpu_ms": [processor time of each step, all threads], "loss": last
loss, "torch": version, "peak": MiB of memory at most}.
The caller alternates its own steps with these, so that both see the same load of the machine. A case is built at its
first request; {"case": null} lists the cases. A request may be {"case": NAME, "infer": BATCH, …} with a network of the
program's INFERENCE: then a step is a run of the trained network, normalisations folded, without gradients. Needs only torch.
"""

import argparse
import json
import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from yolo_full import Darknet as DarknetTensors, FreshDarknet, yolo_v3, yolo_v3_tiny  # noqa: E402
from yolo_loss import yolo_loss  # noqa: E402

CLASSES = 1025


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1),
    )


class PlainCnn(nn.Module):
    """6 x [Conv3x3 - BatchNorm - LeakyReLU(0.1) - MaxPool2], 16 ... 512 channels, global average pool, Linear 1025."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 16, 32, 64, 128, 256, 512]
        self.blocks = nn.Sequential(
            *(nn.Sequential(conv_bn(a, b, 3), nn.MaxPool2d(2)) for a, b in zip(widths, widths[1:]))
        )
        self.head = nn.Linear(512, CLASSES)

    def forward(self, x):
        return self.head(self.blocks(x).mean((2, 3)))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(channels, channels // 2, 1), conv_bn(channels // 2, channels, 3))

    def forward(self, x):
        return x + self.body(x)


class Darknet(nn.Module):
    """Darknet-53's layout (Redmon and Farhadi 2018, table 1): 3x3/2 convolutions, then 1x1 / 3x3 residual blocks."""

    def __init__(self, stem: int = 32, depths=(1, 2, 8, 8, 4)) -> None:
        super().__init__()
        layers = [conv_bn(3, stem, 3)]
        width = stem
        for depth in depths:
            layers.append(conv_bn(width, 2 * width, 3, 2))
            width *= 2
            layers.extend(Residual(width) for _ in range(depth))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d)
        x = x + self.proj(y)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Vit(nn.Module):
    """ViT, dim 192, depth 6, 3 heads: 64 px in patches of 8 px are 64 tokens; mean over tokens."""

    def __init__(self, dim: int = 192, depth: int = 6, heads: int = 3) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.position = nn.Parameter(torch.randn(1, 64, dim) * 0.02)
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, CLASSES)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(x)).mean(1))


def fresh_yolo(network, folded=False):
    """Tensors of a network by number and name."""
    fresh = FreshDarknet(folded)
    with torch.no_grad():
        network(fresh, torch.rand(1, 3, 64, 64), HEAD)
    return fresh.tensors


class Classifier:
    def __init__(self, build, size: int, batch: int, layout) -> None:
        self.model = build().train().to(memory_format=layout)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.images = torch.randn(batch, 3, size, size).to(memory_format=layout)
        self.labels = torch.randint(0, CLASSES, (batch,))

    def step(self) -> float:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Detector:
    """YOLOv3 with its loss, for the boxes that tasks/bench/networks.ts has too."""

    def __init__(self, build, size: int, batch: int, layout) -> None:
        self.network = build
        self.tensors = fresh_yolo(build)
        for name, value in self.tensors.items():
            if value.dim() == 4:
                self.tensors[name] = value = value.to(memory_format=layout)
            value.requires_grad_(not name.endswith(("/mean", "/variance")))
        trained = [value for value in self.tensors.values() if value.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=0.9)
        self.images = torch.rand(batch, 3, size, size).to(memory_format=layout)
        heads = zip(("coarse", "middle", "fine"), (32, 16, 8), (ANCHORS[6:], ANCHORS[3:6], ANCHORS[:3]))
        self.spec = {
            "classes": CLASSES, "size": size,
            "heads": [{"output": name, "stride": stride, "anchors": anchors} for name, stride, anchors in heads],
        }
        self.boxes = [[[100 * n + k, *box, 1] for k, box in enumerate(BOXES)] for n in range(batch)]

    def step(self) -> float:
        self.optimizer.zero_grad()
        heads = self.network(DarknetTensors(self.tensors), self.images, HEAD)
        loss, _ = yolo_loss(heads, self.boxes, self.spec, {})
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Inference:
    def __init__(self, build, size: int, batch: int, layout) -> None:
        self.network = build
        self.tensors = {
            name: value.to(memory_format=layout) if value.dim() == 4 else value
            for name, value in fresh_yolo(build, folded=True).items()
        }
        self.images = torch.rand(batch, 3, size, size).to(memory_format=layout)

    @torch.inference_mode()
    def step(self) -> float:
        return self.network(DarknetTensors(self.tensors), self.images, HEAD)[0][0, 0, 0, 0].item()


HEAD = 3 * (5 + CLASSES)
ANCHORS = [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]]
# Left, top, right, bottom: one a head, in pixels of 416.
BOXES = [[20, 30, 400, 390], [150, 40, 240, 130], [300, 350, 330, 380]]

CASES = {
    "cnn-96": (Classifier, PlainCnn, 96, 32),
    "cnn-224": (Classifier, PlainCnn, 224, 16),
    "darknet-128": (Classifier, Darknet, 128, 16),
    "vit-64": (Classifier, Vit, 64, 32),
    "yolov3-416": (Detector, yolo_v3, 416, 2),
}
INFERENCE = {"yolov3-416": (yolo_v3, 416), "yolov3-tiny-416": (yolo_v3_tiny, 416)}


def build(name: str, layout: str, infer):
    torch.manual_seed(0)
    layout = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    if infer is None:
        kind, network, size, batch = CASES[name]
        return kind(network, size, batch, layout)
    network, size = INFERENCE[name]
    return Inference(network, size, infer, layout)


def peak_mib() -> float:
    """The most memory that this process has had; ru_maxrss would count the parent's at the time of the fork."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    built = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["case"] is None:
            print(json.dumps({"cases": sorted(CASES)}), flush=True)
            continue
        key = (request["case"], request.get("layout", "nchw"), request.get("infer"))
        if key not in built:
            built.clear()
            built[key] = build(*key)
            built[key].step()
        times, cpu, loss = [], [], 0.0
        for _ in range(request.get("steps", 1)):
            start, busy = time.perf_counter(), time.process_time()
            loss = built[key].step()
            cpu.append(round(1e3 * (time.process_time() - busy), 2))
            times.append(round(1e3 * (time.perf_counter() - start), 2))
        peak = peak_mib()
        answer = {"case": key[0], "ms": times, "cpu_ms": cpu, "loss": loss}
        print(json.dumps({**answer, "torch": torch.__version__, "peak": round(peak)}), flush=True)


if __name__ == "__main__":
    main()
