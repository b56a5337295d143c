/** COCO's annotations and results files, as pycocotools reads them. */

import { EvaluateError } from "../errors.ts";
import type { DetectionTable } from "./columns.ts";
import { JsonScanner, readBytes } from "./json_scanner.ts";

/** An image's id: COCO has whole numbers; texts are accepted too. */
export type ImageId = number | string;

/** More classes than this are not a data set but an attack. */
const MOST_CLASSES = 100_000;

/** Boxes of a file in the file's order. */
interface FileBoxes {
  readonly images: ImageId[];
  readonly categories: number[];
  /** Left, top, width, height of each. */
  readonly places: number[];
}

/** An annotations file. */
export interface CocoTruth extends FileBoxes {
  readonly name: string;
  /** Ids and names of the classes, by rising id. */
  readonly classes: readonly { readonly id: number; readonly name: string }[];
  /** All images, by rising id; those without boxes too. */
  readonly imageIds: readonly ImageId[];
  readonly areas: number[];
  readonly crowds: boolean[];
  readonly ids: number[];
}

/** A results file. */
export interface CocoResults extends FileBoxes {
  readonly name: string;
  readonly scores: number[];
}

/** Boxes that pycocotools leaves out without a word; here they are counted. */
export interface LeftOut {
  readonly detectionsOfUnknownCategories: number;
  readonly truthsOfUnknownCategories: number;
  readonly truthsOfUnknownImages: number;
  /** True boxes whose id is 0: pycocotools counts a detection that matches one as wrong. Number annotations from 1. */
  readonly truthsWithIdZero: number;
}

/** Reads an annotations file. Throws EvaluateError naming file and place for anything wrong in it. */
export async function readCocoTruth(path: string): Promise<CocoTruth> {
  return parseCocoTruth(await readBytes(path), path);
}

/** Reads a results file. Throws EvaluateError naming file and place for anything wrong in it. */
export async function readCocoResults(path: string): Promise<CocoResults> {
  return parseCocoResults(await readBytes(path), path);
}

/**
 * An annotations document: an object with "images" [{id}], "categories" [{id, name}] and "annotations" [{id, image_id,
 * category_id, bbox, area, iscrowd}]. An annotation without "area" has its box's, one without "iscrowd" is no crowd.
 */
export function parseCocoTruth(bytes: Uint8Array, name: string): CocoTruth {
  const scanner = new JsonScanner(bytes, name);
  const images = new Set<ImageId>(), classes = new Map<number, string>(), ids = new Set<number>();
  const boxes = { images: [] as ImageId[], categories: [] as number[], places: [] as number[] };
  const areas: number[] = [], crowds: boolean[] = [];
  scanner.object({
    images: () =>
      scanner.array("images", (element, index) => {
        const row = new Row(element, scanner, "images", index);
        const id = row.imageId("id");
        const [first] = images;
        if (first !== undefined && typeof first !== typeof id) {
          throw row.fail("id", `a ${typeof first} like those before`, id);
        }
        images.add(id);
      }),
    categories: () =>
      scanner.array("categories", (element, index) => {
        const row = new Row(element, scanner, "categories", index);
        const id = row.integer("id");
        classes.set(id, row.text("name") ?? String(id));
        if (classes.size > MOST_CLASSES) throw row.fail("id", `at most ${MOST_CLASSES} classes`, "more");
      }),
    annotations: () =>
      scanner.array("annotations", (element, index) => {
        const row = new Row(element, scanner, "annotations", index);
        const id = row.integer("id");
        if (ids.has(id)) throw row.fail("id", "each id once", `${id} again`);
        ids.add(id);
        const [width, height] = row.box(boxes);
        areas.push(row.has("area") ? row.number("area", 0) : width * height);
        crowds.push(row.has("iscrowd") && row.flag("iscrowd"));
      }),
  });
  scanner.end();
  const classRows = [...classes].sort(([a], [b]) => a - b).map(([id, name]) => ({ id, name }));
  const imageIds = [...images].sort((a, b) => a < b ? -1 : 1);
  return { name, classes: classRows, imageIds, ...boxes, areas, crowds, ids: [...ids] };
}

/** A results document: an array of {image_id, category_id, bbox, score}. */
export function parseCocoResults(bytes: Uint8Array, name: string): CocoResults {
  const scanner = new JsonScanner(bytes, name);
  const boxes = { images: [] as ImageId[], categories: [] as number[], places: [] as number[] };
  const scores: number[] = [];
  scanner.array("", (element, index) => {
    const row = new Row(element, scanner, "", index);
    row.box(boxes);
    scores.push(row.number("score"));
  });
  scanner.end();
  return { name, ...boxes, scores };
}

/**
 * Both files as one table: images and classes by rising id. As in pycocotools, detections of a category that the truth
 * does not have and true boxes of an unknown category or image are left out (`leftOut` counts them), and a detection in an
 * image that the truth does not have throws EvaluateError.
 */
