import type { CallExpression } from "@swc/core";
import type { Check, FileContext } from "./rule.ts";
import type { SyntaxNode } from "./tree.ts";
import { leavesFolder, type Reference, textsOf } from "./value.ts";

/** How many paths a function of `node:fs`, Deno or Bun takes first, by its name without `Sync` and `l`. */
const PATHS: Record<string, number> = {
  ...Object.fromEntries(
    `access appendFile chmod chown createReadStream createWriteStream exists file glob lstat makeTempDir
     mkdir mkdtemp open openAsBlob opendir readDir readFile readTextFile readdir readlink realPath realpath
     remove rm rmdir stat truncate unlink unwatchFile utimes watch watchFile watchFs write writeFile writeTextFile create chdir`
      .split(/\s+/)
      .map((name) => [name, 1]),
  ),
  copyFile: 2,
  cp: 2,
  link: 2,
  rename: 2,
  symlink: 2,
};

/** Paths that lead out of the function's folder, as far as they are written down or can be worked out. */
export const fileAccess: Check = (context) => {
  const check = (node: SyntaxNode) => checkCall(node as unknown as CallExpression, context);
  return { CallExpression: check, NewExpression: check };
};

function checkCall(call: CallExpression, { flow, report }: FileContext): void {
  for (const { callee, args } of flow.invocations(call)) {
    if (callee.kind !== "reference") continue;
    const count = pathCount(callee);
    const isUrl = callee.path === "fetch" || callee.path === "Request";
    const outside = args
      .slice(0, isUrl ? 1 : count)
      .flatMap((operand) => textsOf(flow.operand(operand)))
      .find((path) => (!isUrl || /^file:/i.test(path)) && leavesFolder(path));
    if (outside === undefined) continue;
    report("file-access", call, `The path "${outside}" is outside of the function's folder`);
    return;
  }
}

function pathCount({ module, names }: Reference): number {
  const last = names.at(-1) ?? "";
  const isOfFiles =
    module === "fs" ||
    (module === undefined && names.length === 2 && /^(?:Deno|Bun|process)$/.test(names[0]!));
  const name = last.replace(/Sync$/, "");
  return isOfFiles && Object.hasOwn(PATHS, name) ? PATHS[name]! : 0;
}
