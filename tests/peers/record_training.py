"""Records PyTorch's losses, optimizers and schedules for the tests of lib/train.

    python tests/peers/record_training.py lib/train/pytorch.json

Everything is computed in double precision. Needs only torch.
"""

import json
import math
import sys

import torch
from torch.nn import functional as F

generator = torch.Generator().manual_seed(11)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def unit(*shape):
    return torch.rand(shape, dtype=torch.float64, generator=generator)


def flat(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


losses = {}


def loss(name, function, targets=None, **inputs):
    """Records a scalar loss of inputs and its gradients; targets get none."""
    leaves = {key: value.clone().requires_grad_() for key, value in inputs.items()}
    fixed = targets or {}
    result = function(**leaves, **fixed)
    result.backward()
    losses[name] = {
        "inputs": {key: {"shape": list(value.shape), "data": flat(value)} for key, value in inputs.items()},
        "targets": {
            key: {
                "shape": list(value.shape),
                "data": flat(value) if value.is_floating_point() else value.flatten().tolist(),
                "dtype": "float64" if value.is_floating_point() else "int64",
            }
            for key, value in fixed.items()
        },
        "loss": float(f"{result.item():.9g}"),
        "gradients": {key: flat(value.grad) for key, value in leaves.items()},
    }


ids = torch.tensor([0, 3, 2, 1])
images = torch.tensor([[[0, 2], [1, -100]], [[2, 2], [-100, 0]]])
soft = torch.softmax(normal(4, 5), 1)
loss("crossEntropy", lambda x, t: F.cross_entropy(x, t), {"t": ids}, x=normal(4, 5) * 3)
loss("crossEntropy sum", lambda x, t: F.cross_entropy(x, t, reduction="sum"), {"t": ids}, x=normal(4, 5))
loss("crossEntropy smoothed", lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), {"t": ids}, x=normal(4, 5))
loss("crossEntropy soft", lambda x, t: F.cross_entropy(x, t), {"t": soft}, x=normal(4, 5))
loss("crossEntropy soft smoothed", lambda x, t: F.cross_entropy(x, t, label_smoothing=0.2), {"t": soft}, x=normal(4, 5))
loss(
    "crossEntropy pixels", lambda x, t: F.cross_entropy(x, t, ignore_index=-100, label_smoothing=0.1), {"t": images},
    x=normal(2, 3, 2, 2),
)
hard = (unit(3, 4) > 0.5).double()
loss("binary", lambda x, t: F.binary_cross_entropy_with_logits(x, t), {"t": unit(3, 4)}, x=normal(3, 4) * 20)


def focal(x, t, gamma=2.0, alpha=0.25):
    """torchvision.ops.sigmoid_focal_loss, mean."""
    p = torch.sigmoid(x)
    plain = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    right = p * t + (1 - p) * (1 - t)
    return ((alpha * t + (1 - alpha) * (1 - t)) * plain * (1 - right) ** gamma).mean()


loss("focal", focal, {"t": hard}, x=normal(3, 4) * 2)
loss("meanSquaredError", lambda x, t: F.mse_loss(x, t), {"t": normal(3, 4)}, x=normal(3, 4))
loss("smoothL1", lambda x, t: F.smooth_l1_loss(x, t, beta=0.5), {"t": normal(3, 4)}, x=normal(3, 4))
loss(
    "klDivergence",
    lambda x, t: F.kl_div(F.log_softmax(x / 3, 1), F.log_softmax(t / 3, 1), reduction="batchmean", log_target=True) * 9,
    {"t": normal(4, 5)}, x=normal(4, 5),
)


def iou(kind):
    """torchvision.ops' losses of boxes as published, mean."""

    def function(x, t, epsilon=1e-7):
        w, h = x[:, 2] - x[:, 0], x[:, 3] - x[:, 1]
        tw, th = t[:, 2] - t[:, 0], t[:, 3] - t[:, 1]
        low, high = torch.maximum(x[:, :2], t[:, :2]), torch.minimum(x[:, 2:], t[:, 2:])
        inner = (high - low).clamp(min=0).prod(1)
        union = w * h + tw * th - inner
        ratio = inner / (union + epsilon)
        result = 1 - ratio
        outer = torch.maximum(x[:, 2:], t[:, 2:]) - torch.minimum(x[:, :2], t[:, :2])
        if kind == "giou":
            area = outer.prod(1)
            result = result + (area - union) / (area + epsilon)
        if kind in ("diou", "ciou"):
            centres = ((x[:, :2] + x[:, 2:]) - (t[:, :2] + t[:, 2:])) / 2
            result = result + (centres**2).sum(1) / ((outer**2).sum(1) + epsilon)
        if kind == "ciou":
            v = 4 / math.pi**2 * (torch.atan(tw / th) - torch.atan(w / h)) ** 2
            with torch.no_grad():
                alpha = v / (1 - ratio + v + epsilon)
            result = result + alpha * v
        return result.mean()

    return function


