import { RolldownMagicString } from "rolldown";
import { parseAst } from "rolldown/parseAst";

/** As the parser gives it: ESTree, with positions in the text. */
interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

interface AsyncFunction {
  node: Node;
  /** It awaits by itself, not only in functions inside of it. */
  awaits: boolean;
  loops: boolean;
}

const names = {
  /** The object whose `current` is the context, see `runtime/guest/node/async_context.ts`. */
  state: "$thimbleContext",
  back: "$thimbleBack",
  through: "$thimbleThrough",
  /** Of a function: the context at the await that it is in. */
  at: "$thimbleAt",
  /** Of a function: the context that it began in. */
  first: "$thimbleFirst",
  /** Of a loop: the context that it began in. */
  loop: "$thimbleLoop",
} as const;

const { state, back, through, at, first, loop } = names;

const prologue =
  `const ${state}=globalThis[Symbol.for("thimble.modules")]["thimble:context"]??={current:new Map()},` +
  `${back}=(value,context)=>{${state}.current=context;return value},` +
  `${through}=value=>${state}.through===undefined?value:${state}.through(value);`;

/**
 * Makes functions keep their asynchronous context at each `await`: the engine has no hooks for that. `await x` becomes an expression that remembers the
 * context once `x` is there and sets it again after; `catch`, `finally` and the bodies of `for await` set it too. Functions stay what they are; only
 * characters are added, and no lines.
 */
export function keepContextAtAwaits(code: string): { code: string; map: string } {
  const edits: { position: number; text: string; after: boolean }[] = [];
  const before = (position: number, text: string) => edits.push({ position, text, after: false });
  const behind = (position: number, text: string) => edits.push({ position, text, after: true });

  const visit = (node: Node, owner: AsyncFunction | null): void => {
    const inner = isFunction(node) ? (node.async ? { node, awaits: false, loops: false } : null) : owner;
    if (owner && node.type === "AwaitExpression") {
      owner.awaits = true;
      before(node.start, `${back}(`);
      before((node.argument as Node).start, `${through}(`);
      // the argument may stand in parentheses, which end with the expression
      behind(node.end, `,${at}=${state}.current),${at},${at}=void 0)`);
    }
    const loops = owner !== null && node.type === "ForOfStatement" && node.await === true;
    if (loops) owner.awaits = owner.loops = true;
    if (loops && !node.labelled) before(node.start, `{const ${loop}=${state}.current;`);
    if (loops) enterLoop(node.body as Node);
    if (owner && node.type === "LabeledStatement") passLabel(node);
    for (const child of children(node)) visit(child, inner);
    if (loops && !node.labelled) behind(node.end, `${state}.current=${loop};}`);
    if (owner && node.type === "TryStatement") enterHandlers(node, owner);
    if (inner && inner !== owner && inner.awaits) declare(inner);
  };

  const enterLoop = (body: Node): void => {
    const set = `${state}.current=${loop};`;
    if (body.type === "BlockStatement") before(body.start + 1, set);
    else {
      before(body.start, `{${set}`);
      behind(body.end, "}");
    }
  };
  /** What goes around a loop goes around its labels. */
  const passLabel = (label: Node): void => {
    const body = label.body as Node;
    if (!label.labelled && innermost(body).type === "ForOfStatement" && innermost(body).await) {
      before(label.start, `{const ${loop}=${state}.current;`);
      behind(label.end, `${state}.current=${loop};}`);
    }
    body.labelled = true;
  };
  const enterHandlers = ({ handler, finalizer }: Node, owner: AsyncFunction): void => {
    if (!owner.awaits) return;
    const context = owner.loops ? `${at}??${first}` : at;
    const set = `if(${context})${state}.current=${context};${at}=void 0;`;
    for (const block of [(handler as Node | null)?.body, finalizer] as (Node | null | undefined)[])
      if (block) before(block.start + 1, set);
  };
  const declare = ({ node, loops }: AsyncFunction): void => {
    const variables = `let ${at}${loops ? `,${first}=${state}.current` : ""};`;
    const body = node.body as Node;
    if (body.type === "BlockStatement") before(bodyStart(body), variables);
    else {
      before(arrowEnd(code, node), `{${variables}return(`);
      behind(node.end, ")}");
    }
  };

  visit(parseAst(code) as unknown as Node, null);
  const result = new RolldownMagicString(code);
  // at one place, what ends comes before what begins; both in the order in which they were found, from the inside out and from the outside in
  for (const { position, text } of edits.filter(({ after }) => after)) result.appendLeft(position, text);
  const begins = edits.filter(({ after }) => !after);
  for (const { position, text } of begins) result.prependRight(position, text);
  result.prepend(prologue);
  return { code: result.toString(), map: result.generateMap({ hires: true }).toString() };
}

const isFunction = ({ type }: Node): boolean =>
  type === "FunctionDeclaration" || type === "FunctionExpression" || type === "ArrowFunctionExpression";

const innermost = (statement: Node): Node =>
  statement.type === "LabeledStatement" ? innermost(statement.body as Node) : statement;

/** Behind the directives of a function's body. */
function bodyStart(body: Node): number {
  const directives = (body.body as Node[]).filter(({ directive }) => typeof directive === "string");
  return directives.at(-1)?.end ?? body.start + 1;
}

/** Behind the arrow of an arrow function. */
function arrowEnd(code: string, { start, params }: Node): number {
  const last = (params as Node[]).at(-1);
  return code.indexOf("=>", last?.end ?? start) + 2;
}

function* children(node: Node): Generator<Node> {
  for (const key in node) {
    const value = node[key];
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each === "object" && each !== null && typeof (each as Node).type === "string")
        yield each as Node;
    }
  }
}
