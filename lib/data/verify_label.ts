/** Checks the text of a YOLO label file. */

import type { Problem } from "./verify.ts";

/**
 * What is wrong with a label: each line must be `class x y width height`, the class a whole number and the one of the
 * picture, the box (shares of the picture, by its centre) inside the picture.
 */
export function checkLabel(text: string, classId: number, file: string): Problem[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return [{ kind: "label-format", file, cause: "expected at least one box, found none" }];
  const problems: Problem[] = [];
  for (const [index, line] of lines.entries()) {
    const place = `line ${index + 1}`;
    const fields = line.trim().split(/\s+/);
    const [kind, x, y, width, height] = fields.map(Number);
    if (fields.length !== 5 || !fields.every((field) => /^\d+(\.\d+)?(e-?\d+)?$/i.test(field))) {
      problems.push({
        kind: "label-format",
        file,
        cause: `${place}: expected five numbers, found "${line.slice(0, 60)}"`,
      });
      continue;
    }
    if (kind !== classId) {
      problems.push({ kind: "label-class", file, cause: `${place}: expected class ${classId}, found ${fields[0]}` });
    }
    const edges = [x! - width! / 2, y! - height! / 2, 1 - x! - width! / 2, 1 - y! - height! / 2];
    if (width === 0 || height === 0 || edges.some((edge) => edge < -1e-6)) {
      const cause = `${place}: expected a box inside the picture, found ${fields.slice(1).join(" ")}`;
      problems.push({ kind: "label-box", file, cause });
    }
  }
  return problems;
}
