/** Quantize, prune, distil, check and package models for each target. */

export {
  assertFitsK210,
  checkK210,
  K210,
  type K210Layer,
  type K210Loader,
  type K210Problem,
  type K210Report,
  kpuMapBytes,
} from "./k210/check.ts";
export { exportTarget, type ExportTargetOptions } from "./targets/export_target.ts";
export {
  type ExportAllOptions,
  exportAllTargets,
  type ExportedTargets,
  type RefusedTarget,
} from "./targets/export_all.ts";
export {
  manifestSchema,
  readManifest,
  type Target,
  type TargetFile,
  type TargetManifest,
  TARGETS,
} from "./targets/manifest.ts";
export { preprocessingOf, preprocessingText, type TargetPreprocessing } from "./targets/preprocessing.ts";
export { tritonConfig } from "./targets/triton.ts";
export { WEB_BUDGET } from "./targets/web.ts";
export { readSigningKey, signBytes, type SigningKey, writeNewKey } from "./updates/keys.ts";
export { type TamperingTrial, tryTampering, verifyPackage } from "./updates/verify.ts";
export {
  calibrate,
  type CalibrateOptions,
  type Calibration,
  CALIBRATION_METHODS,
  type CalibrationBatch,
  type CalibrationBatches,
  type CalibrationMethod,
} from "./quantize/calibrate.ts";
export { exportQuantized, type ExportQuantizedOptions } from "./quantize/export_quantized.ts";
export { type Equalized, equalizeLayers } from "./quantize/equalize.ts";
export {
  fakeQuantize,
  type FakeQuantizeOptions,
  type FineTuned,
  type FineTuneOptions,
  fineTuneQuantized,
} from "./quantize/fine_tune.ts";
export { type Int8Share, int8Share, type Int8ShareOptions, type RunningOperator } from "./quantize/int8_share.ts";
export type { ActivationType, Range } from "./quantize/numbers.ts";
export { type Layer, layersOf } from "./quantize/plan.ts";
export {
  accuracyJudge,
  agreementJudge,
  guessesOf,
  overlapJudge,
  type PictureBatch,
  type SampleOptions,
  samplePictures,
  shareOfEqual,
} from "./quantize/pictures.ts";
export { prepareForQuantization } from "./quantize/prepare.ts";
export { type QuantizeOptions, quantizePrepared, quantizeStatic } from "./quantize/quantize_static.ts";
export {
  chooseFloatLayers,
  type ChooseFloatOptions,
  type FloatLayers,
  type Judge,
  type LayerSensitivity,
  type Sensitivity,
  sensitivity,
  type SensitivityOptions,
} from "./quantize/sensitivity.ts";
export {
  type CalibrationOptions,
  type CalibrationPicture,
  calibrationPictures,
  expectPictures,
} from "./k210/calibrate.ts";
export { estimateK210, framesText, type K210Estimate } from "./k210/estimate.ts";
export {
  checkModelForK210,
  type ExportedK210,
  exportK210,
  type ExportK210Options,
  type K210Settings,
  layersText,
} from "./k210/package.ts";
export {
  K210_ONNX,
  K210_VALUES,
  k210Model,
  type PreparedClassifier,
  prepareForK210,
  splitOutputs,
  strideToPointwise,
} from "./k210/prepare.ts";
export {
  anchorsText,
  checkRegionHead,
  mostRegionClasses,
  prepareRegionForK210,
  type RegionHead,
} from "./k210/region.ts";
export {
  configuredModel,
  type ConfiguredModelOptions,
  type DeployedModel,
  deployedModel,
  openTrained,
} from "./performance/deployed_model.ts";
export {
  type DeploymentOptions,
  type DeploymentRow,
  type DeploymentTable,
  deploymentTable,
  type K210Verdict,
} from "./performance/deployment_table.ts";
export {
  type DeviceEstimate,
  type DeviceFigures,
  type DevicePrecision,
  type DeviceRate,
  DEVICES,
  type DeviceWork,
  estimateDevice,
  estimateDevices,
} from "./performance/devices.ts";
export { type DeployedForm, type DeployedForms, deployedForms, type FormName, FORMS } from "./performance/forms.ts";
export { measureWasm, type WasmLatency, type WasmOptions } from "./performance/wasm.ts";
export { type ChannelGroup, type Channels, findChannels } from "./prune/channels.ts";
export { chooseChannels, type ChooseOptions, type ChosenChannels } from "./prune/choose.ts";
export { channelImportance, defaultImportance, type Importance, IMPORTANCES } from "./prune/importance.ts";
export { type PrunedGraph, pruneGraph, type PruneOptions } from "./prune/prune_graph.ts";
export { type FineTuneSettings, PRUNED_AUGMENTATION } from "./prune/fine_tune.ts";
export { type FineTuneRun, type PrunedModel, pruneModel, type PruneModelOptions } from "./prune/prune_model.ts";
export { withoutChannels, withZeroChannels } from "./prune/surgery.ts";
export { pruningCurve, type PruningCurveOptions, type PruningPoint } from "./prune/pruning_curve.ts";
export { assertFitsEdgeTpu, checkEdgeTpu, EDGETPU, type EdgeTpuProblem, type EdgeTpuReport } from "./tflite/check.ts";
export { type TfliteOptions, toTflite } from "./tflite/convert.ts";
export type { TfliteModel, TfliteOperator, TfliteOption, TfliteQuantization, TfliteTensor } from "./tflite/model.ts";
export {
  type EdgeTpuPort,
  type EdgeTpuSettings,
  type ExportedEdgeTpu,
  exportEdgeTpu,
  type ExportEdgeTpuOptions,
} from "./tflite/package.ts";
export { EDGETPU_VALUES, type PreparedForEdgeTpu, prepareForEdgeTpu } from "./tflite/prepare.ts";
export { readTflite } from "./tflite/read.ts";
export { writeTflite } from "./tflite/write.ts";
