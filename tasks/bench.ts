/** `deno task bench [data|train|infer|tfjs|adapters]`: figures of speed, each beside another program's on the same work. */

import { runComparisons } from "./bench/command.ts";

await runComparisons({
  usage: "deno task bench",
  about:
    "Measures the building of data sets, batches, training steps, inference, the second engine and few-shot adapters on this machine.",
  byName: {
    data: async (options) => [
      ...await (await import("./bench/data.ts")).benchData(options),
      ...await (await import("./bench/loader.ts")).benchLoader({ onProgress: options.onProgress }),
    ],
    train: async ({ onProgress }) => (await import("./bench/train.ts")).benchTrain({ onProgress }),
    infer: async ({ onProgress }) => [
      ...await (await import("./bench/infer.ts")).benchInfer({ onProgress }),
      ...await (await import("./bench/int8.ts")).benchInt8({ onProgress }),
    ],
    adapters: async ({ onProgress }) => (await import("./bench/adapters.ts")).benchAdapters({ onProgress }),
    tfjs: async () => (await import("./bench/tfjs.ts")).benchTensorFlow(),
  },
});