def boxes(n):
    corner, size = unit(n, 2), unit(n, 2) * 0.6 + 0.2
    return torch.cat([corner, corner + size], 1)


for kind in ("iou", "giou", "diou", "ciou"):
    loss(kind, iou(kind), {"t": boxes(6)}, x=boxes(6))


def info_nce(a, b):
    logits = F.normalize(a) @ F.normalize(b).T * 14
    each = torch.arange(len(a))
    return (F.cross_entropy(logits, each) + F.cross_entropy(logits.T, each)) / 2


def sig_lip(a, b):
    logits = F.normalize(a) @ F.normalize(b).T * 10 - 10
    signs = 2 * torch.eye(len(a), dtype=a.dtype) - 1
    return -F.logsigmoid(signs * logits).sum() / len(a)


loss("infoNce", info_nce, a=normal(5, 6), b=normal(5, 6))
loss("sigLip", sig_lip, a=normal(5, 6), b=normal(5, 6))

# Optimizers: two parameters, a matrix and a vector, and the gradients of eight steps.
start = [normal(2, 3), normal(3)]
gradients = [[normal(2, 3), normal(3)] for _ in range(8)]
gradients[5] = [g * 100 for g in gradients[5]]


def optimize(make, clip=None):
    parameters = [p.clone().requires_grad_() for p in start]
    update = make(parameters)
    path = []
    for step, fed in enumerate(gradients):
        for group in update.param_groups:
            group["lr"] = 0.1 / (1 + step)
        for parameter, gradient in zip(parameters, fed):
            parameter.grad = gradient.clone()
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        update.step()
        path.append([flat(p) for p in parameters])
    return path


def grouped(kind, decay, **options):
    """Weight decay on matrices only, as parameter groups."""
    return lambda ps: kind([{"params": ps[:1], "weight_decay": decay}, {"params": ps[1:], "weight_decay": 0}], lr=1, **options)


SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
optimizers = {
    "sgd": optimize(lambda ps: SGD(ps, lr=1)),
    "momentum": optimize(grouped(SGD, 0.05, momentum=0.9)),
    "nesterov": optimize(grouped(SGD, 0.05, momentum=0.8, nesterov=True)),
    "adam": optimize(grouped(Adam, 0.05)),
    "adamW": optimize(grouped(AdamW, 0.05, betas=(0.8, 0.95), eps=1e-6)),
    "clipped": optimize(lambda ps: SGD(ps, lr=1), clip=1.5),
}


def lion():
    """Chen et al. 2023, program 1."""
    ps, ms, path = [p.clone() for p in start], [torch.zeros_like(p) for p in start], []
    for step, fed in enumerate(gradients):
        for i, g in enumerate(fed):
            update = torch.sign(0.9 * ms[i] + 0.1 * g)
            decay = 0.05 if i == 0 else 0
            ps[i] = ps[i] - 0.1 / (1 + step) * (update + decay * ps[i])
            ms[i] = 0.99 * ms[i] + 0.01 * g
        path.append([flat(p) for p in ps])
    return path


def lamb():
    """You et al. 2020, algorithm 2."""
    ps, path = [p.clone() for p in start], []
    ms, vs = [torch.zeros_like(p) for p in start], [torch.zeros_like(p) for p in start]
    for step, fed in enumerate(gradients, 1):
        for i, g in enumerate(fed):
            ms[i] = 0.9 * ms[i] + 0.1 * g
            vs[i] = 0.999 * vs[i] + 0.001 * g * g
            r = ms[i] / (1 - 0.9**step) / ((vs[i] / (1 - 0.999**step)).sqrt() + 1e-6) + (0.05 if i == 0 else 0) * ps[i]
            ps[i] = ps[i] - 0.1 / step * ps[i].norm() / r.norm() * r
        path.append([flat(p) for p in ps])
    return path


optimizers["lion"], optimizers["lamb"] = lion(), lamb()


def rates(make, steps):
    update = SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule = make(update)
    found = []
    for _ in range(steps):
        found.append(update.param_groups[0]["lr"])
        update.step()
        schedule.step()
    return found


S = torch.optim.lr_scheduler
schedules = {
    "oneCycle": rates(lambda o: S.OneCycleLR(o, max_lr=0.4, total_steps=40), 40),
    "cosine": rates(lambda o: S.CosineAnnealingLR(o, T_max=30, eta_min=0.01), 31),
    "linear": rates(lambda o: S.LinearLR(o, start_factor=1, end_factor=0.1, total_iters=20), 25),
    "steps": rates(lambda o: S.MultiStepLR(o, milestones=[5, 12], gamma=0.2), 20),
    "every": rates(lambda o: S.StepLR(o, step_size=6, gamma=0.5), 20),
}

with open(sys.argv[1], "w") as file:
    json.dump({
        "torch": torch.__version__,
        "losses": losses,
        "start": [flat(p) for p in start],
        "gradients": [[flat(g) for g in fed] for fed in gradients],
        "optimizers": optimizers,
        "schedules": schedules,
    }, file)
    file.write("\n")
