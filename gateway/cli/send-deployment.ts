import type { Analysis } from "../../compiler/types.ts";
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

export interface DeployOptions {
  allowUnannotated?: boolean;
  withoutTraffic?: boolean;
  /** Told what is going on. */
  progress?(text: string): void;
}

/** Bundles what lies at `path` and deploys it. Throws `CliError`, or what the bundler throws. */
export async function sendDeployment(
  client: AdminClient,
  name: string,
  path: string,
  { allowUnannotated = false, withoutTraffic = false, progress = () => {} }: DeployOptions = {},
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
