/** Students for small devices, distilled from encoders; classifiers by prototypes. */

export { readStudentConfig, type StudentConfig, studentConfigSchema } from "./config.ts";
export { distillExperiment, type DistillOptions, type DistillResult } from "./distill_experiment.ts";
export {
  distillationLoss,
  type DistillationOptions,
  type DistillationWeights,
  featureMatching,
  type FeatureMetric,
  prototypeLogits,
  similarityStructure,
  type StructureOptions,
} from "./losses.ts";
export { type NewSpecies, OpenSpecies, type OpenSpeciesOptions, type SpeciesGuess } from "./open_species.ts";
export { buildStudent, STUDENT_VALUES, type StudentOptions, studentTask } from "./student.ts";
export {
  exportStudent,
  type OpenedStudent,
  openStudent,
  type PrototypeFigures,
  type StudentCard,
  studentCardSchema,
} from "./student_folder.ts";
export { encoderTeacher, openClassifierTeacher, openTeacher, storedPicture, type Teacher } from "./teacher.ts";
export { askedTargets, cachedTargets, type CachedTargetsOptions, type TeacherTargets } from "./teacher_targets.ts";
