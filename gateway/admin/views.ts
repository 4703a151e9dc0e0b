import type { FunctionConfig } from "../../compiler/types.ts";
import type { DeployedFunction } from "../catalog.ts";

/** A function as the admin API shows it. */
export interface FunctionView {
  id: string;
  name: string;
  /** The live one. */
  version: number;
  /** Path on the edge. */
  path: string;
  /** In force: the server's limits lowered by the function's own. */
  limits: { timeoutMs: number; memoryMb: number; concurrency: number; fuel: number | null };
  config: FunctionConfig;
  createdAt: string;
  updatedAt: string;
  activeExecutions: number;
}

export function functionView(deployed: DeployedFunction, activeExecutions: number): FunctionView {
  const { timeoutMs, memoryMb, concurrency, fuel } = deployed.limits;
  return {
    id: deployed.id,
    name: deployed.name,
    version: deployed.liveVersion,
    path: `/f/${deployed.name}`,
    limits: { timeoutMs, memoryMb, concurrency, fuel },
    config: deployed.config,
    createdAt: deployed.createdAt.toISOString(),
    updatedAt: deployed.updatedAt.toISOString(),
    activeExecutions,
  };
}
