import type { Module } from "../../compiler/wasm/index.ts";
import { access, typeOfExport } from "./access.ts";
import { type Built, build, nameIn, type Ready } from "./build.ts";
import { instantiateMetered, spectest } from "./host.ts";
import { headOf, isList, type List, type Node, splitScript } from "./sexpr.ts";
import { Literals, show } from "./values.ts";

/** What became of a command: compared with this outcome and that, or not compared for a reason. */
export type Verdict = { line: number; command: string } & (
  | { aside: string }
  | { plain: string; metered: string; expected: boolean }
);

/** One world of instances: what a script does in it does not show in the other. */
interface World {
  metered: boolean;
  printed: string[];
  spectest: WebAssembly.ModuleImports;
}

/** A module's two instances, or why there are none. */
type Live = { aside: string } | { read: Module; exports: WebAssembly.Exports[] };

/** A command's outcomes in the two worlds. */
type Outcome = { aside: string } | { outcomes: string[] };

const moduleField = /^(func|type|memory|table|global|import|export|start|elem|data|rec|tag)$/;

export async function runScript(text: string): Promise<Verdict[]> {
  const commands = splitScript(text).filter(isList);
  // a script may be the fields of one module
  if (moduleField.test(headOf(commands[0]))) return runScript(`(module ${text}\n)`);
  const script = new Script(text, await Literals.of(commands));
  const verdicts: Verdict[] = [];
  for (const command of commands) verdicts.push(await script.verdict(command));
  return verdicts;
}

class Script {
  readonly #text: string;
  readonly #literals: Literals;
  readonly #worlds: World[];
  readonly #named = new Map<string, Live>();
  readonly #registered = new Map<string, Live>();
  readonly #definitions = new Map<string, Built>();
  #current: Live = { aside: "no module" };
  #definition: Built = { aside: "no module" };

