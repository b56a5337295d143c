"""What LiteRT's interpreter gives for int8 inputs of a .tflite file: the outputs, and for float32 ports the numbers themselves.

    python tests/peers/tflite.py MODEL.tflite INPUTS.bin OUTPUTS.bin xnnpack|builtin

INPUTS.bin holds inputs one after another as the model's one input has them; OUTPUTS.bin gets the outputs so. Prints JSON: the
interpreter's version, the ports' shapes, types, scales and zero points, and how many inputs there were. Needs ai-edge-litert.
"""

import json
import sys
from importlib.metadata import version

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def port(details):
    scale, zero = details["quantization"]
    shape = [int(size) for size in details["shape"]]
    return {"name": details["name"], "shape": shape, "type": details["dtype"].__name__, "scale": scale, "zeroPoint": zero}


def main() -> None:
    model_path, inputs_path, outputs_path, kernels = sys.argv[1:]
    # By default XNNPACK takes the place of TFLite's own kernels.
    resolver = OpResolverType.AUTO if kernels == "xnnpack" else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=model_path, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    (wanted,) = interpreter.get_output_details()
    inputs = np.fromfile(inputs_path, dtype=given["dtype"]).reshape(-1, *given["shape"])
    outputs = []
    for each in inputs:
        interpreter.set_tensor(given["index"], each)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(wanted["index"]))
    np.stack(outputs).tofile(outputs_path)
    result = {"litert": version("ai-edge-litert"), "input": port(given), "output": port(wanted), "inputs": len(inputs)}
    print(json.dumps(result))


main()
