import { readFile, writeFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { type MeterMode, meterBytes, readModule, WasmError } from "../../../compiler/wasm/index.ts";
import { CliError } from "../cli-error.ts";
import { bytes } from "../table.ts";

/** `meter`: adds interruption and accounting to any WebAssembly module. Needs neither a server nor settings. */
export const meter = new Command("meter")
  .description("meter a WebAssembly module, so that a host can stop it and count its instructions")
  .argument("<in.wasm>", "the module")
  .option("-o, --output <file>", "where to write it (default: <in>.metered.wasm beside it)")
  .addOption(
    new Option("--mode <mode>", "what is added; none: growth and resetting only")
      .choices(["fuel", "none"])
      .default("fuel"),
  )
  .option("--json", "print one JSON document")
  .action(async (input: string, options: { output?: string; mode: MeterMode; json?: boolean }) => {
    const output = options.output ?? `${input.replace(/\.wasm$/, "")}.metered.wasm`;
    const source = await readFile(input).catch((cause: NodeJS.ErrnoException) => {
      throw new CliError(`cannot read ${input} (${cause.code})`, { exitCode: 2, code: "usage", cause });
    });
    const { metered, functions } = treat(input, source, options.mode);
    await writeFile(output, metered).catch((cause: NodeJS.ErrnoException) => {
      throw new CliError(`cannot write ${output} (${cause.code})`, { code: "failed", cause });
    });
    const growth = metered.length / source.length - 1;
    const document = {
      output,
      mode: options.mode,
      functions,
      bytes: { before: source.length, after: metered.length },
      growth,
    };
    const percent = `${growth < 0 ? "" : "+"}${(growth * 100).toFixed(1)} %`;
    const text = `Metered ${functions} functions into ${output} (${bytes(source.length)} to ${bytes(metered.length)}, ${percent})`;
    process.stdout.write(`${options.json ? JSON.stringify(document) : text}\n`);
  });

function treat(input: string, source: Uint8Array, mode: MeterMode) {
  try {
    const metered = meterBytes(source, { mode });
    return { metered, functions: readModule(source).functions.length };
  } catch (cause) {
    // its message ends with the byte offset
    if (cause instanceof WasmError) {
      throw new CliError(`${input}: ${cause.code}: ${cause.message}`, { code: cause.code, cause });
    }
    throw cause;
  }
}
