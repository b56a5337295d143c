"""Small networks for training comparisons, and batches that any language can make again."""

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F


def uniform(count: int, stream: int) -> np.ndarray:
    """Numbers in [-1, 1) from a hash of place and stream; tests/train/recorded.ts has the same function."""
    with np.errstate(over="ignore"):
        x = (np.arange(count, dtype=np.uint32) + np.uint32(1)) * np.uint32(2654435761)
        x ^= np.uint32(stream + 1) * np.uint32(2246822519)
        x ^= x >> np.uint32(15)
        x *= np.uint32(2246822519)
        x ^= x >> np.uint32(13)
        x *= np.uint32(3266489917)
        x ^= x >> np.uint32(16)
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32)


def batch(shape, classes: int, stream: int, words: int = 0):
    """Inputs of a shape (word ids below `words` where given) and class ids."""
    count = int(np.prod(shape))
    x = uniform(count, 2 * stream)
    labels = np.floor((uniform(shape[0], 2 * stream + 1).astype(np.float64) + 1) / 2 * classes).astype(np.int64)
    if words:
        x = np.floor((x.astype(np.float64) + 1) / 2 * words).astype(np.int64)
    return torch.from_numpy(x.reshape(shape)), torch.from_numpy(labels)


class Cnn(nn.Module):
    """Convolutions with batch normalisation and max pooling."""

    example = (8, 3, 16, 16)

    def __init__(self, classes=5):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes),
        )

    def forward(self, x):
        return self.body(x)


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


class Residual(nn.Module):
    """A small residual network (He et al. 2016)."""

    example = (8, 3, 16, 16)

    def __init__(self, classes=5):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(ResidualBlock(8, 8, 1), ResidualBlock(8, 16, 2))
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.bn(self.stem(x)))).mean((2, 3)))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down = nn.Conv2d(channels, 4, 1)
        self.up = nn.Conv2d(4, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, hidden, outputs, stride):
        super().__init__()
        self.same = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            SqueezeExcite(hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        return x + self.body(x) if self.same else self.body(x)


class MobileNet(nn.Module):
    """Depthwise convolutions, hard swish and squeeze-and-excitation (Howard et al. 2019, MobileNetV3)."""

    example = (8, 3, 16, 16)

    def __init__(self, classes=5):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.blocks = nn.Sequential(InvertedResidual(8, 16, 8, 1), InvertedResidual(8, 24, 12, 2))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, classes))

    def forward(self, x):
        return self.head(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, mask=None):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(y.transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """A small ViT with a class token (Dosovitskiy et al. 2021)."""

    example = (8, 3, 16, 16)

    def __init__(self, classes=5, width=16, heads=2, depth=2):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 17, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class TextTransformer(nn.Module):
    """Word and position embeddings, two causal blocks, mean over the words."""

    example = (8, 12)
    words = 50

    def __init__(self, classes=5, width=16, heads=2, depth=2):
        super().__init__()
        self.embedding = nn.Embedding(self.words, width)
        self.position = nn.Parameter(torch.randn(1, 12, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        self.register_buffer("mask", torch.full((12, 12), float("-inf")).triu(1))

    def forward(self, ids):
        x = self.embedding(ids) + self.position
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(self.norm(x).mean(1))


MODELS = {
    "cnn": Cnn,
    "residual": Residual,
    "mobilenet": MobileNet,
    "vit": VisionTransformer,
    "text": TextTransformer,
}


def optimizer(name: str, parameters):
    """The optimizers of the comparison and their learning rates."""
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=0.02, momentum=0.9, weight_decay=5e-4)
    if name == "adam":
        return torch.optim.Adam(parameters, lr=1e-3, weight_decay=1e-4)
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)


def train(model, name: str, steps: int):
    """
    Losses of `steps` steps over four batches in turn, in double precision: in single, PyTorch's own curves differ by 2e-3 with
    the number of threads where a rectifier's input is near 0. Dropout is off, so that both sides can be compared.
    """
    model = model.double().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    update = optimizer(name, model.parameters())
    losses = []
    for step in range(steps):
        x, labels = batch(model.example, 5, step % 4, getattr(model, "words", 0))
        x = x.double() if x.is_floating_point() else x
        update.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        update.step()
        losses.append(loss.item())
    return losses


def export(model, path: str, dynamo: bool):
    """Writes an inference file with an open batch size; normalisations stay by themselves, as in a checkpoint to go on from."""
    model.eval()
    x, _ = batch(model.example, 5, 0, getattr(model, "words", 0))
    if dynamo:
        program = torch.onnx.export(
            model, (x,), dynamo=True, opset_version=18, input_names=["x"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N")},), optimize=False, verbose=False,
        )
        program.save(path, external_data=False)
    else:
        torch.onnx.export(
            model, (x,), path, dynamo=False, opset_version=17, input_names=["x"], output_names=["logits"],
            dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}}, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    strip(path)


def strip(path: str):
    """Leaves out the Python source lines that the exporter notes at every node; they would be most of a small file."""
    file = onnx.load(path)
    del file.graph.metadata_props[:], file.graph.value_info[:]
    for item in [*file.graph.node, *file.graph.input, *file.graph.output, *file.graph.initializer]:
        del item.metadata_props[:]
        item.doc_string = ""
    onnx.save(file, path)
