/** Files that are imported as what they are: `import page from "./page.html" with { type: "text" }`. */
export const contentTypes = {
  text: (bytes: Buffer) => `export default ${JSON.stringify(bytes.toString("utf8"))};\n`,
  bytes: (bytes: Buffer) => `export default Uint8Array.fromBase64("${bytes.toString("base64")}");\n`,
} as const;
export type ContentType = keyof typeof contentTypes;

/** A query keeps the file apart from the same file imported as code or JSON. */
export const contentModuleId = (type: ContentType, file: string): string => `${file}?thimble-${type}`;

/** The bundler adds the attributes of the import to the id. */
export function contentOf(id: string): { type: ContentType; file: string } | undefined {
  const [, file, type] = /^(.*)\?thimble-(text|bytes)(?:[?&].*)?$/s.exec(id) ?? [];
  return file === undefined ? undefined : { type: type as ContentType, file };
}
