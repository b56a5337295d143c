/** The limited-memory BFGS method for smooth functions of many variables. */

/** A function's value and gradient at a point. */
export interface ValueAndGradient {
  readonly value: number;
  readonly gradient: Float64Array;
}

/** Settings of `minimize`. */
export interface MinimizeOptions {
  /** Ends when no element of the gradient is farther from zero. Default: 1e-5. */
  readonly tolerance?: number;
  /** Default: 200. */
  readonly iterations?: number;
  /** Pairs of steps and gradient changes that are kept. Default: 10. */
  readonly memory?: number;
  /** Called after each iteration; may throw, to end it. */
  readonly onIteration?: (iteration: number, found: ValueAndGradient) => void;
}

/** Where it ended. */
export interface Minimum extends ValueAndGradient {
  readonly point: Float64Array;
  readonly iterations: number;
  readonly evaluations: number;
  /** False: it ran out of iterations, or no step made the value smaller any more (the precision of the function is reached). */
  readonly converged: boolean;
}

/** Sufficient decrease and curvature (Nocedal and Wright 2006, eq. 3.6). */
const DECREASE = 1e-4, CURVATURE = 0.9;

/**
 * Minimises a function from a point: L-BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5), step lengths by bisection for the weak
 * Wolfe conditions (Lewis and Overton 2013, algorithm 2.6).
 */
export async function minimize(
  evaluate: (point: Float64Array) => Promise<ValueAndGradient>,
  start: Float64Array,
  { tolerance = 1e-5, iterations = 200, memory = 10, onIteration = () => {} }: MinimizeOptions = {},
): Promise<Minimum> {
  let point: Float64Array = start.slice(), found = await evaluate(point), evaluations = 1, done = 0;
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  const small = () => found.gradient.every((element) => Math.abs(element) <= tolerance);
  for (; done < iterations && !small(); done++) {
    const direction = twoLoop(found.gradient, pairs);
    let slope = dot(direction, found.gradient);
    if (!(slope < 0)) {
      pairs.length = 0;
      direction.set(found.gradient.map((element) => -element));
      slope = -dot(found.gradient, found.gradient);
    }
    let low = 0, high = Infinity, length = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(-slope)) : 1;
    let next: { point: Float64Array; found: ValueAndGradient } | undefined;
    for (let trial = 0; trial < 30; trial++) {
      const at = point.map((value, i) => value + length * direction[i]!);
      const there = await evaluate(at);
      evaluations++;
      if (!(there.value <= found.value + DECREASE * length * slope)) high = length;
      else {
        next = { point: at, found: there };
        if (dot(there.gradient, direction) >= CURVATURE * slope) break;
        low = length;
      }
      length = high === Infinity ? 2 * low : (low + high) / 2;
    }
    if (!next) break;
    const s = next.point.map((value, i) => value - point[i]!);
    const y = next.found.gradient.map((value, i) => value - found.gradient[i]!);
    const curvature = dot(s, y);
    if (curvature > 1e-10 * dot(y, y)) {
      pairs.push({ s, y, rho: 1 / curvature });
      if (pairs.length > memory) pairs.shift();
    }
    ({ point, found } = next);
    onIteration(done + 1, found);
  }
  return { point, ...found, iterations: done, evaluations, converged: small() };
}

/** −H · gradient, H the estimate of the inverse Hessian (algorithm 7.4). */
function twoLoop(
  gradient: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  const q = gradient.map((element) => -element), alphas: number[] = [];
  for (const { s, y, rho } of pairs.toReversed()) {
    const alpha = rho * dot(s, q);
    alphas.push(alpha);
    addScaled(q, y, -alpha);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i] = q[i]! * scale;
  }
  for (const { s, y, rho } of pairs) addScaled(q, s, alphas.pop()! - rho * dot(y, q));
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(into: Float64Array, from: Float64Array, factor: number): void {
  for (let i = 0; i < into.length; i++) into[i] = into[i]! + factor * from[i]!;
}
