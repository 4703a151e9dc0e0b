import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

/** The guest library as one script, ready to be evaluated into the base image. */
export async function bundlePrelude(): Promise<string> {
  const input = fileURLToPath(new URL("../../runtime/guest/main.ts", import.meta.url));
  const build = await rolldown({ input, platform: "neutral", treeshake: true, logLevel: "silent" });
  try {
    const { output } = await build.generate({ format: "iife", minify: true });
    return output[0].code;
  } finally {
    await build.close();
  }
}
