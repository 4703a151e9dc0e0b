import { type FunctionBody, i32, type ValueType } from "./module.ts";

/** The local variables that the pass adds to a function, each when it is first needed. */
export class LocalVariables {
  readonly #before: FunctionBody["locals"];
  readonly #first: number;
  readonly #added: ValueType[] = [];
  readonly #scratch = new Map<ValueType, number>();
  #lease: number | undefined;
  #portion: { turns: number; last: number } | undefined;

  /** @param parameters How many there are: they come first. */
  constructor(before: FunctionBody["locals"], parameters: number) {
    this.#before = before;
    this.#first = before.reduce((sum, [count]) => sum + count, parameters);
  }

  #add(type: ValueType): number {
    return this.#first + this.#added.push(type) - 1;
  }

  /** For values that are used at once, one of each type. */
  scratch(type: ValueType): number {
    const local = this.#scratch.get(type) ?? this.#add(type);
    this.#scratch.set(type, local);
    return local;
  }

  /** What is left of a lease. */
  lease(): number {
    this.#lease ??= this.#add(i32);
    return this.#lease;
  }

  /** For counted loops: the turns of a portion, and the counter's value after them. */
  portion(): { turns: number; last: number } {
    this.#portion ??= { turns: this.#add(i32), last: this.#add(i32) };
    return this.#portion;
  }

  declaration(): FunctionBody["locals"] {
    return [...this.#before, ...this.#added.map((type): [number, ValueType] => [1, type])];
  }
}
