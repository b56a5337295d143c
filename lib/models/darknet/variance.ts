/**
 * Darknet's batch normalisation in ONNX's terms. Darknet (its CPU build) divides by √σ² + 1e-6, ONNX by √(σ² + ε). For any ε
 * there is a variance with which ONNX divides by the same number: the importer stores that, the exporter solves back. So the
 * arithmetic is Darknet's own, not an approximation, whatever ε a graph is trained with, as long as (√σ² + 1e-6)² ≥ ε. A
 * channel that hardly varies, σ² < ε, gets √ε as its divisor, which is what Darknet's GPU build, with √(σ² + 1e-5), comes to.
 */

/** Darknet, `normalize_cpu`. */
const ADDED = 1e-6;

/** ε for inference: (√σ² + 1e-6)² is never smaller, so that every channel is exact. */
export const INFERENCE_EPSILON = 1e-12;

/** ε for training: that of cuDNN and of Darknet's GPU kernels, with which the published weights were trained. */
export const TRAINING_EPSILON = 1e-5;

/** The variance v with √(v + ε) = √σ² + 1e-6. */
export function toOnnxVariance(variance: Float32Array, epsilon: number): Float32Array {
  return variance.map((v) => Math.max(0, (Math.sqrt(v) + ADDED) ** 2 - epsilon));
}

/** The variance σ² with √σ² + 1e-6 = √(v + ε). */
export function toDarknetVariance(variance: Float32Array, epsilon: number): Float32Array {
  return variance.map((v) => Math.max(0, Math.sqrt(Math.max(0, v + epsilon)) - ADDED) ** 2);
}
