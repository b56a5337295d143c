"""Few-shot adapters in NumPy, PyTorch and scikit-learn, written from the papers, on embeddings that are drawn.

    python tests/peers/adapters.py tests/fixtures/adapters.json 5 8 4
    python tests/peers/adapters.py FILE CLASSES DIMENSION SHOTS

Everything is computed in double precision on all pictures at once. Needs numpy, torch, scikit-learn.
"""

import json
import math
import sys
import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

STEPS = 25


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def single(array):
    return np.asarray(array, dtype=np.float32).astype(np.float64)


def draw(classes, dimension, shots):
    """Pictures about their classes' centres, texts less near; every third class has two pictures fewer."""
    random = np.random.default_rng(5)
    centres = unit(random.normal(size=(classes, dimension)) + 0.5)
    texts = unit(centres + 0.8 / math.sqrt(dimension) * random.normal(size=(classes, dimension)))

    def pictures(counts):
        labels = np.repeat(np.arange(classes), counts)
        noise = 1.2 / math.sqrt(dimension) * random.normal(size=(len(labels), dimension))
        return single(unit(centres[labels] + noise)), labels

    counts = np.array([shots - 2 if k % 3 == 1 and shots > 2 else shots for k in range(classes)])
    x, y = pictures(counts)
    order = random.permutation(len(y))
    queries, _ = pictures(np.ones(classes, dtype=int))
    return x[order], y[order], single(texts), queries


def zero_shot(x, y, t, q, scale):
    return scale * q @ t.T


def means_of(x, y, classes):
    return np.stack([x[y == k].mean(0) for k in range(classes)])


def nearest_prototype(x, y, t, q, scale, weight):
    means = unit(means_of(x, y, len(t)))
    return scale * q @ unit((1 - weight) * means + weight * t).T


def linear_probe(x, y, t, q, scale, strength):
    model = LogisticRegression(C=strength, tol=1e-12, max_iter=20000).fit(x, y)
    return q @ model.coef_.T + model.intercept_


def lp_plus_plus(x, y, t, q, scale, steps):
    """Huang et al. 2024: eq. 10, 11 and 15; the gradients by autograd."""
    n, classes = len(y), len(t)
    rate_w = 4 * n / np.linalg.eigvalsh(x.T @ x).max()
    rate_alpha = n / (4 * ((x @ t.T) ** 2).sum(0).max())
    means = means_of(x, y, classes)
    w = torch.tensor(means * n / classes, requires_grad=True)
    alpha = torch.full((classes,), float(250 * (means * t).sum(1).mean()), dtype=torch.float64, requires_grad=True)
    xs, ts, ys, velocity = torch.tensor(x), torch.tensor(t), torch.tensor(y), torch.zeros_like(w)
    for step in range(1, steps + 1):
        w.grad = alpha.grad = None
        F.cross_entropy(xs @ w.T + alpha * (xs @ ts.T), ys).backward()
        with torch.no_grad():
            velocity = 0.9 * velocity + w.grad
            w -= rate_w * velocity
            if step % 10 == 0:
                alpha -= rate_alpha * alpha.grad
    return (torch.tensor(q) @ w.T + alpha * (torch.tensor(q) @ ts.T)).detach().numpy()


def gda(x, y, t, q, scale, alpha):
    """Wang et al. 2024: eq. 3 and 4, as their program writes them."""
    classes, dimension = t.shape
    means = means_of(x, y, classes)
    covariance = np.cov((x - means[y]).T)
    inverse = dimension * np.linalg.pinv((len(y) - 1) * covariance + np.trace(covariance) * np.eye(dimension))
    w = means @ inverse
    b = -math.log(classes) - np.einsum("nd,dc,nc->n", means, inverse, means) / 2
    return scale * q @ t.T + alpha * (q @ w.T + b)


def tip_adapter(x, y, t, q, scale, alpha, beta, keys=None):
    values = np.eye(len(t))[y]
    keys = x if keys is None else keys
    return scale * q @ t.T + alpha * np.exp(-beta * (1 - q @ keys.T)) @ values


def trained(parameters, logits, y, rate, epsilon):
    """AdamW on all pictures, the rate falling along a cosine."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, eps=epsilon, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(logits(), torch.tensor(y)).backward()
        optimizer.step()
        schedule.step()


def tip_adapter_f(x, y, t, q, scale, alpha, beta):
    keys = torch.tensor(x, requires_grad=True)
    xs, ts, values = torch.tensor(x), torch.tensor(t), torch.tensor(np.eye(len(t))[y])
    trained([keys], lambda: scale * xs @ ts.T + alpha * torch.exp(-beta * (1 - xs @ keys.T)) @ values, y, 1e-3, 1e-4)
    return tip_adapter(x, y, t, q, scale, alpha, beta, keys.detach().numpy())


def clip_adapter(x, y, t, q, scale, ratio, down, up):
    w1, w2 = torch.tensor(down, requires_grad=True), torch.tensor(up, requires_grad=True)

    def logits(rows):
        bent = torch.relu(torch.relu(rows @ w1.T) @ w2.T)
        return scale * F.normalize(ratio * bent + (1 - ratio) * rows, dim=1) @ torch.tensor(t).T

    trained([w1, w2], lambda: logits(torch.tensor(x)), y, 1e-3, 1e-8)
    return logits(torch.tensor(q)).detach().numpy()


def flat(array):
    return [float(f"{value:.9g}") for value in np.asarray(array).flatten()]


def main(path, classes, dimension, shots):
    torch.set_num_threads(2)
    x, y, t, q = draw(classes, dimension, shots)
    random, scale = np.random.default_rng(6), 20.0
    hidden = dimension // 2
    down = single(random.uniform(-1, 1, size=(hidden, dimension)) / math.sqrt(dimension))
    up = single(random.uniform(-1, 1, size=(dimension, hidden)) / math.sqrt(hidden))
    results, seconds = {}, {}
    for name, function, settings in [
        ("zero-shot", zero_shot, {}),
        ("nearest prototype", nearest_prototype, {"weight": 0.3}),
        ("linear probe", linear_probe, {"strength": 10.0}),
        ("lp++", lp_plus_plus, {"steps": 60}),
        ("gda", gda, {"alpha": 0.5}),
        ("tip-adapter", tip_adapter, {"alpha": 1.5, "beta": 5.5}),
        ("tip-adapter-f", tip_adapter_f, {"alpha": 1.5, "beta": 5.5}),
        ("clip-adapter", clip_adapter, {"ratio": 0.4, "down": down, "up": up}),
    ]:
        start = time.perf_counter()
        results[name] = flat(function(x, y, t, q, scale, **settings))
        seconds[name] = time.perf_counter() - start
    with open(path, "w") as file:
        json.dump({
            "classes": classes, "dimension": dimension, "logitScale": scale, "steps": STEPS,
            "features": flat(x), "labels": y.tolist(), "texts": flat(t), "queries": flat(q),
            "down": flat(down), "up": flat(up), "logits": results,
        }, file)
        file.write("\n")
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
