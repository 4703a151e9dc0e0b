import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { partNames } from "../../runtime/guest/parts.ts";

/** Where the parts come from that are loaded when they are first used: a package, or the guest library itself. */
const partEntries = {
  streams: "web-streams-polyfill",
  urlPattern: "../../runtime/guest/url-pattern.ts",
  intl: "../../runtime/guest/intl.ts",
  sql: "../../runtime/guest/sql.ts",
  inspection: "../../runtime/guest/inspection.ts",
} satisfies Record<(typeof partNames)[number], string>;

/** The guest library as one script, ready to be evaluated into the base image. */
export async function bundlePrelude(): Promise<string> {
  return bundle(fileURLToPath(new URL("../../runtime/guest/main.ts", import.meta.url)));
}

/** Files that the parts are made of; what these import of the guest library is beside them. */
export const partFiles = (): string[] =>
  partNames.map((name) => fileURLToPath(import.meta.resolve(partEntries[name])));

/** Scripts whose value is what a part exports. */
export async function bundleParts(): Promise<string[]> {
  return Promise.all(
    partFiles().map(async (file) => {
      const code = await bundle(file, "part");
      return `(function () { ${code}; return part; })()`;
    }),
  );
}

async function bundle(input: string, name?: string): Promise<string> {
  const build = await rolldown({ input, platform: "neutral", treeshake: true, logLevel: "silent" });
  try {
    const { output } = await build.generate({ format: "iife", minify: true, ...(name ? { name } : {}) });
    return output[0].code;
  } finally {
    await build.close();
  }
}
