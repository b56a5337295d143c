"""Records gradients of PyTorch for the tests of lib/autodiff.

    python tests/peers/record_gradients.py tests/fixtures/gradients.json

Each case is a function of small double-precision inputs; the file holds the inputs, a random gradient of the output, the
output, and the inputs' gradients. The test beside the rules (lib/autodiff/pytorch_test.ts) builds the same function as an
ONNX graph. Needs only torch.
"""

import json
import sys

import torch
from torch.nn import functional as F

CASES = {}


def case(name, /, **inputs):
    """Registers a function of inputs given as tensors; integer and boolean ones get no gradient."""

    def register(function):
        CASES[name] = (function, inputs)
        return function

    return register


generator = torch.Generator().manual_seed(20)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def positive(*shape):
    return torch.rand(*shape, dtype=torch.float64, generator=generator) * 2 + 0.3


def unit(*shape):
    return torch.rand(*shape, dtype=torch.float64, generator=generator) * 1.6 - 0.8


def floats(values):
    return torch.tensor(values, dtype=torch.float64)


def ints(values):
    return torch.tensor(values, dtype=torch.int64)


# Elementwise, with points on the kinks where PyTorch makes a choice.
case("Add", a=normal(2, 3), b=normal(3))(torch.add)
case("Sub", a=normal(1, 3), b=normal(2, 1))(torch.sub)
case("Mul", a=normal(2, 1, 2), b=normal(3, 1))(torch.mul)
case("Div", a=normal(2, 3), b=positive(2, 1))(torch.div)
case("Neg", x=normal(3))(torch.neg)
case("Pow", a=positive(2, 3), b=normal(3))(torch.pow)
case("Pow at 0", a=floats([0, 0, 0, 2]), b=floats([0, 1, 2, 0]))(torch.pow)
case("Sqrt", x=positive(4))(torch.sqrt)
case("Reciprocal", x=positive(4))(torch.reciprocal)
case("Exp", x=normal(4))(torch.exp)
case("Log", x=positive(4))(torch.log)
case("Abs", x=floats([-2, 0, 3]))(torch.abs)
case("Sin", x=normal(4))(torch.sin)
case("Cos", x=normal(4))(torch.cos)
case("Tan", x=unit(4))(torch.tan)
case("Asin", x=unit(4))(torch.asin)
case("Acos", x=unit(4))(torch.acos)
case("Atan", x=normal(4))(torch.atan)
case("Sinh", x=normal(4))(torch.sinh)
case("Cosh", x=normal(4))(torch.cosh)
case("Asinh", x=normal(4))(torch.asinh)
case("Acosh", x=positive(4) + 1)(torch.acosh)
case("Atanh", x=unit(4))(torch.atanh)
case("Erf", x=normal(4))(torch.erf)
case("Min", a=floats([1, 2, 3, 0]), b=floats([1, 3, 2, 0]))(torch.minimum)
case("Max", a=floats([1, 2, 3, 0]), b=floats([1, 3, 2, 0]))(torch.maximum)
case("Clip", x=floats([-2, -1, 0, 0.5, 1]))(lambda x: torch.clamp(x, -1, 0.5))
case("Where", condition=torch.tensor([[True], [False]]), a=normal(2, 3), b=normal(3))(torch.where)
case("Floor", x=normal(3))(lambda x: torch.floor(x) * x)
case("Ceil", x=normal(3))(lambda x: torch.ceil(x) * x)
case("Round", x=normal(3))(lambda x: torch.round(x) * x)
case("Sign", x=normal(3))(lambda x: torch.sign(x) * x)
case("Mod", a=floats([5.5, -5.5, 1]), b=floats([2, 2, 3]))(torch.fmod)
case("Cast", x=normal(3))(lambda x: x.float().double() * 2)
case("Identity", x=normal(3))(lambda x: x.clone())
case("Dropout", x=normal(6), mask=torch.tensor([0.0, 2, 2, 0, 2, 2], dtype=torch.float64))(torch.mul)
case("Sum", a=normal(2, 3), b=normal(3), c=normal(2, 1))(lambda a, b, c: a + b + c)
case("Mean", a=normal(2, 3), b=normal(3), c=normal(2, 1))(lambda a, b, c: (a + b + c) / 3)

# Activations.
case("Sigmoid", x=normal(5))(torch.sigmoid)
case("HardSigmoid", x=floats([-4, -2, 0, 1, 4]))(F.hardsigmoid)
case("HardSwish", x=floats([-4, -2, 0, 1, 4]))(F.hardswish)
case("Tanh", x=normal(5))(torch.tanh)
case("Softplus", x=normal(5))(F.softplus)
case("Softsign", x=normal(5))(F.softsign)
case("Gelu", x=normal(5))(F.gelu)
case("Gelu by tanh", x=normal(5))(lambda x: F.gelu(x, approximate="tanh"))
case("Elu", x=normal(5))(lambda x: F.elu(x, 0.7))
case("Selu", x=normal(5))(F.selu)
case("Celu", x=normal(5))(lambda x: F.celu(x, 0.7))
case("Mish", x=normal(5))(F.mish)
case("Silu", x=normal(5))(F.silu)
case("ThresholdedRelu", x=floats([-1, 0.2, 0.7, 2]))(lambda x: F.threshold(x, 0.5, 0))
case("Softmax", x=normal(2, 3, 2))(lambda x: F.softmax(x, 1))
case("LogSoftmax", x=normal(2, 3, 2))(lambda x: F.log_softmax(x, 1))

