/** Every way to classify beside every other: what it gets right, how robust it is, and what it costs. */

export {
  adapterApproach,
  answersOf,
  type Approach,
  bestOf,
  type CascadeApproach,
  cascadeApproach,
  type Family,
  fusionApproach,
  type Kind,
  lateApproach,
  networkApproach,
  rightAnswers,
  zeroShotApproach,
} from "./approach.ts";
export {
  type ApproachComparison,
  compareApproaches,
  type CompareApproachesOptions,
  type ComparedApproach,
  onlyRight,
  rowOf,
} from "./compare_approaches.ts";
export { type ConclusionOptions, conclusions, STUDENT_GOAL, type Verdict, verdictOf } from "./conclusions.ts";
export { type CorruptedPictures, corruptedPictures, type CorruptedPicturesOptions } from "./corrupted_pictures.ts";
export { type Cost, costOfGraph, costOfProduct, type CostPart, type Costs, totalCost } from "./cost.ts";
export { type Eyes, type PictureView, viewPictures } from "./picture_view.ts";
