/**
 * Training on ONNX Runtime: a model is an inference graph; `compileStep` writes its training step (forward, backward and update) as one more graph and
 * runs it. The trained weights go back into the inference graph, which is the file that is evaluated and shipped.
 */

export { type Batch } from "./batch.ts";
export {
  compileStep,
  type RunOptions,
  Step,
  type StepOptions,
  type StepResult,
  type StepState,
} from "./compile_step.ts";
export {
  architectureHash,
  type Checkpoint,
  type CheckpointHead,
  checkpointName,
  latestCheckpoint,
  NewerVersionError,
  readCheckpoint,
  readCheckpointHead,
  saveCheckpoint,
  type TensorSpec,
} from "./checkpoint.ts";
export {
  type Budget,
  type CheckpointPlan,
  fit,
  type FitCallbacks,
  type FitOptions,
  type FitResult,
  type Validation,
} from "./fit.ts";
export { findLearningRate, type FindLearningRateOptions, type LearningRateCurve } from "./find_learning_rate.ts";
export { backup, type BackupOptions, copyRun } from "./fit/backup.ts";
export { type BatchSource, type FitBatch, groupBatches, type NominalBatch, nominalBatch } from "./fit/batches.ts";
export { bestCheckpointPath, checkpointFolder, type CheckpointStoreOptions } from "./fit/checkpoint_store.ts";
export type {
  CheckpointEvent,
  CheckpointReason,
  EndEvent,
  FitEvent,
  FitLog,
  IncidentEvent,
  ResumeEvent,
  StepEvent,
  StopReason,
  ValidationEvent,
  Wall,
} from "./fit/events.ts";
export type {
  GuardOptions,
  GuardResponse,
  SpikeOptions,
  StepResponse,
  ValidationFallOptions,
} from "./guard/options.ts";
export { type GuardIncident, guardIncidentSchema } from "./guard/state.ts";
export type { Monitor } from "./fit/monitor.ts";
export type { Best, FitProgress } from "./fit/progress.ts";
export {
  ArchitectureError,
  chooseResume,
  type ChooseResumeOptions,
  findResume,
  type FindResumeOptions,
  hasCheckpoints,
  readResume,
  type Resume,
} from "./fit/resume.ts";
export { TrainError } from "./errors.ts";
export {
  constant,
  type Fans,
  fansOf,
  type Initializer,
  kaimingNormal,
  type KaimingOptions,
  kaimingUniform,
  normal,
  orthogonal,
  truncatedNormal,
  uniform,
  type WeightLayout,
  xavierNormal,
  type XavierOptions,
  xavierUniform,
} from "../models/mod.ts";
export * from "./detection/mod.ts";
export * from "./losses/mod.ts";
export {
  chain,
  type Optimizer,
  OptimizerContext,
  perParameter,
  type StateTensor,
  type TrainedParameter,
  type Transform,
} from "./optimizer.ts";
export * from "./optimizers.ts";
export { matchesName, type NamePattern } from "./patterns.ts";
export * from "./schedules.ts";
export { type StepLimits, type WeightSource } from "./step_engine.ts";
export { type LossContext, type LossResult } from "./step_plan.ts";
export { type NormalizationMode, trainable, TrainableModel, type TrainableOptions } from "./trainable.ts";
export { TENSORFLOW_BACKENDS, type TensorFlowBackend, type TensorFlowRuntime } from "./tfjs/backend.ts";
export { compileTensorFlowStep, TensorFlowStep, type TensorFlowStepOptions } from "./tfjs/compile_tensorflow_step.ts";
export { tensorFlowOperators } from "./tfjs/operator.ts";
export * from "./transforms.ts";
export { findWeights, markWeights } from "./weights.ts";
export { Random } from "../runtime/mod.ts";
