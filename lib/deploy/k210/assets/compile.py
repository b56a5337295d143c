"""Compiles this folder's model.onnx to model.kmodel (version 5) for the K210 with nncase 1.x.

    python3.10 -m venv .venv && .venv/bin/pip install nncase==1.9.0.20230322 "numpy<2"
    .venv/bin/python compile.py [--method no_clip] [--out model.kmodel]

Weights and activations become uint8; their ranges come from calibration/. Prints one JSON document.
"""
import argparse
import hashlib
import json
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def fail(message):
    sys.exit(f"compile.py: {message}")


def nncase_1():
    """The package, or one line that says why it is not there."""
    try:
        import nncase
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:3]))
        fail(f"expected nncase 1.x, which has packages for Python 3.7 to 3.10, found none in Python {version} ({error}); "
             "install it with: python3.10 -m pip install nncase==1.9.0.20230322")
    if not hasattr(nncase, "test_target") or not nncase.test_target("k210"):
        fail("expected nncase 1.x with the target k210, found another: 2.x has left it out")
    return nncase


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="no_clip", help="how ranges are chosen: no_clip, l2, kld_m0, kld_m1, kld_m2, cdf")
    parser.add_argument("--out", default=os.path.join(HERE, "model.kmodel"))
    options = parser.parse_args()
    with open(os.path.join(HERE, "k210.json"), encoding="utf-8") as file:
        settings = json.load(file)
    shape = settings["input"]["shape"]
    with open(os.path.join(HERE, "calibration.json"), encoding="utf-8") as file:
        pictures = json.load(file)
    expected = shape[1] * shape[2] * shape[3]
    data = []
    for picture in pictures:
        with open(os.path.join(HERE, picture["file"]), "rb") as file:
            content = file.read()
        if len(content) != expected:
            fail(f"{picture['file']}: expected {expected} bytes, found {len(content)}")
        data.append(content)
    if not data:
        fail("calibration.json: expected pictures, found none")

    nncase = nncase_1()
    compile_options = nncase.CompileOptions()
    compile_options.target = "k210"
    # The camera's bytes go in as they are; the compiler puts the scale and the normalisation before the first layer.
    compile_options.preprocess = True
    compile_options.swapRB = False
    compile_options.input_type = "uint8"
    compile_options.input_shape = shape
    compile_options.input_layout = "NCHW"
    compile_options.output_layout = "NCHW"
    compile_options.input_range = settings["input"]["range"]
    compile_options.mean = settings["input"]["mean"]
    compile_options.std = settings["input"]["std"]
    calibration = nncase.PTQTensorOptions()
    calibration.calibrate_method = options.method
    calibration.samples_count = len(data)
    calibration.set_tensor_data(b"".join(data))
    with open(os.path.join(HERE, "model.onnx"), "rb") as file:
        model = file.read()
    # The compiler reports on standard output, which is for the JSON document.
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    # It also writes a table of memory, wherever it is told to.
    reports = tempfile.TemporaryDirectory()
    compile_options.dump_dir = reports.name
    try:
        compiler = nncase.Compiler(compile_options)
        compiler.import_onnx(model, nncase.ImportOptions())
        compiler.use_ptq(calibration)
        compiler.compile()
        kmodel = compiler.gencode_tobytes()
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
    most = settings["modelBytesMost"]
    if len(kmodel) > most:
        fail(f"expected a model of at most {most} bytes for {settings['loader']}, found {len(kmodel)}")
    version = int.from_bytes(kmodel[4:8], "little")
    if version != 5:
        fail(f"expected a kmodel of version 5, found {version}")
    with open(os.path.join(reports.name, "kmodel_info.txt"), encoding="utf-8") as file:
        table = re.findall(r"^\s*([A-Za-z]+):.*\((\d+) B\)", file.read(), re.MULTILINE)
    reports.cleanup()
    temporary = options.out + ".tmp"
    with open(temporary, "wb") as file:
        file.write(kmodel)
    os.replace(temporary, options.out)
    print(json.dumps({
        "file": options.out, "bytes": len(kmodel), "kmodel": version, "pictures": len(data), "method": options.method,
        "memory": {name.lower(): int(count) for name, count in table},
        "sha256": hashlib.sha256(kmodel).hexdigest(),
    }))


if __name__ == "__main__":
    main()
