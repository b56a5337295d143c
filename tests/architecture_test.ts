/** The house's rules, checked over the real import graph: who may import whom, file sizes, pinned packages. */

import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { readNotebook } from "../lib/notebook/mod.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** `lib/` from the ground up: a folder imports only from those before it. */
const floors = [
  ..."species runtime onnx autodiff data models train evaluate track hub experiment vlm hybrid deploy serve notebook"
    .split(" "),
];

/** One import or worker file. */
interface Edge {
  /** Paths from the root, with "/"; `to` may lie outside the house (a package). */
  readonly from: string;
  readonly to: string;
  readonly how: "import" | "file";
}

async function sourceFiles(folders: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  const walk = async (folder: string) => {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.name.includes("~")) continue; // temporary, of a check that runs beside
      if (entry.isDirectory) await walk(path);
      else if (/\.tsx?$/.test(entry.name)) files.push(path);
    }
  };
  for (const folder of folders) {
    await walk(join(root, folder)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  return files.map((path) => relative(root, path).replaceAll("\\", "/")).sort();
}

/** Every import of the files, static, dynamic or of types only, as Deno itself resolves them. */
async function importGraph(files: readonly string[]): Promise<Edge[]> {
  const entry = await Deno.makeTempFile({ dir: root, prefix: ".graph-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, files.map((file) => `import ${JSON.stringify("./" + file)};`).join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", entry],
      cwd: root,
      env: { NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const graph = JSON.parse(new TextDecoder().decode(stdout)) as {
      modules: {
        specifier: string;
        dependencies?: { code?: { specifier?: string }; type?: { specifier?: string } }[];
      }[];
    };
    const place = (url: string) =>
      url.startsWith("file:") ? relative(root, fileURLToPath(url)).replaceAll("\\", "/") : url;
    return graph.modules.flatMap((module) =>
      (module.dependencies ?? []).flatMap(({ code, type }) =>
        [code?.specifier, type?.specifier].filter((to) => to !== undefined)
          .map((to): Edge => ({ from: place(module.specifier), to: place(to), how: "import" }))
      )
    ).filter((edge) => files.includes(edge.from));
  } finally {
    await Deno.remove(entry);
  }
}

/** Files named by `new URL("…", import.meta.url)`: workers and assets. */
async function namedFiles(files: readonly string[]): Promise<Edge[]> {
  const edges: Edge[] = [];
  for (const from of files) {
    const text = await Deno.readTextFile(join(root, from));
    for (const [, path] of text.matchAll(/new URL\(\s*["'`](\.[^"'`]*)["'`]\s*,\s*import\.meta\.url/g)) {
      const to = relative(root, fileURLToPath(new URL(path!, new URL(from, new URL("..", import.meta.url)))));
      edges.push({ from, to: to.replaceAll("\\", "/"), how: "file" });
    }
  }
  return edges;
}

/** The folder of lib/ that a path lies in. */
function floorOf(path: string): string | undefined {
  return /^lib\/([^/]+)(?:\/|$)/.exec(path)?.[1];
}

/** For tests only, of every floor above: no mod.ts gives it away, because it asserts. */
const FOR_TESTS = "lib/autodiff/gradient_check.ts";

/** Why an edge is against the rules, or undefined. */
function violation({ from, to, how }: Edge): string | undefined {
  const [above, below] = [floorOf(from), floorOf(to)];
  if (how === "file") {
    // settings of the whole house (configs, deno.json) belong to no floor
    const recorded = from.endsWith("_test.ts") && to.startsWith("tests/fixtures/");
    const stays = above === undefined || below === above || recorded || !/^(lib|tasks|tests|notebooks)\//.test(to);
    return stays ? undefined : `${from} names ${to}, outside its folder`;
  }
  if (above !== undefined && /^(tasks|tests|notebooks)\//.test(to) && !from.endsWith("_test.ts")) {
    return `${from} imports ${to}, which stands on lib/`;
  }
  if (below === undefined || below === above) return undefined;
  const isShared = to === FOR_TESTS && from.endsWith("_test.ts");
  if (to !== `lib/${below}/mod.ts` && !isShared) return `${from} imports ${to}, not lib/${below}/mod.ts`;
  if (above === undefined) return undefined;
  if (!floors.includes(above)) return `lib/${above} is no floor of the house`;
  return floors.indexOf(below) < floors.indexOf(above) ? undefined : `${from} imports ${to}, which lies above it`;
}

Deno.test("a folder of lib/ imports only from floors below it, through their mod.ts", async () => {
  const files = await sourceFiles(["lib", "tasks", "tests"]);
  const edges = [...await importGraph(files), ...await namedFiles(files)];
  assert.ok(edges.some((edge) => edge.from === "lib/notebook/figure.ts" && edge.to === "lib/notebook/chart.ts"));
  assert.deepEqual(edges.map(violation).filter((text) => text !== undefined), []);
});

Deno.test("the rules refuse an upward import, a side door and a worker file in another folder", () => {
  const refused: Edge[] = [
    { from: "lib/runtime/a.ts", to: "lib/data/mod.ts", how: "import" },
    { from: "lib/data/a.ts", to: "lib/runtime/errors.ts", how: "import" },
    { from: "lib/data/a.ts", to: "lib/runtime/worker.ts", how: "file" },
    { from: "tasks/data.ts", to: "lib/data/split.ts", how: "import" },
    { from: "lib/attic/a.ts", to: "lib/runtime/mod.ts", how: "import" },
    { from: "lib/data/a.ts", to: "tasks/data.ts", how: "import" },
    { from: "lib/train/a.ts", to: FOR_TESTS, how: "import" },
    { from: "lib/onnx/a_test.ts", to: FOR_TESTS, how: "import" },
  ];
  for (const edge of refused) assert.notEqual(violation(edge), undefined, `${edge.from} → ${edge.to}`);
  const allowed: Edge[] = [
    { from: "lib/data/a.ts", to: "lib/runtime/mod.ts", how: "import" },
    { from: "lib/data/a.ts", to: "lib/data/worker.ts", how: "file" },
    { from: "lib/experiment/settings.ts", to: "configs/profiles", how: "file" },
    { from: "lib/data/a.ts", to: "npm:/sharp@0.35.5", how: "import" },
    { from: "lib/train/a_test.ts", to: FOR_TESTS, how: "import" },
  ];
  for (const edge of allowed) assert.equal(violation(edge), undefined, `${edge.from} → ${edge.to}`);
});

/** Code that the protobuf compiler wrote. */
function isGenerated(file: string): boolean {
  return file.endsWith("_pb.ts");
}

Deno.test("every folder of lib/ is a floor of the house", async () => {
  for await (const entry of Deno.readDir(join(root, "lib"))) {
    if (entry.isDirectory) assert.ok(floors.includes(entry.name), `lib/${entry.name}`);
  }
});

Deno.test("no source file has more than 450 lines", async () => {
  const files = await sourceFiles(["lib", "tasks", "tests"]);
  assert.ok(files.length > 20);
  const long: string[] = [];
  for (const file of files) {
    if (isGenerated(file)) continue;
    const lines = (await Deno.readTextFile(join(root, file))).split("\n").length - 1;
    if (lines > 450) long.push(`${file}: ${lines} lines`);
  }
  assert.deepEqual(long, []);
});

Deno.test("the first line of a source file says what it is", async () => {
  const silent: string[] = [];
  for (const file of await sourceFiles(["lib", "tasks", "tests"])) {
    if (isGenerated(file) || file.endsWith("_test.ts")) continue; // a test's name says it
    if (!/^(\/\*\*(\n \*)? |\/\/ ?)\S/.test(await Deno.readTextFile(join(root, file)))) silent.push(file);
  }
  assert.deepEqual(silent, []);
});

Deno.test("notebooks import from lib/ only, through a mod.ts", async () => {
  for (const folder of ["notebooks", "tests/fixtures/notebooks"]) {
    const names = await Array.fromAsync(Deno.readDir(join(root, folder))).catch(() => []);
    for (const { name } of names.filter((entry) => entry.name.endsWith(".ipynb"))) {
      const notebook = await readNotebook(join(root, folder, name));
      const code = notebook.cells.filter((cell) => cell.cell_type === "code").map((cell) => cell.source).join("\n");
      for (const [, from] of code.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g)) {
        assert.match(from!, /^(\.\.\/)+lib\/[a-z]+\/mod\.ts$/, `${folder}/${name}`);
      }
    }
  }
});

Deno.test("packages are pinned to exact versions", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(join(root, "deno.json"))) as {
    imports: Record<string, string>;
  };
  for (const specifier of Object.values(imports)) {
    assert.match(specifier, /^npm:\/?(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+[^/]*(\/.*)?$/);
  }
});
