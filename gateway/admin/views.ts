import type { FunctionConfig } from "../../compiler/types.ts";
import type { DeployedFunction } from "../catalog.ts";
import { PREVIEW_HASH_DIGITS } from "../edge/route.ts";
import type { Traffic } from "../traffic.ts";

/** A function as the admin API shows it. */
export interface FunctionView {
  id: string;
  name: string;
  /** The version with the largest share of the traffic. */
  version: number;
  /** Counts every change: deployments, traffic, secrets, access. */
  revision: number;
  /** Percent by version. */
  traffic: Record<string, number>;
  /** How clients stay with a version; null: each request is drawn anew. */
  sticky: string | null;
  /** Whether requests at the edge must show a key. */
  access: "public" | "key";
  /** Path on the edge. */
  path: string;
  /** Paths of single versions on the edge, with traffic or without: the newest ones. */
  previews: Record<string, string>;
  /** In force for the live version: the server's limits lowered by the function's own. */
  limits: { timeoutMs: number; memoryMb: number; concurrency: number; fuel: number | null };
  config: FunctionConfig;
  createdAt: string;
  updatedAt: string;
  activeExecutions: number;
}

export function functionView(deployed: DeployedFunction, activeExecutions: number): FunctionView {
  const { timeoutMs, memoryMb, concurrency, fuel } = deployed.limits;
  const { name, traffic, versions } = deployed;
  return {
    id: deployed.id,
    name,
    version: deployed.liveVersion,
    revision: deployed.revision,
    traffic: percentages(traffic),
    sticky: traffic.sticky ?? null,
    access: deployed.keys === null ? "public" : "key",
    path: `/f/${name}`,
    previews: Object.fromEntries(
      versions.map(({ version, artifactHash }) => [version, previewPath(name, artifactHash)]),
    ),
    limits: { timeoutMs, memoryMb, concurrency, fuel },
    config: deployed.config,
    createdAt: deployed.createdAt.toISOString(),
    updatedAt: deployed.updatedAt.toISOString(),
    activeExecutions,
  };
}

const percentages = ({ shares }: Traffic) =>
  Object.fromEntries(shares.map(({ version, percent }) => [version, percent]));

const previewPath = (name: string, hash: string) => `/f/${name}@${hash.slice(0, PREVIEW_HASH_DIGITS)}`;
