/** Names the species in a dropped picture or before the camera; nothing leaves the browser. "?device=webgpu" computes on the GPU. */

import { decodedSize, likeliest, planesOf, tempered } from "./preprocess.mjs";
import { shrink } from "./shrink.mjs";

const PICTURE_SIZE = 416; // a picture of the data set is no larger
const LARGEST = 64_000_000;

const device = new URLSearchParams(location.search).get("device") === "webgpu" ? "webgpu" : "wasm";
const opened = open();

async function open() {
  const ort = await import(device === "webgpu" ? "./ort/ort.webgpu.min.mjs" : "./ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  const [settings, names, model] = await Promise.all([
    load("preprocessing.json").then((response) => response.json()),
    load("classes.txt").then((response) => response.text()),
    load("model.onnx").then((response) => response.arrayBuffer()),
  ]);
  const session = await ort.InferenceSession.create(model, { executionProviders: [device] });
  return { ort, session, settings, names: names.split("\n").filter((name) => name !== "") };
}

async function load(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: expected a file, found status ${response.status}`);
  return response;
}

/** The likeliest species of RGBA pixels, `{ width, height, data }`: `[{ class, name, score }]`. */
export async function classify(picture, top = 5) {
  const { ort, session, settings: { input, output }, names } = await opened;
  const planes = planesOf(shrink(shrink(picture, PICTURE_SIZE), decodedSize(input)), input);
  const found = await session.run({ [input.name]: new ort.Tensor("float32", planes, [1, 3, input.size, input.size]) });
  return likeliest(tempered(await found[output.name].getData(), output.temperature), names, top);
}

/** The pixels of a picture file, upright. */
export async function pixelsOf(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { premultiplyAlpha: "none" });
  } catch {
    throw new Error(`expected a picture, found ${blob.type || "another file"}`);
  }
  try {
    if (bitmap.width * bitmap.height > LARGEST) throw new Error("expected at most 64 million pixels");
    return draw(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

function draw(source, width, height) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}

const element = (id) => document.getElementById(id);

function say(text) {
  element("status").textContent = text;
}

function show(guesses, milliseconds) {
  element("guesses").replaceChildren(...guesses.map(({ name, score }) => {
    const item = document.createElement("li"),
      bar = document.createElement("meter"),
      label = document.createElement("span");
    bar.value = score;
    label.textContent = `${name} ${(100 * score).toFixed(1)} %`;
    item.append(label, bar);
    return item;
  }));
  say(`${milliseconds.toFixed(0)} ms on ${device}`);
}

async function timed(picture) {
  const start = performance.now();
  show(await classify(picture), performance.now() - start);
}

async function showFile(file) {
  if (!file) return;
  try {
    stopCamera();
    element("picture").src = URL.createObjectURL(file);
    element("picture").hidden = false;
    await timed(await pixelsOf(file));
  } catch (error) {
    element("guesses").replaceChildren();
    say(`${file.name}: ${error.message}`);
  }
}

let stream;

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say(`the camera: ${error.message}`);
  }
  const video = element("camera");
  video.srcObject = stream;
  element("picture").hidden = true;
  video.hidden = false;
  await video.play();
  element("start").textContent = "Stop the camera";
  while (stream) {
    // The middle square: what is held before the camera stands there.
    const side = Math.min(video.videoWidth, video.videoHeight);
    const middle = await createImageBitmap(
      video,
      (video.videoWidth - side) / 2,
      (video.videoHeight - side) / 2,
      side,
      side,
    );
    await timed(draw(middle, side, side));
    middle.close();
    await new Promise((done) => setTimeout(done, 100));
  }
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  element("camera").hidden = true;
  element("start").textContent = "Use the camera";
}

const drop = element("drop");
drop.addEventListener("dragover", (event) => event.preventDefault());
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  showFile(event.dataTransfer.files[0]);
});
element("file").addEventListener("change", (event) => showFile(event.target.files[0]));
element("start").addEventListener("click", () => stream ? stopCamera() : startCamera());
opened.then(
  ({ names }) => say(`Ready: ${names.length} species, on ${device}.`),
  (error) => say(`The model could not be opened: ${error.message}`),
);