# Reductions, with equal elements where PyTorch shares the gradient.
case("ReduceSum", x=normal(2, 3, 2))(lambda x: x.sum((0, 2)))
case("ReduceMean", x=normal(2, 3, 2))(lambda x: x.mean(1, keepdim=True))
case("ReduceMax", x=floats([[5, 1, 5], [2, 2, 2]]))(lambda x: x.amax(1))
case("ReduceMin", x=floats([[5, 1, 1], [2, 3, 4]]))(lambda x: x.amin(0))
case("ReduceLogSumExp", x=normal(2, 3, 2))(lambda x: x.logsumexp((1, 2)))
case("ReduceL1", x=floats([[1, -2, 0], [0, 0, 3]]))(lambda x: torch.linalg.vector_norm(x, 1, 1))
case("ReduceL2", x=floats([[1, -2, 0], [0, 0, 0]]))(lambda x: torch.linalg.vector_norm(x, 2, 1))
case("ReduceSumSquare", x=normal(2, 3))(lambda x: x.square().sum(0))
case("ReduceLogSum", x=positive(2, 3))(lambda x: x.sum(0).log())
case("ReduceProd", x=floats([[1, 2, 3], [0, 2, 3], [0, 0, 3]]))(lambda x: x.prod(1))
case("CumSum", x=normal(2, 3))(lambda x: x.cumsum(0))
case("TopK", x=normal(2, 5))(lambda x: x.topk(2, 1).values)

# Products.
case("MatMul", a=normal(2, 1, 3, 2), b=normal(2, 2, 3))(torch.matmul)
case("MatMul of a batch and a matrix", a=normal(2, 3, 2), b=normal(2, 3))(torch.matmul)
case("MatMul of a vector and a batch", a=normal(2), b=normal(2, 2, 3))(torch.matmul)
case("MatMul of two vectors", a=normal(3), b=normal(3))(torch.matmul)
case("Gemm", a=normal(3, 2), b=normal(4, 3), c=normal(4))(lambda a, b, c: 0.5 * (a.T @ b.T) + 2 * c)
case("Einsum", a=normal(2, 3, 2), b=normal(2, 2, 3))(lambda a, b: torch.einsum("abc,acd->bd", a, b))
case("Einsum with a diagonal", a=normal(3, 3), b=normal(3, 2))(lambda a, b: torch.einsum("aa,ab->b", a, b))

# Layout.
case("Reshape", x=normal(2, 3, 2))(lambda x: x.reshape(4, 3))
case("Flatten", x=normal(2, 3, 2))(lambda x: x.flatten(1))
case("Transpose", x=normal(2, 3, 2))(lambda x: x.permute(2, 0, 1))
case("Squeeze", x=normal(2, 1, 3))(lambda x: x.squeeze(1))
case("Unsqueeze", x=normal(2, 3))(lambda x: x.unsqueeze(1))
case("Expand", x=normal(2, 1, 3))(lambda x: x.expand(4, 2, 3, 3))
case("Concat", a=normal(2, 1), b=normal(2, 3))(lambda a, b: torch.cat((a, b, a), 1))
case("Split", x=normal(2, 4))(lambda x: x.split((1, 3), 1)[0] * x.split((1, 3), 1)[1])
case("Slice", x=normal(5, 4))(lambda x: x[1:4:2, :3])
case("Slice backwards", x=normal(5, 4))(lambda x: x.flip(0)[1::2])
case("Tile", x=normal(2, 3))(lambda x: x.repeat(2, 3))
case("Trilu", x=normal(3, 4))(lambda x: x.triu(1))

# Indexing.
case("Gather", x=normal(4, 3), i=ints([[0, 2], [2, 1]]))(lambda x, i: x[i])
case("GatherElements", x=normal(3, 3), i=ints([[0, 0, 2], [2, 1, 2]]))(lambda x, i: x.gather(0, i))
case("GatherND", x=normal(3, 3), i=ints([[0, 0], [2, 1], [0, 0]]))(lambda x, i: x[i[:, 0], i[:, 1]])
case("ScatterElements", x=normal(3, 3), i=ints([[0, 1, 2]]), u=normal(1, 3))(lambda x, i, u: x.scatter(0, i, u))
case("ScatterND", x=normal(3, 2), i=ints([[2], [0]]), u=normal(2, 2))(lambda x, i, u: x.index_put((i[:, 0],), u))


def numbers(tensor):
    return [float(f"{value:.12g}") for value in tensor.reshape(-1).tolist()]


def record(function, inputs):
    tensors = {
        name: value.detach().clone().requires_grad_(value.is_floating_point()) for name, value in inputs.items()
    }
    output = function(*tensors.values())
    weight = normal(*output.shape)
    output.backward(weight)
    return {
        "inputs": {
            name: {
                "shape": list(value.shape),
                "data": numbers(value),
                **({} if value.is_floating_point() else {"dtype": "bool" if value.dtype == torch.bool else "int64"}),
            }
            for name, value in tensors.items()
        },
        "weight": numbers(weight),
        "output": numbers(output),
        "gradients": {name: numbers(value.grad) for name, value in tensors.items() if value.grad is not None},
    }


def main():
    recorded = {name: record(function, inputs) for name, (function, inputs) in CASES.items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in recorded.items())
    with open(sys.argv[1], "w") as file:
        file.write(f'{{"torch": {json.dumps(torch.__version__)}, "cases": {{\n{lines}\n}}}}\n')
    print(f"{len(recorded)} cases with PyTorch {torch.__version__}", file=sys.stderr)


main()
