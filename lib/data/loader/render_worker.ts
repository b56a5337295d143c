/** Worker: draws batches. */

import { serveJobs } from "../../runtime/mod.ts";
import { type Batch, renderBatch, type RenderJob } from "./render.ts";

serveJobs<RenderJob, Batch>(renderBatch, ({ images, labels }) => [images.buffer, labels.buffer]);
