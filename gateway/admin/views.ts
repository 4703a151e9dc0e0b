import type { FunctionConfig } from "../../compiler/types.ts";
import type { LiveFunction } from "../live-function.ts";

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

export function functionView(live: LiveFunction, activeExecutions: number): FunctionView {
  const { timeoutMs, memoryMb, concurrency, fuel } = live.limits;
  return {
    id: live.id,
    name: live.name,
    version: live.version,
    path: `/f/${live.name}`,
    limits: { timeoutMs, memoryMb, concurrency, fuel },
    config: live.config,
    createdAt: live.createdAt.toISOString(),
    updatedAt: live.updatedAt.toISOString(),
    activeExecutions,
  };
}
