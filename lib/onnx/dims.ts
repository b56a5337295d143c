/** Dimensions: numbers, or symbols that stand for sizes known only at run time, with the arithmetic of both. */

/** A size: a number, or a symbol such as "N" or a derived one such as "floor((H-1)/2)+1". */
export type Dim = number | string;

/** Sizes from the outermost to the innermost dimension; [] is a scalar. */
export type Shape = readonly Dim[];

/** Longest derived symbol that is spelled out. */
const LONGEST = 64;

/** "[N, 3, 224, 224]". */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether all sizes are numbers. */
export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === "number");
}

/** Whether two sizes may be equal at run time: equal numbers, or a symbol on either side. */
export function mayEqual(a: Dim, b: Dim): boolean {
  return typeof a === "string" || typeof b === "string" || a === b;
}

/** a + b. Constant parts are folded, so that "H+2" − 2 is "H". */
export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const left = splitSum(a), right = splitSum(b);
  const offset = left.offset + right.offset;
  const terms = [...left.terms, ...right.terms].sort();
  const text = terms.join("+");
  return symbol(offset === 0 ? text : offset > 0 ? `${text}+${offset}` : `${text}${offset}`);
}

/** a − b. */
export function subDims(a: Dim, b: Dim): Dim {
  if (typeof b === "number") return addDims(a, -b);
  if (a === b) return 0;
  const left = splitSum(a), right = splitSum(b);
  const terms = [...left.terms];
  for (const term of right.terms) {
    const at = terms.indexOf(term);
    if (at < 0) return symbol(`${a}-(${b})`);
    terms.splice(at, 1);
  }
  const offset = left.offset - right.offset;
  return terms.length === 0 ? offset : addDims(symbol(terms.join("+")), offset);
}

/** a · b. */
export function mulDims(a: Dim, b: Dim): Dim {
  return joinProduct(mergeProducts(splitProduct(a), splitProduct(b)));
}

/** The product of sizes; 1 for none. */
export function product(dims: Shape): Dim {
  return joinProduct(dims.map(splitProduct).reduce(mergeProducts, { coefficient: 1, symbols: [] }));
}

/** floor(a / b); exact when b divides a, also symbolically. */
export function divDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return Math.floor(a / b);
  return divideExactly(a, b) ?? symbol(`floor(${bracket(a)}/${divisor(b)})`);
}

/** ceil(a / b). */
export function ceilDivDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return Math.ceil(a / b);
  return divideExactly(a, b) ?? symbol(`ceil(${bracket(a)}/${divisor(b)})`);
}

/** a / b where the division is exact, else undefined. */
export function divideExactly(a: Dim, b: Dim): Dim | undefined {
  const over = splitProduct(a), under = splitProduct(b);
  if (under.coefficient === 0 || over.coefficient % under.coefficient !== 0) return undefined;
  const symbols = [...over.symbols];
  for (const factor of under.symbols) {
    const at = symbols.indexOf(factor);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  return joinProduct({ coefficient: over.coefficient / under.coefficient, symbols });
}

/** The size two broadcast dimensions give, or undefined when they do not go together (ONNX, "Broadcasting"). */
export function broadcastDims(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === "number" && typeof b === "number") return undefined;
  if (typeof a === "number") return a;
  if (typeof b === "number") return b;
  return symbol(`max(${[a, b].sort().join(",")})`);
}

/** The shape that shapes broadcast to, or undefined when they do not go together. */
export function broadcastShapes(...shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result: Dim[] = new Array(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      const dim = broadcastDims(result[at]!, shape[i]!);
      if (dim === undefined) return undefined;
      result[at] = dim;
    }
  }
  return result;
}

/** A symbol for a text; a very long one is replaced by its hash, so that equal texts still give equal symbols. */
export function symbol(text: string): string {
  if (text.length <= LONGEST) return text;
  let hash = 2166136261; // FNV-1a
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return `dim_${(hash >>> 0).toString(16).padStart(8, "0")}_${text.length}`;
}

interface Sum {
  readonly terms: readonly string[];
  readonly offset: number;
}

function splitSum(dim: Dim): Sum {
  if (typeof dim === "number") return { terms: [], offset: dim };
  const parts = splitTop(dim, "+");
  let offset = 0;
  const terms: string[] = [];
  for (const part of parts) {
    const match = /^(.*?)(-\d+)?$/s.exec(part)!;
    const rest = match[1]!, minus = match[2];
    if (minus !== undefined && rest !== "") {
      offset += Number(minus);
      terms.push(rest);
    } else if (/^-?\d+$/.test(part)) offset += Number(part);
    else terms.push(part);
  }
  return { terms, offset };
}

interface Product {
  readonly coefficient: number;
  readonly symbols: readonly string[];
}

function splitProduct(dim: Dim): Product {
  if (typeof dim === "number") return { coefficient: dim, symbols: [] };
  if (isSum(dim)) return { coefficient: 1, symbols: [`(${dim})`] };
  let coefficient = 1;
  const symbols: string[] = [];
  for (const part of splitTop(dim, "*")) {
    if (/^\d+$/.test(part)) coefficient *= Number(part);
    else symbols.push(part);
  }
  return { coefficient, symbols };
}

function mergeProducts(a: Product, b: Product): Product {
  return { coefficient: a.coefficient * b.coefficient, symbols: [...a.symbols, ...b.symbols] };
}

function joinProduct({ coefficient, symbols }: Product): Dim {
  if (coefficient === 0 || symbols.length === 0) return coefficient;
  if (symbols.length === 1 && coefficient === 1) return unbracket(symbols[0]!);
  const text = [...symbols].sort().join("*");
  return symbol(coefficient === 1 ? text : `${coefficient}*${text}`);
}

function isSum(text: string): boolean {
  return splitTop(text, "+").length > 1 || splitTop(text, "-").length > 1;
}

function bracket(dim: Dim): string {
  return typeof dim === "string" && isSum(dim) ? `(${dim})` : String(dim);
}

function divisor(dim: Dim): string {
  return typeof dim === "string" && splitTop(dim, "*").length > 1 ? `(${dim})` : bracket(dim);
}

function unbracket(text: string): string {
  return text.startsWith("(") && text.endsWith(")") && isSum(text.slice(1, -1)) ? text.slice(1, -1) : text;
}

/** Splits at a sign that stands outside all brackets. */
function splitTop(text: string, sign: string): string[] {
  const parts: string[] = [];
  let depth = 0, start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === sign && depth === 0 && i > start) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
