/** The National Dex: 1,025 species with dex number, class id, name, types and generation, and look-ups. */

export * from "./species.ts";
