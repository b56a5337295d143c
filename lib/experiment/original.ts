/** The published run that this project reproduces and extends: its figures, for tables that set others beside them. */

/** YOLOv3 on 1,025 species at 416 px, labels that are whole frames. Its authors measured no top-1. */
export const ORIGINAL_RUN = {
  pictures: 128_768,
  species: 1025,
  size: 416,
  firstWeights: "published YOLOv3 weights",
  /** Of those planned, how many had gone by when it was best. */
  bestEpoch: 44,
  epochs: 100,
  mAP50: 0.9746,
  mAP50to95: 0.803,
  /** In the epoch after the best; the loss of that epoch was not published. */
  mAP50AfterCollapse: 0.00041,
  mAP50to95AfterCollapse: 0.00033,
  /** Training stopped after so many. */
  epochsCompleted: 48,
  /** Of its second model, a tiny network at 224 px. */
  tiny: { size: 224, mAP50: 0.917 },
  split: "pictures shuffled, near-duplicates not removed",
} as const;
