// Bundle the page's scripts, each into one file that the app serves: `node bundle.js`.
// With --check: fail where a committed bundle is not what its sources give.

import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const PAGES = ["viewer", "bench"]; // each a folder, and the name under which its script is known

const checks = process.argv.includes("--check");
for (const page of PAGES) {
  const { outputFiles } = await build({
    absWorkingDir: import.meta.dirname,
    entryPoints: [`${page}/src/index.js`],
    bundle: true,
    format: "iife",
    globalName: page,
    target: "es2023",
    charset: "utf8",
    banner: { js: `// Made by \`make bundle\` from assets/${page}/src.` },
    outfile: `${page}/${page}.js`,
    write: false,
  });
  const [{ path, text }] = outputFiles;
  if (!checks) await writeFile(path, text);
  else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
    process.exitCode = 1;
    console.error(`assets/${page}/${page}.js is not what its sources give. Run: make bundle`);
  }
}
