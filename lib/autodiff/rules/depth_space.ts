/** Gradients of the rearrangements between channels and space: each is undone by the other. */

import { depthToSpace, isStatic, reshape, spaceToDepth, transpose, type Value } from "../../onnx/mod.ts";
import { composeShape } from "../broadcast.ts";
import { defineRule } from "../rule.ts";

/** DCR is undone by SpaceToDepth; CRD (PyTorch's pixel shuffle) orders channels the other way and is undone by hand. */
defineRule("DepthToSpace", (ctx) => {
  const block = ctx.node.int("blocksize");
  if (ctx.node.string("mode") === "DCR") return [spaceToDepth(ctx.gradient, block)];
  const [, channels, height, width] = ctx.shape(0);
  const inner = [channels!, height!, width!];
  if (!isStatic(inner)) throw ctx.fail(`expected known sizes except the batch's, found ${ctx.node.input(0)}`);
  const split = reshape(ctx.gradient, [-1, inner[0]! / (block * block), inner[1]!, block, inner[2]!, block]);
  return [withBatch(transpose(split, [0, 1, 3, 5, 2, 4]), ctx.node.input(0))];
});

/** Undone by DepthToSpace in DCR order. */
defineRule("SpaceToDepth", (ctx) => [depthToSpace(ctx.gradient, ctx.node.int("blocksize"))]);

/** x in the shape of `like`, of which only the first size may be open. */
function withBatch(x: Value, like: Value): Value {
  return reshape(x, composeShape(like, like.shape.map((dim, axis) => typeof dim === "number" ? dim : { axis })));
}
