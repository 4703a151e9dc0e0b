import type { FunctionView } from "../../admin/views.ts";
import { command, contextOf } from "../command.ts";
import { table } from "../table.ts";

/** `list`: what is deployed. */
export const list = command("list", "list the functions").action(async (options) => {
  const context = contextOf(options);
  const document = await context.client.call<{ functions: FunctionView[] }>("GET", "/v1/functions");
  context.print(document, () => {
    if (document.functions.length === 0) return "No functions yet. `thimble deploy <name> <path>` makes one.";
    const rows = document.functions.map((f) => [
      f.name,
      String(f.version),
      `${f.limits.timeoutMs} ms`,
      `${f.limits.memoryMb} MB`,
      f.updatedAt,
    ]);
    return table([["NAME", "VERSION", "TIME-OUT", "MEMORY", "UPDATED"], ...rows]);
  });
});
