/** The text files of a YOLO dataset: labels and data.yaml. */

/** The label of a picture that one class fills: `class_id x y width height`, centre and size as shares of the picture. */
export function labelText(classId: number): string {
  return `${classId} 0.5 0.5 1.0 1.0\n`;
}

/**
 * `data.yaml` as Ultralytics reads it. There is no `path` in it: the splits then lie beside the file, wherever the
 * dataset is moved. `names[classId]` is the class's name.
 */
export function dataYaml(names: readonly string[]): string {
  return [
    "# A YOLO dataset: one picture a file, one label file a picture, class id = National Dex number - 1.",
    "train: images/train",
    "val: images/validation",
    "test: images/test",
    `nc: ${names.length}`,
    "names:",
    ...names.map((name, classId) => `  ${classId}: ${JSON.stringify(name)}`),
    "",
  ].join("\n");
}
