/** The worker of a verification: decodes the pictures of a few rows and compares them with the manifest. */

import { join } from "node:path";
import sharp from "sharp";
import { describeError, reason, serveJobs, sha256 } from "../runtime/mod.ts";
import { decodeFile, pictureSize } from "./decode.ts";
import { fingerprint, parseFingerprint } from "./fingerprint.ts";
import { datasetPaths, type ManifestRow } from "./manifest.ts";
import { nearDuplicateScore, nearDuplicateThreshold } from "./near_duplicates.ts";
import type { Problem } from "./verify.ts";
import { checkLabel } from "./verify_label.ts";

sharp.concurrency(1);
sharp.cache(false);

export interface VerifyJob {
  /** The data folder. */
  readonly folder: string;
  readonly rows: readonly ManifestRow[];
}

serveJobs<VerifyJob, Problem[]>(async ({ folder, rows }) => {
  const problems: Problem[] = [];
  const paths = datasetPaths(folder);
  for (const row of rows) {
    await checkJpeg(paths.yoloImage(row), row, problems);
    await checkStored(join(paths.processed, row.image), row, problems);
    const label = paths.yoloLabel(row);
    const text = await read(label, "label-missing", problems, (path) => Deno.readTextFile(path));
    if (text !== undefined) problems.push(...checkLabel(text, row.classId, label));
  }
  return problems;
});

async function checkJpeg(file: string, row: ManifestRow, problems: Problem[]): Promise<void> {
  const bytes = await read(file, "image-missing", problems, (path) => Deno.readFile(path));
  if (bytes === undefined) return;
  if (sha256(bytes) !== row.jpegSha256) {
    problems.push({ kind: "image-hash", file, cause: "expected the content that the manifest names, found another" });
  }
  try {
    const image = sharp(bytes, { failOn: "error" });
    const { format, width, height } = await image.metadata();
    if (format !== "jpeg") {
      problems.push({ kind: "image-format", file, cause: `expected JPEG, found ${format}` });
    } else if (width !== pictureSize || height !== pictureSize) {
      const cause = `expected ${pictureSize} x ${pictureSize} pixels, found ${width} x ${height}`;
      problems.push({ kind: "image-size", file, cause });
    }
    await image.raw().toBuffer();
  } catch (error) {
    const cause = `expected a picture that can be decoded, found: ${describeError(error, 160)}`;
    problems.push({ kind: "image-damaged", file, cause });
  }
}

async function checkStored(file: string, row: ManifestRow, problems: Problem[]): Promise<void> {
  const bytes = await read(file, "stored-missing", problems, (path) => Deno.readFile(path));
  if (bytes === undefined) return;
  if (sha256(bytes) !== row.imageSha256) {
    problems.push({ kind: "stored-hash", file, cause: "expected the content that the manifest names, found another" });
  }
  try {
    const picture = (await decodeFile(bytes)).pictures[0]!;
    if (picture.width !== row.width || picture.height !== row.height) {
      const cause = `expected ${row.width} x ${row.height} pixels, found ${picture.width} x ${picture.height}`;
      problems.push({ kind: "stored-size", file, cause });
    }
    if (picture.transparent !== row.transparent) {
      const cause = `expected ${row.transparent ? "some transparency" : "no transparency"}, found the opposite`;
      problems.push({ kind: "stored-alpha", file, cause });
    }
    // A lossy copy of a larger picture has not quite the fingerprint of its original.
    const score = nearDuplicateScore(parseFingerprint(fingerprint(picture)), parseFingerprint(row.fingerprint));
    if (score > nearDuplicateThreshold) {
      const cause = `expected the fingerprint of the manifest, found one ${score} away`;
      problems.push({ kind: "fingerprint", file, cause });
    }
  } catch (error) {
    problems.push({ kind: "stored-damaged", file, cause: describeError(error, 200) });
  }
}

async function read<T>(file: string, kind: string, problems: Problem[], how: (path: string) => Promise<T>) {
  try {
    return await how(file);
  } catch (error) {
    problems.push({ kind, file, cause: `expected a file, found ${reason(error)}` });
    return undefined;
  }
}
