/** The National Dex: 1,025 species with dex number, class id, name, types, generation and attributes, and look-ups. */

export * from "./attributes.ts";
export * from "./species.ts";
