import { parse } from "@bytecodealliance/jco-transpile/wasm-tools";
import { type Module, meterBytes, readModule, WasmError } from "../../compiler/wasm/index.ts";
import { noLimits } from "../../compiler/wasm/limits.ts";
import { plainText } from "./plain-text.ts";
import type { List, Node } from "./sexpr.ts";

/** A module as it is and metered. */
export interface Ready {
  plain: WebAssembly.Module;
  metered: WebAssembly.Module;
  read: Module;
}

/**
 * What came of a module. `aside`: not to be compared, and why. `refused`: by the engine, and by the meter too. `different`: only one
 * of them refuses it, or the meter fails.
 */
export type Built = Ready | { aside: string } | { refused: string } | { different: string };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const plainOpening = (module: string) => module.replace(/^\(\s*module\s+definition\b/, "(module");

async function bytesOf(form: List, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const strings = form.items.filter((item): item is Uint8Array => item instanceof Uint8Array);
  const source =
    strings.length === 0 ? undefined : form.items.find((item) => item === "binary" || item === "quote");
  if (source === "binary") return new Uint8Array(Buffer.concat(strings));
  if (source === "quote") return parse(`(module ${utf8.decode(Buffer.concat(strings))})`) as never;
  const module = text.slice(form.start, form.end);
  try {
    return new Uint8Array(await parse(plainOpening(module)));
  } catch {
    return new Uint8Array(await parse(plainOpening(plainText(form))));
  }
}

/** Makes a module of a `module` form. */
export async function build(form: List, text: string): Promise<Built> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await bytesOf(form, text);
  } catch (error) {
    const { name } = (error as Error).constructor;
    if (
      name !== "ComponentError" &&
      (error as NodeJS.ErrnoException).code !== "ERR_ENCODING_INVALID_ENCODED_DATA"
    )
      throw error;
    return { aside: "settled by the text's parser" };
  }
  return compile(bytes);
}

function compile(bytes: Uint8Array<ArrayBuffer>): Built {
  let plain: WebAssembly.Module | undefined;
  let refusal = "";
  try {
    plain = new WebAssembly.Module(bytes);
  } catch (error) {
    refusal = (error as Error).message;
  }
  try {
    const meteredBytes = meterBytes(bytes, { mode: "fuel", limits: noLimits });
    if (!plain) return { different: `metered, though the engine refuses it: ${refusal}` };
    return { plain, metered: new WebAssembly.Module(meteredBytes), read: readModule(bytes) };
  } catch (error) {
    if (!(error instanceof WasmError)) return { different: `${(error as Error).stack}` };
    if (!plain) return { refused: refusal };
    if (error.code === "unsupported") return { aside: proposalIn(error.message) };
    return { different: `the engine takes it, the meter doesn't: ${error.message}` };
  }
}

/** The proposal that a refusal names. */
export function proposalIn(message: string): string {
  return /^(.*?)(?: \(.*\))? can't be metered/.exec(message)?.[1] ?? message;
}

/** The `$name` of a form. */
export function nameIn(items: Node[]): string | undefined {
  return items.find((item): item is string => typeof item === "string" && item.startsWith("$"));
}
