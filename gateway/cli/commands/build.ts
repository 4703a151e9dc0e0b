import { writeFile } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { formatFindings } from "../../../compiler/code-frame.ts";
import type { ModuleSummary } from "../../../compiler/types.ts";
import { command, contextOf } from "../command.ts";
import { readModuleInput, withModuleOptions } from "../module-input.ts";
import { bytes, printable } from "../table.ts";
import { buildLocally } from "../wiring.ts";

/** `build`: analysis and artefact, without a server. */
export const build = withModuleOptions(command("build", "build a function into a .wasm file"))
  .argument("<path>", "its folder or file, or a WebAssembly file")
  .option(
    "-o, --output <file>",
    "where to write it (default: <name>.wasm here; <name>.thimble.wasm of a .wasm)",
  )
  .option("--allow-unannotated", "make a missing @function a warning")
  .action(async (path: string, options) => {
    const context = contextOf(options);
    const requireAnnotation = context.config.requireAnnotation && options.allowUnannotated !== true;
    const module = await readModuleInput(path, options);
    const { artifact, analysis } = await buildLocally(module ?? { path, requireAnnotation });
    const absolute = resolve(path);
    const name = basename(absolute, extname(absolute));
    const output: string = options.output ?? `${name}${module ? ".thimble" : ""}.wasm`;
    await writeFile(output, artifact);
    if (analysis.findings.length > 0) {
      context.note(formatFindings(analysis.findings, { color: process.stderr.isTTY }));
    }
    if (analysis.module) context.note(described(analysis.module));
    const document = { output, bytes: artifact.byteLength, analysis };
    context.print(document, () => `Built ${output} (${bytes(artifact.byteLength)})`);
  });

function described({ kind, imports, exports, sections }: ModuleSummary): string {
  const list = (names: string[]) => printable(names.join(", ") || "none");
  return [
    `${kind}`,
    `  imports   ${list(imports)}`,
    `  exports   ${list(exports)}`,
    `  sections  ${list(sections.map(({ name, bytes: size }) => `${name} (${bytes(size)})`))}`,
  ].join("\n");
}
