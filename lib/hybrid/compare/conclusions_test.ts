/** Conclusions of numbers in which a hybrid wins, ties and loses: the sentences say so, and nothing else. */

import assert from "node:assert/strict";
import { compareRight } from "../overlap.ts";
import { conclusions, verdictOf } from "./conclusions.ts";
import { madeUpComparison, type MadeUpRow, rightFrom } from "./fixture.ts";

const net: MadeUpRow = {
  name: "net",
  kind: "classifier",
  family: "pictures",
  right: rightFrom(0, 100),
  corrupted: 0.3,
};
const joined = (second: boolean[]) => ({
  names: ["net", "clip"] as const,
  overlap: compareRight(net.right, second),
});
/** What is concluded where the hybrid gets these right, at three times the time. */
const concluded = (right: boolean[], more: Partial<MadeUpRow> = {}) => {
  const hybrid: MadeUpRow = { name: "both", kind: "hybrid", family: "hybrid", right, latency: 3, ...more };
  return conclusions({ comparison: madeUpComparison([net, hybrid], "both"), joined: joined(rightFrom(80, 60)) });
};

Deno.test("a hybrid with 40 more of 200 pictures wins: the interval and p are those of the pairs", () => {
  const [first, ceiling, cost] = concluded(rightFrom(0, 140));
  assert.match(
    first!,
    /^The best hybrid beats the best single model: both 70\.0 %, net 50\.0 % of 200 test pictures: 20\.0 points \[1/,
  );
  assert.match(first!, /p below 0\.001\. The interval excludes zero\.$/);
  // Only net 80, both 20, only clip 40: an oracle has 140, 20 points above the better one; the hybrid has all of that.
  assert.match(
    ceiling!,
    /right about 70\.0 %, 20\.0 points above the better one; the best hybrid has 20\.0 points of that/,
  );
  assert.match(ceiling!, /only net is right about 80, only clip about 40, both are wrong about 60 of 200\./);
  assert.match(
    cost!,
    /takes 3\.0 times the single model's time, 3\.0 times its operations, 3\.0 times its moved bytes and 1\.0 times/,
  );
});

Deno.test("three more pictures are no win, and none is claimed", () => {
  const all = concluded(rightFrom(0, 103)).join(" ");
  assert.match(all, /No hybrid beats the best single model beyond chance: both 51\.5 %/);
  assert.match(all, /1\.5 points \[−?\d/);
  assert.match(all, /The interval holds zero/);
  assert.doesNotMatch(all, /excludes zero/);
  assert.match(all, /has 1\.5 points of that/);
});

Deno.test("a hybrid with 40 fewer loses, and the sentence says by how much", () => {
  const all = concluded(rightFrom(0, 60)).join(" ");
  assert.match(all, /The best hybrid is worse than the best single model: .*−20\.0 points \[−/);
  assert.match(all, /the best hybrid lies 20\.0 points below it/);
});

Deno.test("with nothing to gain by choosing, it says that", () => {
  const comparison = madeUpComparison([net, { ...net, name: "both", kind: "hybrid", family: "hybrid" }], "both");
  const [first, ceiling] = conclusions({ comparison, joined: joined(rightFrom(0, 50)) });
  assert.match(first!, /0\.0 points/);
  assert.match(
    ceiling!,
    /^There was nothing to gain by choosing between them: only net is right about 50, only clip about 0/,
  );
});

Deno.test("robustness and calibration are compared in the direction of the numbers", () => {
  const better = concluded(rightFrom(0, 140), { corrupted: 0.4, ece: 0.02 }).join(" ");
  assert.match(
    better,
    /Of 400 corrupted pictures the hybrid names 40\.0 %, the single model 30\.0 %, 10\.0 points more for the hybrid\./,
  );
  assert.match(better, /better calibrated than .* 2\.0 % against 5\.0 %/);
  const worse = concluded(rightFrom(0, 140), { corrupted: 0.2, ece: 0.08 }).join(" ");
  assert.match(worse, /20\.0 %, the single model 30\.0 %, 10\.0 points fewer for the hybrid\./);
  assert.match(worse, /worse calibrated/);
  assert.doesNotMatch(concluded(rightFrom(0, 140)).join(" "), /corrupted/);
});

Deno.test("the further tasks help, harm, or cannot be told", () => {
  const of = (first: boolean[], second: boolean[]) =>
    conclusions({
      comparison: madeUpComparison([net, { ...net, name: "both", kind: "hybrid", family: "hybrid" }], "both"),
      joined: joined(rightFrom(80, 60)),
      multiTask: compareRight(first, second),
    }).join(" ");
  assert.match(of(rightFrom(0, 150), rightFrom(0, 100)), /generation beside the species helps: 25\.0 points/);
  assert.match(of(rightFrom(0, 100), rightFrom(0, 150)), /harms: −25\.0 points/);
  assert.match(of(rightFrom(0, 100), rightFrom(1, 100)), /cannot be told here: 0\.0 points/);
});

Deno.test("a student is kept when it beats its rival, and reaches the goal with nine tenths of the gain at 1.2 times the time", () => {
  const hybrid: MadeUpRow = { name: "both", kind: "hybrid", family: "hybrid", right: rightFrom(0, 140) };
  const of = (distilled: number, alone: number, latency: number, joint = hybrid) =>
    conclusions({
      comparison: madeUpComparison([
        ...[net, joint, { ...net, name: "alone", right: rightFrom(0, alone) }],
        { name: "student", kind: "distilled", family: "distilled", right: rightFrom(0, distilled), latency },
      ], "both"),
      joined: joined(rightFrom(80, 60)),
      student: { distilled: "student", alone: "alone" },
    }).join(" ");
  assert.match(
    of(136, 110, 1.2),
    /68\.0 % against 55\.0 %, 13\.0 points \[[^\]]*\], McNemar's p below 0\.001\. It beats .* and is kept; it keeps 90\.0 % of the hybrid's gain at 1\.2 times .* reached/,
  );
  assert.match(of(136, 110, 1.3), /keeps 90\.0 % at 1\.3 times .* missed/);
  assert.match(of(135, 110, 1), /keeps 87\.5 % at 1\.0 times .* missed/);
  assert.match(
    of(90, 110, 1),
    /It does not beat the same network trained alone and is not kept; of the hybrid's gain it keeps nothing/,
  );
  assert.match(of(110, 110, 1), /It does not beat the same network trained alone and is not kept/);
});

Deno.test("a verdict is that of the interval", () => {
  assert.deepEqual(
    [[0.01, 0.2], [-0.2, -0.01], [0, 0.2], [-0.1, 0.1]].map((ci95) => verdictOf({ ci95: ci95 as [number, number] })),
    [
      ...["more", "less", "open", "open"],
    ],
  );
});
