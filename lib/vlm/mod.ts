/** CLIP and small vision-language models: encoders, prompts, zero-shot, adapters, distillation. */

export * from "./encoder.ts";
