import type { Analysis } from "../../compiler/types.ts";
import type { ModuleInput } from "../../compiler/wasm-module/build-module.ts";
import type { FunctionView } from "../admin/views.ts";
import type { AdminClient } from "./admin-client.ts";
import { prepareDeployment } from "./wiring.ts";

export interface Deployed {
  function: FunctionView;
  version: number;
  analysis: Analysis;
}

/** Deploys a WebAssembly file as it is. Throws `CliError`. */
export async function sendModule(client: AdminClient, name: string, input: ModuleInput): Promise<Deployed> {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  const assets = Object.entries(input.files ?? {}).map(([path, bytes]) => [path, base64(bytes)]);
  return client.call<Deployed>("POST", "/v1/functions", {
    name,
    module: base64(input.module),
    fileName: input.fileName,
    assets: Object.fromEntries(assets),
    config: input.config,
  });
}

/** Bundles what lies at `path` and deploys it. Throws `CliError`, or what the bundler throws. */
export async function sendDeployment(
  client: AdminClient,
  name: string,
  path: string,
  allowUnannotated: boolean,
): Promise<Deployed> {
  const { sources, bundle } = await prepareDeployment(path);
  const { entry, files } = sources;
  return client.call<Deployed>("POST", "/v1/functions", { name, files, entry, bundle, allowUnannotated });
}
