"""Exports small PyTorch networks to ONNX and records how PyTorch trains them, for the tests of lib/train.

    python tests/peers/record_curves.py tests/fixtures/training [steps]

Writes NAME.onnx (the weights to start from; cnn, vit and text by the older exporter at opset 17, residual and mobilenet by
the newer one at opset 18) and curves.json: losses by network and optimizer. Needs torch, onnx and onnxscript.
"""

import copy
import json
import os
import sys
import warnings

import torch

from training_models import MODELS, batch, export, train

warnings.filterwarnings("ignore")


def main(folder: str, steps: int) -> None:
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    curves = {}
    for name, make in MODELS.items():
        torch.manual_seed(7)
        model = make()
        export(copy.deepcopy(model), f"{folder}/{name}.onnx", dynamo=name in ("residual", "mobilenet"))
        x, _ = batch(model.example, 5, 0, getattr(model, "words", 0))
        with torch.no_grad():
            outputs = copy.deepcopy(model).eval()(x)
        curves[name] = {
            "shape": model.example,
            "words": getattr(model, "words", 0),
            "parameters": {key: list(value.shape) for key, value in model.named_parameters()},
            "outputs": [float(f"{value:.7g}") for value in outputs.flatten().tolist()],
            "losses": {
                key: [float(f"{loss:.7g}") for loss in train(copy.deepcopy(model), key, steps)]
                for key in ("sgd", "adam", "adamw")
            },
        }
    with open(f"{folder}/curves.json", "w") as file:
        json.dump({"torch": torch.__version__, "networks": curves}, file)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50)
