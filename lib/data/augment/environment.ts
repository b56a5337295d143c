/** What surrounds the subject: backgrounds behind transparent pictures, light from one side, shadows. */

import {
  type BackgroundKind,
  backgroundKinds,
  type Colour,
  plainBackground,
  renderBackground,
} from "../backgrounds.ts";
import { layOver } from "./picture.ts";
import { eachSample, type Transform } from "./transform.ts";

/** Lays transparent pictures on a random background of one of the kinds; opaque ones stay as they are. */
export function background({ kinds = backgroundKinds }: { kinds?: readonly BackgroundKind[] } = {}): Transform {
  return eachSample("background", { kinds }, (sample, random) => {
    const picture = sample.render();
    if (picture.opaque) return;
    sample.replace(layOver(picture, renderBackground(random, picture.width, picture.height, { kinds })));
  });
}

/** Lays transparent pictures on one colour. */
export function plain({ colour = [114, 114, 114] }: { colour?: Colour } = {}): Transform {
  return eachSample("plain", { colour }, (sample) => {
    const picture = sample.render();
    if (picture.opaque) return;
    sample.replace(layOver(picture, plainBackground(colour, picture.width, picture.height)));
  });
}

/**
 * Light that falls off across the picture: brightness runs from 1 + `strength` to 1 − `strength` at most along a random
 * direction, with a warm or cold tint of at most `tint`.
 */
export function lighting({ strength = 0.35, tint = 0.08 }: { strength?: number; tint?: number } = {}): Transform {
  return eachSample("lighting", { strength, tint }, (sample, random) => {
    const angle = random.uniform(0, 2 * Math.PI), power = random.uniform(0.3, 1) * strength;
    const warmth = random.uniform(-tint, tint);
    const dx = Math.cos(angle), dy = Math.sin(angle), reach = Math.abs(dx) + Math.abs(dy);
    const { data, width, height } = sample.render();
    for (let y = 0, at = 0; y < height; y++) {
      let t = (-0.5 * dx + ((y + 0.5) / height - 0.5) * dy + 0.5 * dx / width) / reach;
      const step = dx / width / reach;
      for (let x = 0; x < width; x++, at += 4, t += step) {
        const light = 1 + 2 * power * t;
        data[at] = data[at]! * light * (1 + warmth);
        data[at + 1] = data[at + 1]! * light;
        data[at + 2] = data[at + 2]! * light * (1 - warmth);
      }
    }
  });
}

/**
 * A soft-edged shadow, as of something between the light and the scene: a half-plane, a band or an ellipse that loses up to
 * `darkness` of its light.
 */
export function shadow({ darkness = 0.5 }: { darkness?: number } = {}): Transform {
  return eachSample("shadow", { darkness }, (sample, random) => {
    const keep = 1 - random.uniform(0.4, 1) * darkness;
    const softness = random.uniform(0.02, 0.2);
    const shape = random.pick(["half", "band", "ellipse"] as const);
    const angle = random.uniform(0, 2 * Math.PI), dx = Math.cos(angle), dy = Math.sin(angle);
    const [centreX, centreY] = [random.uniform(0.15, 0.85), random.uniform(0.15, 0.85)];
    const [long, short] = [random.uniform(0.25, 0.6), random.uniform(0.1, 0.3)];
    const { data, width, height } = sample.render();
    for (let y = 0, at = 0; y < height; y++) {
      const v = (y + 0.5) / height - centreY;
      for (let x = 0; x < width; x++, at += 4) {
        const u = (x + 0.5) / width - centreX;
        const along = u * dx + v * dy, across = v * dx - u * dy;
        // Signed distance into the shadow, in parts of the frame.
        const depth = shape === "half"
          ? along
          : shape === "band"
          ? short - Math.abs(along)
          : (1 - Math.hypot(along / long, across / short)) * short;
        const t = depth / softness + 0.5;
        if (t <= 0) continue;
        const light = t >= 1 ? keep : 1 - (1 - keep) * t * t * (3 - 2 * t);
        data[at] = data[at]! * light;
        data[at + 1] = data[at + 1]! * light;
        data[at + 2] = data[at + 2]! * light;
      }
    }
  });
}
