/** Figures, tables, picture grids and progress for notebook cells; running notebooks and rendering their reports. */

export type {
  Axis,
  BarChart,
  BoxChart,
  Chart,
  HeatmapChart,
  HistogramChart,
  LineChart,
  ParallelChart,
  ScatterChart,
} from "./chart.ts";
export { annotated, type Mark, type Marks, VECTOR_DENSITY } from "./annotated.ts";
export { collapseLossFigure, collapseRateFigure, collapseValidationFigure, readingTable } from "./collapse_figures.ts";
export {
  accuracyTable,
  choicesFigure,
  choicesOf,
  type DeploymentChoice,
  deviceFigure,
  deviceTable,
  formsFigure,
  k210MapFigure,
  k210ProblemTable,
  k210WeightFigure,
  packageTable,
  pruningFigure,
  sensitivityFigure,
  speedTable,
} from "./deployment_figures.ts";
export { type Displayable, markdown, type MimeBundle, show } from "./display.ts";
export { Figure } from "./figure.ts";
export {
  type CellEvent,
  type CellFailure,
  executeNotebook,
  executeNotebookFile,
  type ExecuteOptions,
} from "./execute.ts";
export { type KeyFigure, keyFigure, type KeyFigureOptions } from "./key_figure.ts";
export {
  type Approach,
  type ApproachFamily,
  type ApproachFigures,
  figuresOf,
  leaderboard,
  type RankedSplit,
  splitOf,
  splitOfCard,
} from "./leaderboard.ts";
export { networkDrawing, stageTable } from "./network_drawing.ts";
export { type Picture, pictures, type PicturesOptions, type RawPicture } from "./pictures.ts";
export {
  approachRows,
  approachTable,
  cascadeFigure,
  costTable,
  fusionTable,
  paretoFigure,
} from "./approach_figures.ts";
export { clock, type Progress, progress, type ProgressOptions } from "./progress.ts";
export { predictionPictures, type ShownPrediction } from "./prediction_pictures.ts";
export { progressBars } from "./progress_bars.ts";
export { reliabilityFigure, reliabilityOf } from "./reliability_figure.ts";
export { coverageFigure, robustnessFigure, type RobustnessFigureOptions, rocFigure } from "./robustness_figures.ts";
export { shareFigure, type ShareFigureOptions } from "./share_figure.ts";
export {
  differenceOfSwitchRows,
  differenceTable,
  sweepCaption,
  sweepFigure,
  sweepPage,
  sweepRows,
  sweepTable,
} from "./sweep_figures.ts";
export { headColors, targetPictures } from "./target_pictures.ts";
export { lossFigure, rateFigure, validationFigure } from "./training_figures.ts";
export { type Settings, settings } from "../experiment/mod.ts";
export { comparisonPage, differenceRows, runFigures, runRows } from "./run_comparison.ts";
export { thumbnails } from "./thumbnails.ts";
export { fewShotFigure, fewShotTable } from "./few_shot_figure.ts";
export { plainTable, table, type TableColumn, type TableOptions, type TableValue } from "./table.ts";
export { type Notebook, readNotebook } from "./notebook_file.ts";
export { reproduce, type ReproduceOptions, type Reproduction } from "./reproduce.ts";
export { checkCells, problemText, uncleanCells } from "./check_cells.ts";
export { installKernel, jupyterDataFolder, removeKernel } from "./kernelspec.ts";
export { selectNotebooks } from "./reproduce.ts";
