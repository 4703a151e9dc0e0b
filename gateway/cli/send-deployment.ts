import type { Analysis } from "../../compiler/types.ts";
import type { FunctionView } from "../admin/views.ts";
import type { AdminClient } from "./admin-client.ts";
import { prepareDeployment } from "./wiring.ts";

export interface Deployed {
  function: FunctionView;
  version: number;
  analysis: Analysis;
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