export function cocoTable(truth: CocoTruth, results: CocoResults): { table: DetectionTable; leftOut: LeftOut } {
  const images = new Map(truth.imageIds.map((id, index) => [id, index]));
  const categories = new Map(truth.classes.map(({ id }, index) => [id, index]));
  const known = ({ categories: ids }: FileBoxes, index: number) => categories.has(ids[index]!);
  for (const [index, id] of results.images.entries()) {
    if (!images.has(id)) {
      throw new EvaluateError(
        `${results.name}: [${index}].image_id: expected an image of ${truth.name}, found ${JSON.stringify(id)}`,
      );
    }
  }
  const truths = [...truth.images.keys()].filter((at) => known(truth, at) && images.has(truth.images[at]!));
  const detections = [...results.images.keys()].filter((at) => known(results, at));
  const columns = (boxes: FileBoxes, rows: readonly number[]) => {
    const place = new Float64Array(4 * rows.length);
    for (const [at, row] of rows.entries()) for (let i = 0; i < 4; i++) place[4 * at + i] = boxes.places[4 * row + i]!;
    return {
      image: Int32Array.from(rows, (row) => images.get(boxes.images[row]!)!),
      category: Int32Array.from(rows, (row) => categories.get(boxes.categories[row]!)!),
      place,
    };
  };
  return {
    table: {
      images: images.size,
      categories: categories.size,
      truth: {
        ...columns(truth, truths),
        area: Float64Array.from(truths, (row) => truth.areas[row]!),
        crowd: Uint8Array.from(truths, (row) => truth.crowds[row] ? 1 : 0),
        counted: Uint8Array.from(truths, (row) => truth.ids[row] === 0 ? 0 : 1),
      },
      detections: {
        ...columns(results, detections),
        score: Float64Array.from(detections, (row) => results.scores[row]!),
      },
    },
    leftOut: {
      detectionsOfUnknownCategories: results.images.length - detections.length,
      truthsOfUnknownCategories: truth.images.filter((_, at) => !known(truth, at)).length,
      truthsOfUnknownImages: truth.images.filter((id) => !images.has(id)).length,
      truthsWithIdZero: truths.filter((row) => truth.ids[row] === 0).length,
    },
  };
}

/** One element of a file, whose fields are checked as they are read. */
class Row {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #scanner: JsonScanner;
  readonly #place: string;
  readonly #index: number;

  constructor(element: unknown, scanner: JsonScanner, place: string, index: number) {
    if (typeof element !== "object" || element === null || Array.isArray(element)) {
      throw scanner.fail(`${place}[${index}]`, `expected an object, found ${show(element)}`);
    }
    this.#fields = element as Record<string, unknown>;
    this.#scanner = scanner;
    this.#place = place;
    this.#index = index;
  }

  fail(field: string, expected: string, found: unknown): EvaluateError {
    const text = typeof found === "string" ? found : show(found);
    return this.#scanner.fail(`${this.#place}[${this.#index}].${field}`, `expected ${expected}, found ${text}`);
  }

  has(field: string): boolean {
    return Object.hasOwn(this.#fields, field);
  }

  integer(field: string): number {
    const value = this.#get(field);
    if (!Number.isSafeInteger(value)) throw this.fail(field, "a whole number", show(value));
    return value as number;
  }

  number(field: string, lowest = -Infinity): number {
    const value = this.#get(field);
    if (typeof value !== "number" || !Number.isFinite(value) || value < lowest) {
      throw this.fail(field, `a finite number${lowest === 0 ? " from 0" : ""}`, show(value));
    }
    return value;
  }

  text(field: string): string | undefined {
    const value = this.#get(field);
    return typeof value === "string" ? value : undefined;
  }

  flag(field: string): boolean {
    const value = this.#get(field);
    if (value !== 0 && value !== 1 && typeof value !== "boolean") throw this.fail(field, "0 or 1", show(value));
    return Boolean(value);
  }

  imageId(field: string): ImageId {
    const value = this.#get(field);
    if (typeof value === "string" && value !== "") return value;
    if (!Number.isSafeInteger(value)) throw this.fail(field, "a whole number or a text", show(value));
    return value as number;
  }

  /** Appends image, category and box; returns the box's width and height. */
  box({ images, categories, places }: FileBoxes): readonly [width: number, height: number] {
    images.push(this.imageId("image_id"));
    categories.push(this.integer("category_id"));
    const box = this.#get("bbox");
    if (!Array.isArray(box) || box.length !== 4 || !box.every((each) => Number.isFinite(each))) {
      throw this.fail("bbox", "[left, top, width, height] in finite numbers", show(box));
    }
    const [left, top, width, height] = box as [number, number, number, number];
    if (width < 0 || height < 0) throw this.fail("bbox", "a width and height from 0", `${width} x ${height}`);
    places.push(left, top, width, height);
    return [width, height];
  }

  #get(field: string): unknown {
    return this.has(field) ? this.#fields[field] : undefined;
  }
}

/** A value as JSON, cut where it is long; "none" for a field that is not there. */
function show(value: unknown): string {
  if (value === undefined) return "none";
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
