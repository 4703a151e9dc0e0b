import type { FunctionConfig } from "../../../compiler/types.ts";
import type { DeployedFunction } from "../../catalog.ts";
import type { AdminDeps } from "../app.ts";
import { authorize } from "../authenticate.ts";
import { deploymentForm } from "../deploy-form.ts";
import {
  changedDocument,
  deletedDocument,
  deploymentDocument,
  functionChangeDocument,
  functionDocument,
  functionsDocument,
  versionsDocument,
} from "../documents.ts";
import { accessSchema, deploySchema, rollbackSchema, trafficSchema } from "../input.ts";
import { operation } from "../operation.ts";
import { type FunctionView, functionView } from "../views.ts";

async function view({ fleet }: AdminDeps, deployed: DeployedFunction): Promise<FunctionView> {
  const { active } = await fleet.stats();
  return functionView(deployed, active[deployed.name] ?? 0);
}

const missing = ["function_not_found"] as const;

export const functionOperations = [
  operation({
    method: "post",
    path: "/v1/functions",
    scope: "deploy",
    restrict: "handler",
    summary:
      "Analyse, build, store and make live; 200 instead of 201 when the same content had been deployed before",
    body: deploySchema,
    form: deploymentForm,
    answer: { status: 201, schema: deploymentDocument },
    errors: ["analysis_failed", "compile_failed", "payload_too_large"],
    async handle({ c, deps, body }) {
      authorize(c.get("principal"), "deploy", body.name);
      c.set("functionName", body.name);
      const request = { ...body, config: body.config as FunctionConfig };
      const { deployed, version, created, analysis } = await deps.deployer.deploy(request, c.get("by"));
      const { name } = deployed;
      deps.log.info({ requestId: c.get("requestId"), function: name, version, created }, "deployed");
      return c.json(
        { function: await view(deps, deployed), version, created, analysis },
        created ? 201 : 200,
      );
    },
  }),
  operation({
    method: "get",
    path: "/v1/functions",
    scope: "read",
    restrict: "handler",
    summary: "All functions; with a key that is restricted to one function, that one",
    answer: { status: 200, schema: functionsDocument },
    errors: [],
    async handle({ c, deps: { catalog, fleet } }) {
      const principal = c.get("principal");
      authorize(principal, "read", principal.functionName);
      const { active } = await fleet.stats();
      const functions = catalog
        .list()
        .filter(({ name }) => [null, name].includes(principal.functionName))
        .map((deployed) => functionView(deployed, active[deployed.name] ?? 0));
      return c.json({ functions });
    },
  }),
  operation({
    method: "get",
    path: "/v1/functions/:name",
    scope: "read",
    summary: "One function",
    answer: { status: 200, schema: functionDocument },
    errors: [...missing],
    async handle({ c, deps, param }) {
      return c.json(await view(deps, deps.catalog.get(param("name"))));
    },
  }),
  operation({
    method: "delete",
    path: "/v1/functions/:name",
    scope: "deploy",
    summary: "Delete a function with its versions and secrets, and wait for its executions",
    answer: { status: 200, schema: deletedDocument },
    errors: [...missing],
    async handle({ c, deps, param }) {
      const name = param("name");
      const stillRunning = await deps.deployer.remove(name, c.get("by"));
      deps.log.info({ requestId: c.get("requestId"), function: name, stillRunning }, "deleted");
      return c.json({ name, deleted: true, stillRunning });
    },
  }),
  operation({
    method: "get",
    path: "/v1/functions/:name/versions",
    scope: "read",
    summary: "All versions, the newest first",
    answer: { status: 200, schema: versionsDocument },
    errors: [...missing],
    async handle({ c, deps: { catalog, store }, param }) {
      const { id } = catalog.get(param("name"));
      return c.json({ versions: await store.functions.versions(id) });
    },
  }),
  operation({
    method: "post",
    path: "/v1/functions/:name/rollback",
    scope: "deploy",
    summary: "Send all traffic to an earlier version",
    body: rollbackSchema,
    answer: { status: 200, schema: changedDocument },
    errors: [...missing, "version_not_found"],
    async handle({ c, deps, body: { version }, param }) {
      const deployed = await deps.deployer.rollback(param("name"), version, c.get("by"));
      const { name } = deployed;
      deps.log.info({ requestId: c.get("requestId"), function: name, version }, "rolled back");
      return c.json({ function: await view(deps, deployed), version });
    },
  }),
  operation({
    method: "put",
    path: "/v1/functions/:name/traffic",
    scope: "deploy",
    summary: "Share the traffic out among versions, in percent",
    body: trafficSchema,
    answer: { status: 200, schema: functionChangeDocument },
    errors: [...missing, "version_not_found"],
    async handle({ c, deps, body: traffic, param }) {
      const deployed = await deps.deployer.setTraffic(param("name"), traffic, c.get("by"));
      const { name } = deployed;
      deps.log.info({ requestId: c.get("requestId"), function: name, traffic }, "traffic shared out");
      return c.json({ function: await view(deps, deployed) });
    },
  }),
  operation({
    method: "put",
    path: "/v1/functions/:name/access",
    scope: "deploy",
    summary: "Whether requests at the edge must show a key (header x-function-key) with the scope invoke",
    body: accessSchema,
    answer: { status: 200, schema: functionChangeDocument },
    errors: [...missing],
    async handle({ c, deps, body: { access }, param }) {
      const name = param("name");
      const deployed = await deps.deployer.change(name, () =>
        deps.store.functions.setKeyRequired(name, access === "key"),
      );
      deps.log.info({ requestId: c.get("requestId"), function: name, access }, "access changed");
      return c.json({ function: await view(deps, deployed) });
    },
  }),
];
