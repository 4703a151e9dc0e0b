import { type Identifier, type Module, parseSync } from "@swc/core";
import { propertyName, type SyntaxNode, walk } from "../analyze/tree.ts";
import { glueParameters } from "./glue-parameters.ts";

/** Code of the transpiler that is not what it should be. */
export class GlueError extends Error {
  readonly code = "glue_refused";
  constructor(message: string) {
    super(message);
    this.name = "GlueError";
  }
}

/** Globals that the code may use besides: they hold no power. */
const allowedGlobals = new Set([
  ...glueParameters,
  ..."undefined NaN Infinity Array ArrayBuffer BigInt Boolean DataView Error JSON Map Math Number Object Promise RangeError".split(
    " ",
  ),
  ..."Set String Symbol TextEncoder TypeError WeakMap WeakSet FinalizationRegistry isNaN queueMicrotask arguments".split(
    " ",
  ),
  ..."BigInt64Array BigUint64Array Float32Array Float64Array Int8Array Int16Array Int32Array Uint8Array Uint16Array Uint32Array".split(
    " ",
  ),
]);

/** Properties by which code gets from a value to what made it, and from there to everything. */
const forbiddenProperties = new Set([
  "constructor",
  "__proto__",
  "__defineGetter__",
  "__defineSetter__",
  "__lookupGetter__",
  "caller",
  "callee",
]);

/**
 * Makes the transpiler's module the body of a function that returns `instantiate`, after a look at everything in it: it may import nothing, reach
 * only the globals above, and go to no constructor. This is the second wall; the first is that no name of a component can end a string in the code.
 *
 * Where the code copies a guest's lists and bytes for the host, it is made to ask first (`$spend`, `$slice`): a few bytes of a guest can stand for
 * any number of copies. Where it keeps a guest's handles, it asks as well (`$made`, `$known`): it bounds their number by nothing, and takes handles that
 * there never were.
 *
 * @throws GlueError
 */
export function checkedGlue(code: string): string {
  const body = bounded(withoutModuleSyntax(code));
  let program: Module;
  try {
    program = parseSync(body, { syntax: "ecmascript", target: "esnext" });
  } catch (cause) {
    throw new GlueError(`the transpiler wrote what is no JavaScript: ${(cause as Error).message}`);
  }
  const globals = globalContext();
  walk(program, (node) => checkNode(node, globals));
  return `${body}\nreturn instantiate;\n`;
}

/** The parts of the transpiler's code that only a module may have, as it writes them. */
function withoutModuleSyntax(code: string): string {
  const replaced = (text: string, from: string, to: string): string => {
    if (text.split(from).length !== 2)
      throw new GlueError(`the transpiler's code should hold ${JSON.stringify(from)} once`);
    return text.replace(from, () => to);
  };
  let body = replaced(code, '"use components";', "");
  body = replaced(body, "export function instantiate(", "function instantiate(");
  body = replaced(body, "export const _util = {", "const _util = {");
  body = replaced(body, "const fetchCompile = url => fetch(url).then(WebAssembly.compileStreaming);", "");
  return replaced(
    body,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the transpiler's template
    "if (!getCoreModule) getCoreModule = (name) => fetchCompile(new URL(`./${name}`, import.meta.url));",
    "",
  );
}

/** Puts a question before each element of a list, each copy of bytes, and each handle that is made or dropped. */
function bounded(code: string): string {
  if (/\$(?:spend|slice|made|known)\b/.test(code))
    throw new GlueError("the transpiler's code uses words of ours");
  return code
    .replace(/for \((?:let|var) i = 0; i < \w+; i\+\+\) \{/g, "$& $spend(64);")
    .replace("function rscTableCreateOwn(table, rep) {", "$& $made(table);")
    .replace("function rscTableRemove(table, handle) {", "$& $known(table, handle);")
    .replace(/(\bmemory\d+\.buffer)\.slice\(/g, "$slice($1, ");
}

function checkNode(node: SyntaxNode, globals: number): void {
  switch (node.type) {
    case "Identifier": {
      const { value, ctxt } = node as unknown as Identifier & { ctxt?: number };
      if (ctxt === globals && !allowedGlobals.has(value))
        throw new GlueError(`the transpiler's code uses ${value}`);
      return;
    }
    case "MemberExpression": {
      const name = propertyName((node as unknown as { property: object }).property);
      if (name !== undefined && forbiddenProperties.has(name))
        throw new GlueError(`the transpiler's code uses .${name}`);
      return;
    }
    case "Import":
    case "MetaProperty":
    case "ImportDeclaration":
    case "ExportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ExportDefaultDeclaration":
    case "ExportDefaultExpression":
    case "WithStatement":
      throw new GlueError(`the transpiler's code holds a ${node.type}`);
  }
}

/** The number that swc gives to names that nothing declares. */
function globalContext(): number {
  const [statement] = parseSync("probe;", { syntax: "ecmascript", target: "esnext" }).body;
  return (statement as unknown as { expression: { ctxt: number } }).expression.ctxt;
}
