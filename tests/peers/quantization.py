"""Static quantization by onnxruntime.quantization: ranges of each method, and scales, zero points and whole weights.

    python tests/peers/quantization.py MODEL.onnx IMAGES.f32 BATCHES RESULT.json

IMAGES.f32 holds all pictures, float32, batch after batch, in the shape of the model's input. Needs onnx and onnxruntime.
"""

import contextlib
import json
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import create_calibrator

METHODS = {
    "minMax": (CalibrationMethod.MinMax, {}),
    "percentile": (CalibrationMethod.Percentile, {}),
    "percentile, both sides": (CalibrationMethod.Percentile, {"symmetric": False, "percentile": 99}),
    "entropy": (CalibrationMethod.Entropy, {"num_bins": 2048}),
    "entropy, 128 bins": (CalibrationMethod.Entropy, {}),
}

FORMS = {
    "uint8": {"activation_type": QuantType.QUInt8, "per_channel": True},
    "uint8, 7 bits": {"activation_type": QuantType.QUInt8, "per_channel": True, "reduce_range": True},
    "uint8, one scale": {"activation_type": QuantType.QUInt8, "per_channel": False},
    "int8 about 0": {
        "activation_type": QuantType.QInt8,
        "per_channel": True,
        "extra_options": {"ActivationSymmetric": True},
    },
}


class Reader(CalibrationDataReader):
    def __init__(self, name: str, batches: np.ndarray):
        self.batches = iter([{name: batch} for batch in batches])

    def get_next(self):
        return next(self.batches, None)


def main() -> None:
    model_path, images_path, count, result_path = sys.argv[1:]
    model = onnx.load(model_path)
    image = model.graph.input[0]
    shape = [dim.dim_value for dim in image.type.tensor_type.shape.dim[1:]]
    batches = np.fromfile(images_path, dtype=np.float32).reshape(int(count), -1, *shape)
    result = {"onnxruntime": onnxruntime.__version__, "ranges": {}, "quantized": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, (method, options) in METHODS.items():
            calibrator = create_calibrator(
                model_path,
                augmented_model_path=os.path.join(folder, "augmented.onnx"),
                calibrate_method=method,
                extra_options=options,
            )
            calibrator.collect_data(Reader(image.name, batches))
            found = calibrator.compute_data()
            result["ranges"][name] = {
                tensor: [float(np.ravel(found[tensor].range_value[0])[0]), float(np.ravel(found[tensor].range_value[1])[0])]
                for tensor in found.keys()
            }
        for name, options in FORMS.items():
            out = os.path.join(folder, "quantized.onnx")
            quantize_static(
                model_path,
                out,
                Reader(image.name, batches),
                quant_format=QuantFormat.QDQ,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                **options,
            )
            quantized = onnx.load(out)
            result["quantized"][name] = {
                init.name: numpy_helper.to_array(init).ravel().tolist()
                for init in quantized.graph.initializer
                if init.name.endswith(("_scale", "_zero_point", "_quantized"))
            }
    with open(result_path, "w") as file:
        json.dump(result, file)
        file.write("\n")


with contextlib.redirect_stdout(sys.stderr):
    main()
