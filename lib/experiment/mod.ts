/** One training run from its configuration to a checked model: profiles, data, network, training, evaluation, prediction. */

export * from "./settings.ts";
