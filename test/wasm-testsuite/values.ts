import { parse } from "@bytecodealliance/jco-transpile/wasm-tools";
import { readModule } from "../../compiler/wasm/index.ts";
import { headOf, isList, type List, type Node } from "./sexpr.ts";

/** A value that goes into a function or comes out of it: a number as its bits, or a reference. */
export type Value = { bytes: Uint8Array } | { reference: unknown };

const widths: Record<string, number> = { i8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8 };
const shapeOf = (shape: string) => shape.split("x")[0]!;

/** Hosts' references, by their number in the script. */
const hostReferences = new Map<string, { host: string }>();
function hostReference(number: string): { host: string } {
  const known = hostReferences.get(number) ?? { host: number };
  hostReferences.set(number, known);
  return known;
}

/** The lanes of a constant, each as its type and its literal; undefined for references. */
function lanesOf({ items }: List): [type: string, literal: string][] | undefined {
  const [head, ...rest] = items as string[];
  if (head === "v128.const") return rest.slice(1).map((literal) => [shapeOf(rest[0]!), literal]);
  const number = /^([if](?:32|64))\.const$/.exec(head!);
  return number ? [[number[1]!, rest[0]!]] : undefined;
}

const isPattern = (literal: string) => literal === "nan:canonical" || literal === "nan:arithmetic";

/** Values of a script. Floating point literals are read by the text format's own parser, all at once. */
export class Literals {
  readonly #floats: Map<string, Uint8Array>;

  private constructor(floats: Map<string, Uint8Array>) {
    this.#floats = floats;
  }

  static async of(script: Node[]): Promise<Literals> {
    const wanted = new Set<string>();
    const collect = (node: Node): void => {
      if (!isList(node) || headOf(node) === "module") return;
      for (const item of node.items) collect(item);
      for (const [type, literal] of lanesOf(node) ?? [])
        if (type.startsWith("f") && !isPattern(literal)) wanted.add(`${type}.const ${literal}`);
    };
    script.forEach(collect);
    const code = readModule(await parse(`(module (func ${[...wanted].join(" ")}))`)).functions[0]!.code;
    const floats = new Map<string, Uint8Array>();
    let at = 0;
    for (const constant of wanted) {
      const end = at + 1 + widths[constant.slice(0, 3)]!;
      floats.set(constant, code.subarray(at + 1, end));
      at = end;
    }
    return new Literals(floats);
  }

  #lane(type: string, literal: string): Uint8Array {
    if (type.startsWith("f")) return this.#floats.get(`${type}.const ${literal}`)!;
    const plain = literal.replaceAll("_", "").replace(/^\+/, "");
    const value = plain.startsWith("-") ? -BigInt(plain.slice(1)) : BigInt(plain);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    return bytes.subarray(0, widths[type]);
  }

  /** An argument. */
  value(node: List): Value {
    const lanes = lanesOf(node);
    if (lanes) return { bytes: Buffer.concat(lanes.map(([type, literal]) => this.#lane(type, literal))) };
    switch (node.items[0]) {
      case "ref.null":
        return { reference: null };
      case "ref.extern":
      case "ref.host":
        return { reference: hostReference(String(node.items[1])) };
      default:
        throw new Error(`an argument of an unknown form: ${headOf(node)}`);
    }
  }

  /** How {@link show} shows a value that a script expects so. */
  expected(node: List): string {
    const lanes = lanesOf(node);
    if (lanes)
      return lanes
        .map(([type, literal]) => (isPattern(literal) ? literal : bits(this.#lane(type, literal))))
        .join(" ");
    return node.items.slice(0, node.items[0] === "ref.null" ? 1 : 2).join(" ");
  }
}

const bits = (bytes: Uint8Array) => `0x${Buffer.from(bytes).reverse().toString("hex")}`;

/** A value as text: its bits, or of a NaN only the class where the script expects a class; a reference as what it is. */
export function show(value: Value, expected?: List): string {
  if ("reference" in value) return showReference(value.reference, expected);
  const lanes = expected && lanesOf(expected);
  if (!lanes) return bits(value.bytes);
  const width = value.bytes.length / lanes.length;
  return lanes
    .map(([type, literal], i) => {
      const lane = value.bytes.subarray(i * width, (i + 1) * width);
      return isPattern(literal) && isNan(lane, type, literal) ? literal : bits(lane);
    })
    .join(" ");
}

function isNan(lane: Uint8Array, type: string, pattern: string): boolean {
  const value = BigInt(bits(lane));
  const quiet = type === "f32" ? 0x7fc0_0000n : 0x7ff8_0000_0000_0000n;
  const sign = type === "f32" ? 0x8000_0000n : 0x8000_0000_0000_0000n;
  return pattern === "nan:canonical" ? (value & ~sign) === quiet : (value & quiet) === quiet;
}

function showReference(reference: unknown, expected?: List): string {
  if (reference === null) return "ref.null";
  if (typeof reference === "function") return "ref.func";
  const { host } = reference as { host?: string };
  return expected?.items.length === 1 ? "ref.extern" : `ref.extern ${host}`;
}
