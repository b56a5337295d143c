"""Records calibration figures by PyTorch and SciPy, and p-values by SciPy, for the tests of lib/evaluate.

    python tests/peers/record_calibration.py tests/fixtures/evaluate/calibration.json

Needs torch, numpy and scipy.
"""

import json
import sys

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import binomtest


def expected_calibration_error(logits: torch.Tensor, labels: torch.Tensor, bins: int = 15) -> float:
    """As published with Guo et al. 2017."""
    confidences, predictions = torch.softmax(logits, dim=1).max(dim=1)
    right = predictions.eq(labels)
    boundaries = torch.linspace(0, 1, bins + 1, dtype=logits.dtype)
    error = torch.zeros(1, dtype=logits.dtype)
    for low, high in zip(boundaries[:-1], boundaries[1:]):
        inside = confidences.gt(low) & confidences.le(high)
        share = inside.to(logits.dtype).mean()
        if share > 0:
            error += (confidences[inside].mean() - right[inside].to(logits.dtype).mean()).abs() * share
    return error.item()


def case(seed: int, n: int, classes: int, scale: float, sureness: float) -> dict:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) * scale
    logits[np.arange(n), labels] += sureness * scale
    logits = logits.round(2).astype(np.float32).astype(np.float64)
    torch_logits, torch_labels = torch.tensor(logits), torch.tensor(labels)
    probabilities = torch.softmax(torch_logits, dim=1)
    one_hot = torch.nn.functional.one_hot(torch_labels, classes)

    def nll(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(n), labels].mean())

    best = minimize_scalar(nll, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-12})
    return {
        "classes": classes,
        "labels": labels.tolist(),
        "logits": [round(value, 2) for value in logits.flatten().tolist()],
        "ece": expected_calibration_error(torch_logits, torch_labels),
        "nll": torch.nn.functional.cross_entropy(torch_logits, torch_labels).item(),
        "brier": ((probabilities - one_hot) ** 2).sum(dim=1).mean().item(),
        "temperature": float(best.x),
        "nllAtTemperature": float(best.fun),
    }


def main(out: str) -> None:
    pairs = [(0, 0), (0, 1), (3, 3), (1, 9), (12, 25), (40, 70), (200, 260), (1000, 1111)]
    record = {
        "calibration": [case(1, 60, 4, 1.5, 1), case(2, 40, 7, 6, 0.6), case(3, 80, 3, 0.2, 2), case(4, 25, 10, 3, 1.2)],
        "mcNemar": [
            {"onlyFirst": b, "onlySecond": c, "p": binomtest(b, b + c, 0.5).pvalue if b + c else 1.0} for b, c in pairs
        ],
    }
    with open(out, "w") as file:
        json.dump(record, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
