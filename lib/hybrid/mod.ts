/** Detector features and language embeddings in one classifier. */

export { aligned, type Answers } from "./answers.ts";
export { backboneFeatures, featureName } from "./backbone.ts";
export { cascadeAnswers, cascadeCurve, type CascadeOptions, type CascadePoint, chooseThreshold } from "./cascade.ts";
export * from "./compare/mod.ts";
export { askTeachers, type AskTeachersOptions, type HybridModels, SHIPPED_NETWORK } from "./distill/ask_teachers.ts";
export { type DistilledConfig, distilledConfigSchema, readDistilledConfig } from "./distill/config.ts";
export { distillProbabilities, type DistillProbabilitiesOptions } from "./distill/distill_probabilities.ts";
export {
  ensembleTeacher,
  joinTeacherAnswers,
  readTeacher,
  type TeacherAnswers,
  type TeacherFile,
  writeTeacher,
} from "./distill/teacher_file.ts";
export {
  aloneConfig,
  type Student,
  type StudentOptions,
  teacherFile,
  trainedAlone,
  trainedStudent,
} from "./distill/students.ts";
export { type DistilledResult, trainDistilled, type TrainDistilledOptions } from "./distill/train_distilled.ts";
export * from "./fusion/mod.ts";
export { fitLateFusion, fuseLate, type LateFusion } from "./late_fusion.ts";
export { compareRight, type Comparison } from "./overlap.ts";
export {
  type ComparedAnswers,
  type HybridRow,
  type HybridStudy,
  type JudgedAnswers,
  studyHybrid,
  type StudyHybridOptions,
} from "./study/study_hybrid.ts";
export { ablationOf, type HybridSetting, type HybridSettings, type HybridVariant } from "./study/variants.ts";
