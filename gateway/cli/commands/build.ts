import { writeFile } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { Option } from "commander";
import { decodeArtifact, kindOf } from "../../../compiler/artifact.ts";
import { formatFindings } from "../../../compiler/code-frame.ts";
import type { ModuleSummary } from "../../../compiler/types.ts";
import { buildWithJavy } from "../build-with-javy.ts";
import { CliError } from "../cli-error.ts";
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
  .addOption(
    new Option(
      "--target <target>",
      "component: a standalone one for WASI's HTTP servers, with an engine of its own",
    )
      .choices(["thimble", "component"])
      .default("thimble"),
  )
  .addOption(
    new Option(
      "--engine <engine>",
      "what runs the JavaScript; javy: a WASI module, made by Javy's compiler (THIMBLE_JAVY)",
    )
      .choices(["thimble", "javy"])
      .default("thimble"),
  )
  .action(async (path: string, options) => {
    const context = contextOf(options);
    const requireAnnotation = context.config.requireAnnotation && options.allowUnannotated !== true;
    const module =
      options.engine === "javy" ? await buildWithJavy(path) : await readModuleInput(path, options);
    const built = await buildLocally(module ?? { path, requireAnnotation });
    const { analysis } = built;
    const artifact = options.target === "component" ? await exported(built.artifact) : built.artifact;
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

/** The function of an artefact as a component of its own. */
async function exported(artifact: Uint8Array): Promise<Uint8Array> {
  if (kindOf(artifact) !== "script") {
    throw new CliError("--target component is for functions in JavaScript", { exitCode: 2, code: "usage" });
  }
  const { exportComponent } = await import("../../../compiler/component/export-component.ts");
  return exportComponent(decodeArtifact(artifact).bundle);
}
