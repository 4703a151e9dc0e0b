import type { Difference } from "./image.ts";

/** Sets of variables for which an image is kept, of one function: it has one, and two while a new one replaces it. */
const keptSets = 4;

const texts = new WeakMap<object, string>();

/** Variables as the guest gets them; empty when there are none. */
export function variablesText(variables: Readonly<Record<string, string>>): string {
  const known = texts.get(variables);
  if (known !== undefined) return known;
  const text = JSON.stringify(variables);
  const shown = text === "{}" ? "" : text;
  texts.set(variables, shown);
  return shown;
}

/** Functions' images with their variables in them: a request begins with what the first one of the same function has set up. */
export class VariableImages {
  readonly #images = new WeakMap<Difference, Map<string, Difference>>();

  /** The image with the variables, when it has been made. */
  find(image: Difference, variables: string): Difference | undefined {
    return variables === "" ? image : this.#images.get(image)?.get(variables);
  }

  add(image: Difference, variables: string, withVariables: Difference): void {
    const known = this.#images.get(image) ?? new Map<string, Difference>();
    this.#images.set(image, known);
    const [oldest] = known.keys();
    if (known.size >= keptSets && oldest !== undefined) known.delete(oldest);
    known.set(variables, withVariables);
  }
}
