import type { Analysis } from "../../compiler/types.ts";
import type { ModuleInput } from "../../compiler/wasm-module/build-module.ts";
import type { FunctionView } from "../admin/views.ts";
import type { AdminClient } from "./admin-client.ts";
import { bytes } from "./table.ts";
import { prepareDeployment } from "./wiring.ts";

export interface Deployed {
  function: FunctionView;
  version: number;
  /** False when the same content had been deployed before. */
  created: boolean;
  analysis: Analysis;
}

export interface SendOptions {
  /** Default: false. */
  withoutTraffic?: boolean;
  /** Told what is going on. */
  progress?(text: string): void;
}

/** Deploys a WebAssembly file as it is. Throws `CliError`. */
export async function sendModule(
  client: AdminClient,
  name: string,
  input: ModuleInput,
  { withoutTraffic = false, progress = () => {} }: SendOptions = {},
): Promise<Deployed> {
  const base64 = (data: Uint8Array) => Buffer.from(data).toString("base64");
  const assets = Object.entries(input.files ?? {}).map(([path, data]) => [path, base64(data)]);
  progress(`Sending ${bytes(input.module.length)} to ${client.url}, where it is checked and built …`);
  return client.call<Deployed>("POST", "/v1/functions", {
    name,
    module: base64(input.module),
    fileName: input.fileName,
    assets: Object.fromEntries(assets),
    config: input.config,
    withoutTraffic,
  });
}

/** Bundles what lies at `path` and deploys it. Throws `CliError`, or what the bundler throws. */
export async function sendDeployment(
  client: AdminClient,
  name: string,
  path: string,
  {
    allowUnannotated = false,
    withoutTraffic = false,
    progress = () => {},
  }: SendOptions & { allowUnannotated?: boolean } = {},
): Promise<Deployed> {
  progress(`Bundling ${path} …`);
  const started = performance.now();
  const { sources, bundle } = await prepareDeployment(path);
  const { entry, files } = sources;
  const tookMs = Math.round(performance.now() - started);
  const count = Object.keys(files).length;
  progress(
    `Bundled ${count} ${count === 1 ? "file" : "files"} into ${bytes(bundle.code.length)} in ${tookMs} ms`,
  );
  progress(`Sending to ${client.url}, where it is analysed and built …`);
  const input = { name, files, entry, bundle, allowUnannotated, withoutTraffic };
  return client.call<Deployed>("POST", "/v1/functions", input);
}
