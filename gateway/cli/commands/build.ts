import { writeFile } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { formatFindings } from "../../../compiler/code-frame.ts";
import { command, contextOf } from "../command.ts";
import { bytes } from "../table.ts";
import { buildLocally } from "../wiring.ts";

/** `build`: analysis and artefact, without a server. */
export const build = command("build", "build a function into a .wasm file")
  .argument("<path>", "its folder or file")
  .option("-o, --output <file>", "where to write it (default: <name>.wasm here)")
  .option("--allow-unannotated", "make a missing @function a warning")
  .action(async (path: string, options) => {
    const context = contextOf(options);
    const requireAnnotation = context.config.requireAnnotation && options.allowUnannotated !== true;
    const { artifact, analysis } = await buildLocally(path, requireAnnotation);
    const absolute = resolve(path);
    const output: string = options.output ?? `${basename(absolute, extname(absolute))}.wasm`;
    await writeFile(output, artifact);
    if (analysis.findings.length > 0) {
      context.note(formatFindings(analysis.findings, { color: process.stderr.isTTY }));
    }
    const document = { output, bytes: artifact.byteLength, analysis };
    context.print(document, () => `Built ${output} (${bytes(artifact.byteLength)})`);
  });