  constructor(text: string, literals: Literals) {
    this.#text = text;
    this.#literals = literals;
    this.#worlds = [false, true].map((metered) => {
      const printed: string[] = [];
      return { metered, printed, spectest: spectest((line) => printed.push(line)) };
    });
  }

  async verdict(command: List): Promise<Verdict> {
    const head = headOf(command);
    const line = this.#text.slice(0, command.start).split("\n").length;
    const place = { line, command: head };
    const outcome = await this.#run(head, command);
    if ("aside" in outcome) return { ...place, aside: outcome.aside };
    const [plain, metered] = outcome.outcomes as [string, string];
    return { ...place, plain, metered, expected: this.#isExpected(head, command, plain) };
  }

  async #run(head: string, command: List): Promise<Outcome> {
    const first = command.items[1];
    switch (head) {
      case "module":
        return this.#module(command);
      case "register":
        this.#registered.set(stringOf(first), this.#live(nameIn(command.items)));
        return { outcomes: ["registered", "registered"] };
      case "invoke":
      case "get":
        return this.#action(command, []);
      case "assert_invalid":
      case "assert_malformed":
      case "assert_invalid_custom":
      case "assert_malformed_custom": {
        const built = await build(first as List, this.#text);
        if ("aside" in built) return built;
        return "plain" in built ? { outcomes: ["accepted", "accepted"] } : outcomeOf(built);
      }
      default: {
        if (!head.startsWith("assert_")) throw new Error(`a command of an unknown form: ${head}`);
        if (headOf(first) === "module") {
          const built = await build(first as List, this.#text);
          return "plain" in built ? this.#instantiate(built)[0] : "aside" in built ? built : outcomeOf(built);
        }
        return this.#action(first as List, command.items.slice(2).filter(isList));
      }
    }
  }

  async #module(command: List): Promise<Outcome> {
    const { items } = command;
    if (items[1] === "instance") {
      const [instance, definition] = items.slice(2) as string[];
      const built = (definition && this.#definitions.get(definition)) || this.#definition;
      return this.#start(built, instance);
    }
    const built = await build(command, this.#text);
    const name = nameIn(items.slice(1, 3));
    if (items[1] !== "definition") return this.#start(built, name);
    this.#definition = built;
    if (name) this.#definitions.set(name, built);
    if ("aside" in built) return built;
    return "plain" in built ? { outcomes: ["compiled", "compiled"] } : outcomeOf(built);
  }

  #start(built: Built, name: string | undefined): Outcome {
    const [outcome, live] = "plain" in built ? this.#instantiate(built) : notBuilt(built);
    this.#current = live;
    if (name) this.#named.set(name, live);
    return outcome;
  }

  #instantiate({ plain, metered, read }: Ready): [Outcome, Live] {
    for (const { module } of read.imports) {
      const from = this.#registered.get(module);
      if (from && "aside" in from) return [from, from];
    }
    const exports: WebAssembly.Exports[] = [];
    const outcomes = this.#worlds.map((world, i) =>
      attempt(world, () => {
        const imports: WebAssembly.Imports = { spectest: world.spectest };
        for (const [module, live] of this.#registered)
          if ("exports" in live) imports[module] = live.exports[i] as WebAssembly.ModuleImports;
        exports[i] = world.metered
          ? instantiateMetered(metered, read, imports)
          : new WebAssembly.Instance(plain, imports).exports;
        return "instantiated";
      }),
    );
    const complete = exports[0] && exports[1];
    return [{ outcomes }, complete ? { read, exports } : { aside: "of a module without an instance" }];
  }

  #live(name: string | undefined): Live {
    if (name === undefined) return this.#current;
    return this.#named.get(name) ?? { aside: `no module ${name}` };
  }

  /** `invoke` and `get`. */
  #action({ items }: List, expected: List[]): Outcome {
    const live = this.#live(typeof items[1] === "string" ? items[1] : undefined);
    if ("aside" in live) return live;
    const named = items.findIndex((item) => item instanceof Uint8Array);
    const name = stringOf(items[named]);
    const type = typeOfExport(live.read, name);
    if (type === undefined) return { aside: `no export ${name}` };
    const args = items.slice(named + 1).map((arg) => this.#literals.value(arg as List));
    const outcomes = this.#worlds.map((world, i) =>
      attempt(world, () =>
        access(live.exports[i]![name] as object, type, args)
          .map((value, at) => show(value, expected[at] && alternatives(expected[at])[0]))
          .join(", "),
      ),
    );
    return { outcomes };
  }

  /** Whether an outcome is what the script says. */
  #isExpected(head: string, { items }: List, outcome: string): boolean {
    const [what] = outcome.split("\n");
    switch (head) {
      case "assert_return": {
        const expected = items.slice(2).filter(isList).map(alternatives);
        const values = what === "" ? [] : what!.split(", ");
        return (
          values.length === expected.length &&
          values.every((value, i) => expected[i]!.some((one) => this.#literals.expected(one) === value))
        );
      }
      case "assert_trap":
        return outcome.startsWith("trap");
      case "assert_exhaustion":
        return outcome.startsWith("exhausted");
      case "assert_exception":
        return outcome.startsWith("exception");
      case "assert_unlinkable":
        return outcome.startsWith("LinkError");
      case "assert_invalid":
      case "assert_malformed":
        return outcome === "refused";
      default:
        return !/^(trap|exhausted|exception|\w*Error|refused)/.test(outcome);
    }
  }
}

/** The values that are allowed where there are several, in `(either …)`. */
function alternatives(node: List): List[] {
  return headOf(node) === "either" ? node.items.filter(isList) : [node];
}

function notBuilt(built: Exclude<Built, Ready>): [Outcome, Live] {
  if ("aside" in built) return [built, built];
  if ("different" in built) return [outcomeOf(built), { aside: "of a module without an instance" }];
  const aside = "not in this engine";
  return [{ aside }, { aside }];
}

function outcomeOf(built: { refused: string } | { different: string }): Outcome {
  return { outcomes: "refused" in built ? ["refused", "refused"] : ["", built.different] };
}

/** An outcome as text: what was returned or thrown, then what was printed. */
function attempt(world: World, action: () => string): string {
  world.printed.length = 0;
  let outcome: string;
  try {
    outcome = action();
  } catch (error) {
    outcome = describeThrown(error);
  }
  return [outcome, ...world.printed].join("\n");
}

function describeThrown(error: unknown): string {
  if (error instanceof WebAssembly.RuntimeError) return `trap: ${error.message}`;
  if (error instanceof WebAssembly.Exception) return "exception";
  if (!(error instanceof Error)) return `thrown: ${error}`;
  if (error instanceof RangeError && error.message.includes("call stack")) return "exhausted";
  return `${error.name}: ${error.message}`;
}

function stringOf(node: Node | undefined): string {
  return Buffer.from(node as Uint8Array).toString("utf8");
}
