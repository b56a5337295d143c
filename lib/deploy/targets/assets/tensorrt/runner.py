#!/usr/bin/env python3
"""Names the species in pictures: python3 runner.py [--engine model.engine | --onnx model.onnx] [--top N] FILE...

With an engine that trtexec built on this device it uses TensorRT; with --onnx it uses ONNX Runtime, on any machine, to compare
with. One JSON line a picture. --self-test checks known answers.
"""

import argparse
import ctypes
import json
import os
import sys

import numpy as np

from preprocess import read_picture

HOME = os.path.dirname(os.path.abspath(__file__))


class Cuda:
    """Memory of the GPU by CUDA's own runtime library: nothing has to be installed beside JetPack."""

    TO_DEVICE, TO_HOST = 1, 2

    def __init__(self):
        for name in ("libcudart.so", "/usr/local/cuda/lib64/libcudart.so"):
            try:
                self.library = ctypes.CDLL(name)
                return
            except OSError:
                continue
        raise SystemExit("error: CUDA: expected libcudart.so, found none; is JetPack installed?")

    def check(self, status):
        if status != 0:
            self.library.cudaGetErrorString.restype = ctypes.c_char_p
            raise SystemExit("error: CUDA: " + self.library.cudaGetErrorString(status).decode())

    def allocate(self, size):
        place = ctypes.c_void_p()
        self.check(self.library.cudaMalloc(ctypes.byref(place), ctypes.c_size_t(size)))
        return place.value

    def copy(self, to, source, size, kind):
        self.check(self.library.cudaMemcpy(ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size), kind))


class TensorRT:
    """An engine with one input and one output. Knows the names of TensorRT 8.5 and later, and those before it."""

    def __init__(self, path):
        import tensorrt as trt

        self.cuda = Cuda()
        self.runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        with open(path, "rb") as file:
            self.engine = self.runtime.deserialize_cuda_engine(file.read())
        if self.engine is None:
            raise SystemExit(f"error: {path}: expected an engine built here by TensorRT {trt.__version__}, found another")
        self.context = self.engine.create_execution_context()
        self.addresses = []
        for name, is_input, shape, dtype in self.ports(trt):
            host = np.zeros(tuple(shape), trt.nptype(dtype))
            device = self.cuda.allocate(host.nbytes)
            self.addresses.append(device)
            if is_input:
                self.input = host, device
            else:
                self.output = host, device
        self.batch = self.input[0].shape[0]

    def ports(self, trt):
        engine = self.engine
        if hasattr(engine, "num_io_tensors"):
            for name in (engine.get_tensor_name(index) for index in range(engine.num_io_tensors)):
                is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
                yield name, is_input, engine.get_tensor_shape(name), engine.get_tensor_dtype(name)
        else:
            for index in range(engine.num_bindings):
                name = engine.get_binding_name(index)
                yield name, engine.binding_is_input(index), engine.get_binding_shape(index), engine.get_binding_dtype(index)

    def __call__(self, images):
        host, device = self.input
        host[...] = images
        self.cuda.copy(device, host.ctypes.data, host.nbytes, Cuda.TO_DEVICE)
        if not self.context.execute_v2(self.addresses):
            raise SystemExit("error: TensorRT: the run failed")
        found, source = self.output
        self.cuda.copy(found.ctypes.data, source, found.nbytes, Cuda.TO_HOST)
        return found.astype(np.float32)


class OnnxRuntime:
    def __init__(self, path):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (port,) = self.session.get_inputs()
        self.name, self.batch = port.name, port.shape[0]
        self.dtype = np.float16 if "float16" in port.type else np.float32

    def __call__(self, images):
        return self.session.run(None, {self.name: images.astype(self.dtype)})[0].astype(np.float32)


def classify(model, paths, settings, names):
    """Yields for each file its path and the probabilities of all classes, at the model's temperature."""
    for start in range(0, len(paths), model.batch):
        part = paths[start : start + model.batch]
        images = np.stack([read_picture(path, settings["input"]) for path in part])
        rest = np.zeros((model.batch - len(part), *images.shape[1:]), np.float32)  # the engine's batch is fixed
        found = model(np.concatenate([images, rest]))[: len(part)]
        if found.shape[1] != len(names) or not np.isfinite(found).all():
            raise SystemExit(f"error: model: expected {len(names)} probabilities a picture, found {found.shape}")
        logits = np.log(np.maximum(found, 2.0**-126)) / settings["output"]["temperature"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        yield from zip(part, powers / powers.sum(axis=1, keepdims=True))


def main():
    parser = argparse.ArgumentParser(description="Names the species in pictures.")
    parser.add_argument("--engine", default=os.path.join(HOME, "model.engine"))
    parser.add_argument("--onnx", help="use ONNX Runtime with this file instead")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("pictures", nargs="*")
    options = parser.parse_args()
    with open(os.path.join(HOME, "preprocessing.json"), encoding="utf-8") as file:
        settings = json.load(file)
    with open(os.path.join(HOME, "classes.txt"), encoding="utf-8") as file:
        names = file.read().splitlines()
    model = OnnxRuntime(options.onnx) if options.onnx else TensorRT(options.engine)
    if options.self_test:
        with open(os.path.join(HOME, "selftest.json"), encoding="utf-8") as file:
            known = json.load(file)["pictures"]
        answers = classify(model, [os.path.join(HOME, each["file"]) for each in known], settings, names)
        for each, (path, scores) in zip(known, answers):
            # Half precision and int8 move a probability; the decision should stay.
            if scores.argmax() != each["class"]:
                raise SystemExit(f"error: {path}: expected class {each['class']}, found {scores.argmax()}")
            print(f"{each['file']}: {scores.max():.4f}, expected {each['score']:.4f}")
        return
    if not options.pictures:
        parser.error("expected pictures, found none")
    for path, scores in classify(model, options.pictures, settings, names):
        best = np.argsort(-scores, kind="stable")[: options.top]
        top = [{"dex": settings["output"]["dex"][i], "name": names[i], "score": float(scores[i])} for i in best]
        print(json.dumps({"image": path, "top": top}, ensure_ascii=False))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ImportError) as error:
        sys.exit(f"error: {error}")
