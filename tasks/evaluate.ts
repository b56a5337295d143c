/** `deno task evaluate`: judges a model or predictions; hands over to the file of what is judged. */

const usage = `deno task evaluate --model NAME [--split test | --images DIR] [flags]
deno task evaluate --detections dets.json --truth gt.json [flags]

Judges a model or predictions.

  --model NAME|FILE               a trained model on a split of its data set, or with --images on DIR/NNNN/*
  --detections FILE --truth FILE  boxes in COCO's results and annotations JSON: mAP, precision, recall

Each takes --json, and --help for its own flags.`;

const args = Deno.args;
const given = (flag: string) => args.some((each) => each === `--${flag}` || each.startsWith(`--${flag}=`));

if (given("model")) {
  await (await import("./evaluate/model.ts")).model(args);
} else if (given("detections") || given("truth")) {
  await (await import("./evaluate/detections.ts")).detections(args);
} else if (given("help") || args.includes("-h")) {
  console.log(usage);
} else {
  const found = args.length === 0 ? "nothing" : `"${args.join(" ")}"`;
  console.error(
    `error: deno task evaluate: expected --model, or --detections and --truth, found ${
      found.slice(0, 200)
    }; see --help`,
  );
  Deno.exit(2);
}
