import { ByteReader, ByteWriter } from "./wasm/bytes.ts";

const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** Writes named parts as the custom sections of a WebAssembly module that holds nothing else. */
export function packSections(
  sections: readonly [name: string, bytes: Uint8Array][],
): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter().raw(Uint8Array.from(header));
  for (const [name, bytes] of sections) {
    out.byte(0).sized((part) => {
      part.name(name).raw(bytes);
    });
  }
  return out.finish();
}

/**
 * The custom sections of a module or component, in order. Other sections are passed over.
 *
 * @throws WasmError `malformed` where the sections can't be told apart.
 */
export function customSections(bytes: Uint8Array): [name: string, bytes: Uint8Array][] {
  const reader = new ByteReader(bytes);
  reader.take(header.length);
  const found: [string, Uint8Array][] = [];
  while (!reader.done) {
    const id = reader.byte();
    const content = reader.take(reader.u32());
    if (id !== 0) continue;
    const section = new ByteReader(content);
    found.push([section.name(), content.subarray(section.at)]);
  }
  return found;
}
