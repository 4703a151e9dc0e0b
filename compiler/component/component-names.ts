import { ByteReader } from "../wasm/bytes.ts";
import { defaultLimits, type Module, readModule, WasmError } from "../wasm/index.ts";

const Section = { coreModule: 1, coreInstance: 2, coreType: 3, component: 4, alias: 6 } as const;
const preambleBytes = 8;
const maxDepth = 20;

/** The core modules inside of a component, and every name that a component gives to parts of them. */
export interface ComponentParts {
  modules: Module[];
  /** Names of imports and exports of core modules and core instances. Those of interfaces are checked by whoever reads the component's types. */
  names: Set<string>;
}

/** Whether bytes begin as a component does, and not as a core module. */
export function isComponent(bytes: Uint8Array): boolean {
  return bytes.length >= preambleBytes && bytes[4] === 0x0d && bytes[6] === 0x01;
}

/**
 * Reads as much of a component as it takes to know its core modules and their names, nested components too
 * (component-model/design/mvp/Binary.md).
 *
 * @throws WasmError `malformed`; `unsupported` for types of core modules; `limit_exceeded`.
 */
export function readComponent(bytes: Uint8Array): ComponentParts {
  if (bytes.length > defaultLimits.size) {
    throw new WasmError("limit_exceeded", `size is ${bytes.length}, the limit is ${defaultLimits.size}`);
  }
  const parts: ComponentParts = { modules: [], names: new Set() };
  readSections(bytes, parts, 0);
  return parts;
}

function readSections(bytes: Uint8Array, parts: ComponentParts, depth: number): void {
  if (depth > maxDepth) throw new WasmError("limit_exceeded", "components are nested too deeply");
  const reader = new ByteReader(bytes);
  reader.take(preambleBytes);
  while (!reader.done) {
    const id = reader.byte();
    const offset = reader.offset;
    const content = reader.take(reader.u32());
    const inner = new ByteReader(content, offset);
    switch (id) {
      case Section.coreModule: {
        const module = readModule(content, defaultLimits);
        parts.modules.push(module);
        for (const { module: from, name } of module.imports) parts.names.add(from).add(name);
        for (const { name } of module.exports) parts.names.add(name);
        break;
      }
      case Section.coreInstance:
        inner.vector(() => readCoreInstance(inner, parts.names));
        break;
      case Section.coreType:
        throw new WasmError("unsupported", "types of core modules in a component", offset);
      case Section.component:
        readSections(content, parts, depth + 1);
        break;
      case Section.alias:
        inner.vector(() => readAlias(inner, parts.names));
    }
  }
}

/** Of a module with arguments, or of what is there already. */
function readCoreInstance(reader: ByteReader, names: Set<string>): void {
  const kind = reader.byte();
  if (kind === 0) {
    reader.u32();
    reader.vector(() => {
      names.add(reader.name());
      reader.byte();
      reader.u32();
    });
  } else if (kind === 1) {
    reader.vector(() => {
      names.add(reader.name());
      reader.byte();
      reader.u32();
    });
  } else reader.fail("a core instance of an unknown kind");
}

function readAlias(reader: ByteReader, names: Set<string>): void {
  // the sort of what is named; one of core things has two bytes
  if (reader.byte() === 0) reader.byte();
  const target = reader.byte();
  reader.u32();
  if (target === 0 || target === 1) names.add(reader.name());
  else if (target === 2) reader.u32();
  else reader.fail("an alias of an unknown kind");
}

/**
 * Whether a name can stand between quotes in JavaScript without ending them, and in a comment, and names nothing that every object has. The
 * transpiler writes the names of core modules into its code as they are.
 */
export function isHarmlessName(name: string): boolean {
  return /^[\w $.:;,@#|/()<>[\]=+?!~^&%-]*$/.test(name) && !inherited.has(name);
}

const inherited = new Set(["__proto__", "constructor", "prototype", "__defineGetter__", "__defineSetter__"]);
