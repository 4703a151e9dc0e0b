import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Area, areas } from "./areas.ts";
import { runFile, type Subtest } from "./run-file.ts";

/**
 * `node test/wpt/run.ts <folder of the tests> [path …] [--verbose] [--json]`: runs `.any.js` files of the Web Platform Tests
 * (https://github.com/web-platform-tests/wpt) inside sandboxes and prints the share of subtests that pass, by area. The tests are
 * not part of this repository.
 */
const { values, positionals } = parseArgs({
  options: { verbose: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [root = process.env.WPT_ROOT, ...wanted] = positionals;
if (root === undefined) {
  console.error("Name the folder of the Web Platform Tests, or set WPT_ROOT.");
  process.exit(2);
}

async function filesOf(area: Area): Promise<string[]> {
  const files: string[] = [];
  for (const part of area.paths) {
    const full = path.join(root!, part);
    const found = await stat(full).catch(() => null);
    if (found === null) continue;
    const names = found.isDirectory() ? await readdir(full, { recursive: true }) : [""];
    for (const name of names.sort()) files.push(path.posix.join(part, name));
  }
  const excluded = Object.keys(area.excluded ?? {});
  return files.filter(
    (name) =>
      name.endsWith(".any.js") &&
      !excluded.some((part) => name.includes(part)) &&
      (wanted.length === 0 || wanted.some((part) => name.includes(part))),
  );
}

interface Row {
  area: string;
  files: number;
  passed: number;
  total: number;
}

const rows: Row[] = [];
for (const area of areas) {
  const row: Row = { area: area.name, files: 0, passed: 0, total: 0 };
  for (const file of await filesOf(area)) {
    const source = await readFile(path.join(root, file), "utf8");
    const subtests = await runFile(root, file, source);
    const failed = subtests.filter(({ passed }) => !passed);
    row.files++;
    row.total += subtests.length;
    row.passed += subtests.length - failed.length;
    if (!values.json) report(file, subtests, failed);
  }
  if (row.files > 0) rows.push(row);
}

function report(file: string, subtests: Subtest[], failed: Subtest[]): void {
  if (failed.length === 0 && !values.verbose) return;
  console.log(`${file}: ${subtests.length - failed.length}/${subtests.length}`);
  if (values.verbose) for (const { name, message } of failed) console.log(`    ✗ ${name}: ${message}`);
}

if (values.json) console.log(JSON.stringify(rows, null, 2));
else {
  console.log("\n| area | files | subtests | passing | |\n|---|--:|--:|--:|--:|");
  for (const { area, files, passed, total } of rows) {
    const share = ((100 * passed) / total).toFixed(1);
    console.log(`| ${area} | ${files} | ${total} | ${passed} | ${share}% |`);
  }
}
