/** One training run from its configuration to a checked model: profiles, data, network, training, evaluation, prediction. */

export * from "./settings.ts";
export {
  type CollapseCase,
  type CollapseEpoch,
  type CollapseOptions,
  type CollapseStep,
  type CollapseStudy,
  type CollapseTrace,
  studyCollapse,
} from "./collapse_study.ts";
export { type Reading, weighReadings } from "./collapse_readings.ts";
export { detailsOf, knownFailures, writeDetails } from "./card_details.ts";
export {
  type CardDetails,
  type CardFigures,
  cardSchema,
  classesText,
  copyPackage,
  type CopyPackageOptions,
  type ModelCard,
  type ModelPackage,
  readPackage,
  writePackage,
} from "./card.ts";
export {
  augmentationOf,
  type ClassifierFamily,
  isClassifier,
  mixingTransform,
  overlayPath,
  readTrainingConfig,
  type TrainingConfig,
  trainingConfigSchema,
  trainingParts,
} from "./config.ts";
export {
  type Dataset,
  evaluationLoader,
  openDataset,
  type OpenDatasetOptions,
  openPictures,
  type ShownAs,
  trainingLoader,
} from "./dataset.ts";
export {
  evaluateModel,
  type EvaluateModelOptions,
  judgeModel,
  type ModelJudgement,
  type ModelReport,
  type NamedSpecies,
  type PartAccuracy,
  reportOf,
} from "./evaluate_model.ts";
export { findRate, type FindRateOptions } from "./find_rate.ts";
export { compareWays, tempered, type WayFigures } from "./figures.ts";
export { judgingGraph, OUTPUTS, shippedGraph, VIEWS, type Views, type Way, WAYS } from "./graphs.ts";
export { buildClassifierOf, buildDetector, loadPretrained, type Pretrained } from "./network.ts";
export { type LogitsNetwork, logitsTask, sharesOf } from "./task/classification.ts";
export { buildTask, type TaskBuilder, type TaskNetwork } from "./task/task.ts";
export {
  defaultModel,
  findModel,
  type ModelFolders,
  type OpenedModel,
  openModel,
  type OpenModelOptions,
} from "./open_model.ts";
export { learnedFrom } from "./same_split.ts";
export {
  folderPictures,
  type ModelView,
  type OpenedPictures,
  type PictureFacts,
  type PictureSet,
  splitPictures,
  stackPlanes,
} from "./picture_sets.ts";
export { type Guess, type Prediction, type PredictOptions, predictPictures } from "./predict.ts";
export { assignmentOf, lossOf, monitorOf, optimizerOf, planOf, scheduleOf } from "./recipe.ts";
export { chooseRun, type ChooseRunOptions, type ChosenRun } from "./resume_run.ts";
export { type Feeding, feedTraining } from "./feeding.ts";
export { samplerOf, type TrainingSampler, trainingSampler } from "./sampling.ts";
export { ORIGINAL_RUN } from "./original.ts";
export {
  type AcceptedShare,
  type AreaReport,
  type CorruptionReport,
  measureRobustness,
  type RejectionConfidence,
  type RobustnessOptions,
  type RobustnessReport,
  type ThresholdReport,
} from "./robustness.ts";
export {
  type OpenedSquares,
  openSquares,
  type OpenSquaresOptions,
  type ShownSquare,
  type SquareSource,
} from "./squares.ts";
export { datasetOf } from "./dataset_of.ts";
export { shareOfTraining } from "./training_share.ts";
export { type DatasetHoldout, withoutStyle } from "./without_style.ts";
export { seenPictures } from "./seen_pictures.ts";
export { trainExperiment, type TrainOptions, type TrainResult } from "./train_experiment.ts";
export * from "./sweep/mod.ts";
export { type JudgedSplit, reviewTrained, type StudiedModel, trainAndJudge } from "./train_and_judge.ts";
