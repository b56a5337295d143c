"""Exports two tiny CLIPs to ONNX and records losses and autograd's gradients of all their weights, for lib/vlm/finetune.

    python tests/peers/record_clip.py tests/fixtures/clip_export [all]

"huggingface" is transformers' CLIPModel (queries, keys and values by three matrices), "openai" a CLIP of plain modules as
in openai/CLIP (one matrix for all three, the words before the batch, the text's place of pooling by argmax). Each is
exported by PyTorch's older exporter at opset 17 or its newer one at opset 18, with "all" by both. Writes NAME.text.onnx,
NAME.image.onnx, NAME.safetensors (gradients by the initialisers' names) and clip_export.json. Losses and gradients are
computed in double precision. Needs torch, transformers, onnx and onnxscript.
"""

import json
import os
import sys
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel

from training_models import strip, uniform

warnings.filterwarnings("ignore")

WORDS, LENGTH, SIDE, CLASSES, PICTURES, SCALE = 40, 10, 16, 5, 6, 14.0
WIDTH, HEADS, DEPTH, DIMENSION = 16, 2, 2, 12


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Residual attention block of openai/CLIP, clip/model.py."""

    def __init__(self, mask=None):
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS)
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), QuickGelu(), nn.Linear(2 * WIDTH, WIDTH))
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.register_buffer("mask", mask)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=self.mask)[0]
        return x + self.mlp(self.ln_2(x))


class OpenAiText(nn.Module):
    def __init__(self):
        super().__init__()
        self.token_embedding = nn.Embedding(WORDS, WIDTH)
        self.positional_embedding = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        mask = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
        self.blocks = nn.Sequential(*[Block(mask) for _ in range(DEPTH)])
        self.ln_final = nn.LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.zeros(WIDTH, DIMENSION))

    def forward(self, input_ids):
        x = self.token_embedding(input_ids) + self.positional_embedding
        x = self.ln_final(self.blocks(x.permute(1, 0, 2)).permute(1, 0, 2))
        return x[torch.arange(x.shape[0]), input_ids.argmax(-1)] @ self.text_projection


class OpenAiImage(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 8, 8, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(WIDTH))
        self.positional_embedding = nn.Parameter(torch.zeros(1 + (SIDE // 8) ** 2, WIDTH))
        self.ln_pre = nn.LayerNorm(WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.ln_post = nn.LayerNorm(WIDTH)
        self.proj = nn.Parameter(torch.zeros(WIDTH, DIMENSION))

    def forward(self, pixel_values):
        x = self.conv1(pixel_values)
        x = x.reshape(x.shape[0], x.shape[1], -1).permute(0, 2, 1)
        token = self.class_embedding + torch.zeros(x.shape[0], 1, x.shape[-1], dtype=x.dtype)
        x = self.ln_pre(torch.cat([token, x], 1) + self.positional_embedding)
        x = self.blocks(x.permute(1, 0, 2)).permute(1, 0, 2)
        return self.ln_post(x[:, 0]) @ self.proj


class HuggingFaceText(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.text_model, self.text_projection = model.text_model, model.text_projection

    def forward(self, input_ids, attention_mask):
        found = self.text_model(input_ids=input_ids, attention_mask=attention_mask)
        return self.text_projection(found.pooler_output)


class HuggingFaceImage(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.vision_model, self.visual_projection = model.vision_model, model.visual_projection

    def forward(self, pixel_values):
        return self.visual_projection(self.vision_model(pixel_values=pixel_values).pooler_output)


def hugging_face():
    common = dict(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
        projection_dim=DIMENSION,
    )
    model = CLIPModel(CLIPConfig(
        text_config=dict(
            common, vocab_size=WORDS, max_position_embeddings=LENGTH, bos_token_id=WORDS - 2, eos_token_id=WORDS - 1,
            pad_token_id=0,
        ),
        vision_config=dict(common, image_size=SIDE, patch_size=8),
        projection_dim=DIMENSION,
    ))
    return HuggingFaceText(model), HuggingFaceImage(model)


def tokens():
    """A begin, words and an end, the rest zeros; and the mask of what is no filling."""
    ids, mask = np.zeros((CLASSES, LENGTH), np.int64), np.zeros((CLASSES, LENGTH), np.int64)
    drawn = np.floor((uniform(CLASSES * LENGTH, 1).reshape(CLASSES, LENGTH) + 1) / 2 * (WORDS - 4)).astype(np.int64) + 1
    for row in range(CLASSES):
        words = 4 + row
        ids[row, 0], ids[row, 1:words], ids[row, words] = WORDS - 2, drawn[row, 1:words], WORDS - 1
        mask[row, : words + 1] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def randomise(model, stream):
    """No two parameters are alike, so that an exporter can neither merge them nor leave one out."""
    for i, (name, parameter) in enumerate(model.named_parameters()):
        values = torch.from_numpy(uniform(parameter.numel(), stream + i).reshape(parameter.shape))
        is_scale = parameter.dim() == 1 and name.endswith("weight")
        with torch.no_grad():
            parameter.copy_((1 if is_scale else 0) + values * (0.2 if parameter.dim() == 1 else 0.5))


def export(model, inputs, names, output, path, dynamo):
    dynamic = {name: {0: "batch_size"} for name in names}
    if dynamo:
        dims = tuple({0: torch.export.Dim("batch_size")} for _ in names)
        program = torch.onnx.export(
            model, inputs, dynamo=True, opset_version=18, input_names=names, output_names=[output],
            dynamic_shapes=dims, verbose=False,
        )
        program.save(path, external_data=False)
    else:
        torch.onnx.export(
            model, inputs, path, dynamo=False, opset_version=17, input_names=names, output_names=[output],
            dynamic_axes={**dynamic, output: {0: "batch_size"}},
        )
    strip(path)


def gradients_by_initialiser(path, model):
    """An exporter renames and turns weights: each is known again by its elements."""
    parameters = {name: p for name, p in model.named_parameters()}
    result, left = {}, set(parameters)
    graph = onnx.load(path).graph
    tensors = [(each.name, numpy_helper.to_array(each)) for each in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant":
            tensors += [(node.output[0], numpy_helper.to_array(a.t)) for a in node.attribute if a.name == "value"]
    for name, found in tensors:
        if found.dtype != np.float32:
            continue
        for key, p in parameters.items():
            if p.grad is None or p.numel() != found.size or found.size < 2:
                continue
            own, gradient = p.detach().float().numpy(), p.grad.double().numpy()
            for turned in ([False, True] if p.dim() == 2 else [False]):
                w, g = (own.T, gradient.T) if turned else (own, gradient)
                if np.array_equal(np.ascontiguousarray(w).ravel(), found.ravel()):
                    result[name] = np.ascontiguousarray(g).astype(np.float32).reshape(found.shape)
                    left.discard(key)
                    break
    unused = {key for key in left if parameters[key].grad is None}
    return result, sorted(left - unused)


def record(name, towers, ids, mask, folder, dynamo, pairs):
    text, image = towers
    for tower, stream in ((text, 100), (image, 300)):
        randomise(tower.float().eval(), stream)
    pixels = torch.from_numpy(uniform(PICTURES * 3 * SIDE * SIDE, 3).reshape(PICTURES, 3, SIDE, SIDE))
    labels = torch.arange(PICTURES) % CLASSES
    fed = (ids, mask) if isinstance(text, HuggingFaceText) else (ids,)
    export(text, fed, ["input_ids", "attention_mask"][: len(fed)], "text_embeds", f"{folder}/{name}.text.onnx", dynamo)
    export(image, (pixels,), ["pixel_values"], "image_embeds", f"{folder}/{name}.image.onnx", dynamo)
    text.double(), image.double()
    t, i = text(*fed), image(pixels.double())
    logits = F.normalize(i) @ F.normalize(t).T * SCALE
    classes = F.cross_entropy(logits, labels)
    square, each = logits[:CLASSES], torch.arange(CLASSES)
    both = (F.cross_entropy(square, each) + F.cross_entropy(square.T, each)) / 2
    (both if pairs else classes).backward()
    stored, missing = {}, {}
    for tower, model in (("text", text), ("image", image)):
        found, left = gradients_by_initialiser(f"{folder}/{name}.{tower}.onnx", model)
        stored.update({f"{tower}/{key}": value for key, value in found.items()})
        missing[tower] = left
    save_file(stored, f"{folder}/{name}.safetensors")
    figures = lambda tensor: [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]
    return {
        "objective": "pairs" if pairs else "classes",
        "losses": {"classes": classes.item(), "pairs": both.item()},
        "text": figures(t), "image": figures(i),
        "parameters": {"text": len(list(text.parameters())), "image": len(list(image.parameters()))},
        "missing": missing,
    }


def main(folder, everything):
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(7)
    torch.set_num_threads(1)
    ids, mask = tokens()
    networks = {}
    for name, make, pairs in (("huggingface", hugging_face, False), ("openai", lambda: (OpenAiText(), OpenAiImage()), True)):
        usual = name == "openai"
        for dynamo in ([False, True] if everything else [usual]):
            full = name if dynamo == usual else f"{name}_{'newer' if dynamo else 'older'}"
            networks[full] = record(full, make(), ids, mask, folder, dynamo, pairs)
    with open(f"{folder}/clip_export.json", "w") as file:
        json.dump({
            "torch": torch.__version__, "scale": SCALE, "side": SIDE, "pictures": PICTURES,
            "ids": ids.tolist(), "mask": mask.tolist(), "networks": networks,
        }, file)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], "all" in sys.argv[2:])
