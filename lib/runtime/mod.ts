/** What every floor stands on: errors, seeded random numbers, atomic files, workers, retry, configuration, commands. */

export * from "./command.ts";
export * from "./config.ts";
export * from "./download.ts";
export * from "./errors.ts";
export * from "./files.ts";
export * from "./interrupt.ts";
export * from "./line_file.ts";
export * from "./machine.ts";
export * from "./progress.ts";
export * from "./random.ts";
export * from "./retry.ts";
export * from "./session.ts";
export * from "./tensor.ts";
export * from "./workers.ts";
