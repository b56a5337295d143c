/** Augmentations ready for use. */

import { defocus, jpeg, motionBlur, noise, resolution } from "./camera.ts";
import { background, lighting, shadow } from "./environment.ts";
import { flip, perspective, rotation, scale, shear, translation } from "./geometric.ts";
import { erasing, occlusion } from "./occlusion.ts";
import { brightness, contrast, gamma, hue, saturation } from "./photometric.ts";
import { chain, oneOf, sometimes, type Transform } from "./transform.ts";

/** Cheap and mild: what a small network trained for a short time can take. */
export function lightAugmentation(): Transform {
  return chain(
    flip(),
    rotation({ degrees: 20 }),
    scale({ lowest: 0.75, highest: 1.35 }),
    translation({ share: 0.1 }),
    background({ kinds: ["plain", "gradient"] }),
    brightness({ strength: 0.2 }),
    sometimes(0.25, erasing({ largest: 0.2 })),
  );
}

/** Everything a photograph may do to a subject, each in measure. */
export function fullAugmentation(): Transform {
  return chain(
    flip(),
    rotation({ degrees: 20 }),
    scale({ lowest: 0.7, highest: 1.35 }),
    translation({ share: 0.12 }),
    sometimes(0.3, shear()),
    sometimes(0.3, perspective()),
    background(),
    brightness(),
    contrast(),
    saturation(),
    hue(),
    sometimes(0.3, gamma()),
    sometimes(0.25, lighting()),
    sometimes(0.2, shadow()),
    sometimes(0.25, oneOf(motionBlur(), defocus(), resolution())),
    sometimes(0.2, noise()),
    sometimes(0.1, jpeg()),
    sometimes(0.3, oneOf(occlusion(), erasing({ largest: 0.2 }))),
  );
}
