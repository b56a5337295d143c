"""Records PyTorch's gradients of the convolution family for lib/autodiff's tests.

    python tests/peers/record_convolution_gradients.py > lib/autodiff/rules/convolution_recorded.json

Needs torch (recorded with 2.13.0). Everything is computed in float64 and rounded to 9 digits. A case: "op", its "options",
"inputs" by name {"shape", "data"}, the gradient "weight" of the output, and the "gradients" of inputs by name. The
network case has a loss instead of an output's weight, and parameters in the order of its layers.
"""

import json
import sys

import torch
from torch.nn import functional as F

torch.manual_seed(20)
torch.set_default_dtype(torch.float64)


def plain(tensor):
    return {"shape": list(tensor.shape), "data": [float(f"{x:.9g}") for x in tensor.detach().flatten().tolist()]}


def case(op, function, options=None, **inputs):
    # Inputs are what float32 holds, so that the comparison is not about their rounding.
    inputs = {name: x.float().double().requires_grad_() for name, x in inputs.items()}
    y = function(**inputs)
    weight = torch.randn_like(y).float().double()
    (y * weight).sum().backward()
    return {
        "op": op,
        "options": options or {},
        "inputs": {name: plain(x) for name, x in inputs.items()},
        "weight": plain(weight),
        "gradients": {name: plain(x.grad) for name, x in inputs.items()},
    }


def distinct(*shape):
    """Elements that differ, for maxima."""
    count = int(torch.tensor(shape).prod())
    return ((torch.randperm(count) - count / 2) * 0.125).reshape(shape)


def network():
    """Two blocks conv - batch norm (some negative scales) - LeakyReLU - max pooling, average over places, linear, cross-entropy."""
    images, labels = torch.randn(6, 3, 12, 12).float().double(), torch.tensor([0, 3, 1, 4, 2, 3])
    shapes = [(8, 3, 3, 3), (8,), (8,), (6, 8, 3, 3), (6,), (6,), (6, 5), (5,)]
    parameters = [torch.randn(shape).float().double() for shape in shapes]
    for i in (0, 3):
        parameters[i] = (parameters[i] / 4).float().double()
    parameters = [p.requires_grad_() for p in parameters]
    x = images
    for w, scale, bias in (parameters[:3], parameters[3:6]):
        x = F.conv2d(x, w, padding=1)
        x = F.max_pool2d(F.leaky_relu(F.batch_norm(x, None, None, scale, bias, True), 0.1), 2)
    loss = F.cross_entropy(x.mean((2, 3)) @ parameters[6] + parameters[7], labels)
    loss.backward()
    return {
        "images": plain(images),
        "labels": labels.tolist(),
        "loss": loss.item(),
        "parameters": [plain(p) for p in parameters],
        "gradients": [plain(p.grad) for p in parameters],
    }


def convolutions():
    r = torch.randn
    for stride, padding, dilation, groups, bias in [(1, 1, 1, 1, True), (2, 1, 1, 1, False), (2, 2, 2, 2, True), (1, 0, 2, 4, False)]:
        options = {"strides": stride, "pads": padding, "dilations": dilation, "group": groups}
        inputs = {"x": r(2, 4, 7, 6), "w": r(4, 4 // groups, 3, 3), **({"bias": r(4)} if bias else {})}
        yield case(
            "conv", lambda x, w, bias=None: F.conv2d(x, w, bias, stride, padding, dilation, groups), options, **inputs
        )
        if stride > 1:
            extra = {**options, "outputPadding": 1}
            inputs["w"] = r(4, 4 // groups, 3, 3)
            inputs.pop("bias", None)
            yield case(
                "convTranspose",
                lambda x, w: F.conv_transpose2d(x, w, None, stride, padding, 1, groups, dilation),
                extra,
                **inputs,
            )
    yield case("conv", lambda x, w: F.conv1d(x, w, None, 2, 1), {"strides": 2, "pads": 1}, x=r(2, 3, 9), w=r(4, 3, 3))


def others():
    r = torch.randn
    x = distinct(2, 2, 6, 6)
    yield case("maxPool", lambda x: F.max_pool2d(x, 2), {"kernel": 2, "strides": 2}, x=x)
    yield case("maxPool", lambda x: F.max_pool2d(x, 3, 2, 1), {"kernel": 3, "strides": 2, "pads": 1}, x=x)
    yield case(
        "maxPool", lambda x: F.max_pool2d(x, 2, 1, 0, 2), {"kernel": 2, "strides": 1, "dilations": 2}, x=x
    )
    for include in (True, False):
        yield case(
            "averagePool",
            lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=include),
            {"kernel": 3, "strides": 2, "pads": 1, "countIncludePad": include},
            x=x,
        )
    channel = {"scale": r(3), "bias": r(3)}
    yield case("batchNorm", lambda x, scale, bias: F.batch_norm(x, None, None, scale, bias, True), x=r(4, 3, 5, 2), **channel)
    yield case("instanceNorm", lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias), x=r(2, 3, 4, 4), **channel)
    yield case(
        "layerNorm", lambda x, scale, bias: F.layer_norm(x, (3, 4), scale, bias), {"axis": 1}, x=r(5, 3, 4), scale=r(3, 4), bias=r(3, 4)
    )
    for mode, coordinates, options in [
        ("nearest", "asymmetric", {"nearest": "floor"}),
        ("linear", "half_pixel", {}),
        ("linear", "align_corners", {}),
        ("cubic", "half_pixel", {}),
    ]:
        torch_mode = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[mode]
        corners = None if mode == "nearest" else coordinates == "align_corners"
        yield case(
            "resize",
            lambda x: F.interpolate(x, (7, 9), mode=torch_mode, align_corners=corners),
            {"sizes": [2, 2, 7, 9], "mode": mode, "coordinates": coordinates, **options},
            x=r(2, 2, 4, 5),
        )
    for mode in ("reflect", "edge", "constant"):
        torch_mode = "replicate" if mode == "edge" else mode
        yield case("pad", lambda x: F.pad(x, (1, 2, 2, 0), torch_mode), {"mode": mode, "pads": [0, 0, 2, 1, 0, 0, 0, 2]}, x=r(2, 2, 4, 5))
    yield case("depthToSpace", lambda x: F.pixel_shuffle(x, 2), x=r(2, 8, 2, 3))
    yield case("leakyRelu", lambda x: F.leaky_relu(x, 0.2), {"alpha": 0.2}, x=r(3, 4))
    yield case("pRelu", lambda x, slope: F.prelu(x, slope), x=r(2, 3, 2), slope=r(3))


json.dump({"torch": torch.__version__, "cases": [*convolutions(), *others()], "network": network()}, sys.stdout)
print()
