"""Runs model.kmodel in nncase's simulator of the chip, without a board.

    .venv/bin/python simulate.py [--logits] [PICTURE...]

A picture is raw bytes as in calibration/ (red, green and blue planes, a byte each) or, with Pillow installed, any picture file, which is
fitted into the square on the background of k210.json. Without pictures: all of calibration/, and how often the simulated chip says what the
model said in float. Prints one JSON document: [{"picture", "top1", "name", "score"}, ...], with --logits also "logits".
"""
import json
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def fail(message):
    sys.exit(f"simulate.py: {message}")


def read_json(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def pixels(path, settings):
    """Bytes [3, rows, columns]."""
    import numpy
    _, channels, rows, columns = settings["input"]["shape"]
    if path.endswith(".bin"):
        data = numpy.fromfile(path, dtype=numpy.uint8)
        if data.size != channels * rows * columns:
            fail(f"{path}: expected {channels * rows * columns} bytes, found {data.size}")
        return data.reshape(1, channels, rows, columns)
    try:
        from PIL import Image
    except ImportError:
        fail(f"{path}: expected raw bytes (.bin), or Pillow to read pictures with, found neither")
    picture = Image.open(path).convert("RGBA")
    if settings["input"]["view"] == "content" and picture.getbbox():
        picture = picture.crop(picture.getchannel("A").getbbox() or picture.getbbox())
    scale = min(columns / picture.width, rows / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    square = Image.new("RGBA", (columns, rows), (*settings["input"]["background"], 255))
    fitted = picture.resize(size, Image.BILINEAR)
    square.alpha_composite(fitted, ((columns - size[0]) // 2, (rows - size[1]) // 2))
    return numpy.asarray(square.convert("RGB")).transpose(2, 0, 1)[None].copy()


def main():
    settings = read_json("k210.json")
    if settings["output"]["kind"] != "classes":
        fail("expected a classifier, found a detector, whose boxes the board's region layer decodes")
    kmodel = os.path.join(HERE, "model.kmodel")
    if not os.path.exists(kmodel):
        fail(f"{kmodel}: expected the compiled model, found nothing there: run compile.py")
    known = {}
    pictures = [word for word in sys.argv[1:] if word != "--logits"]
    if not pictures:
        known = {os.path.join(HERE, each["file"]): each["float"] for each in read_json("calibration.json")}
        pictures = list(known)
    with open(os.path.join(HERE, "classes.txt"), encoding="utf-8") as file:
        names = file.read().splitlines()
    try:
        import nncase
    except ImportError as error:
        fail(f"expected nncase 1.x, found none ({error}): see compile.py")
    simulator = nncase.Simulator()
    with open(kmodel, "rb") as file:
        simulator.load_model(file.read())
    answers = []
    for path in pictures:
        simulator.set_input_tensor(0, nncase.RuntimeTensor.from_numpy(pixels(path, settings)))
        simulator.run()
        logits = [float(x) / settings["output"]["temperature"] for x in simulator.get_output_tensor(0).to_numpy().ravel()]
        best = max(range(len(logits)), key=logits.__getitem__)
        total = sum(math.exp(x - logits[best]) for x in logits)
        answers.append({"picture": path, "top1": best, "name": names[best], "score": 1 / total})
        if "--logits" in sys.argv:
            answers[-1]["logits"] = logits
    print(json.dumps(answers, ensure_ascii=False))
    if known:
        same = sum(known[each["picture"]] == each["top1"] for each in answers)
        print(f"the simulated chip says what the model says in float for {same} of {len(answers)} pictures", file=sys.stderr)


if __name__ == "__main__":
    main()
