# Camera, network, name on the display. For a K210 board such as the Sipeed Maix Bit with a card that holds model.kmodel, k210.json and
# classes.txt in its root.
#
# Needs CanMV firmware for the K210 that was built with kmodel version 5 (its "lite kmodel_v5" configuration). MaixPy v1 loads versions 3
# and 4 only and refuses this model with "ERR_KMODEL_VERSION"; nncase 0.x, which writes those, reads no ONNX.
import gc
import math
import time

import lcd
import sensor
import ujson
from maix import KPU

ROOT = "/sd/"

with open(ROOT + "k210.json") as file:
    settings = ujson.load(file)
with open(ROOT + "classes.txt") as file:
    names = file.read().split("\n")
side = settings["input"]["shape"][3]
temperature = settings["output"]["temperature"]

lcd.init()
sensor.reset()
sensor.set_pixformat(sensor.RGB565)
sensor.set_framesize(sensor.QVGA)
sensor.set_windowing((240, 240))  # the middle square of 320 x 240
sensor.skip_frames(time=1000)

kpu = KPU()
kpu.load_kmodel(ROOT + "model.kmodel")
clock = time.clock()

while True:
    gc.collect()
    clock.tick()
    picture = sensor.snapshot()
    square = picture.resize(side, side)
    square.pix_to_ai()  # planes of red, green and blue bytes, as the model takes them
    logits = kpu.run_with_output(square, getlist=True)
    best = max(logits)
    index = logits.index(best)
    total = sum(math.exp((x - best) / temperature) for x in logits)
    picture.draw_string(0, 0, "%s %d%%" % (names[index], round(100 / total)), color=(255, 0, 0), scale=2)
    picture.draw_string(0, 220, "%2.1f fps" % clock.fps(), color=(255, 0, 0), scale=1)
    lcd.display(picture)
    del square, logits
