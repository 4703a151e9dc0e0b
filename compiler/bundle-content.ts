/** Files that are imported as what they are: `import page from "./page.html" with { type: "text" }`. */
export const contentTypes = {
  text: (bytes: Buffer) => `export default ${JSON.stringify(bytes.toString("utf8"))};\n`,
  bytes: (bytes: Buffer) => `export default Uint8Array.fromBase64("${bytes.toString("base64")}");\n`,
} as const;
export type ContentType = keyof typeof contentTypes;

/** A query keeps the file apart from the same file imported as code or JSON. */
const mark = "?thimble-";

export const contentModuleId = (type: ContentType, file: string): string => `${file}${mark}${type}`;

export function contentOf(id: string): { type: ContentType; file: string } | undefined {
  const at = id.lastIndexOf(mark);
  if (at < 0) return undefined;
  return { type: id.slice(at + mark.length) as ContentType, file: id.slice(0, at) };
}
