import type { Inspection } from "./inspection-options.ts";

/** Classes of the language and the platform, whose prototypes hold nothing of the user's. */
const builtIns = new Set(
  Object.getOwnPropertyNames(globalThis).filter((name) => /^[A-Z][a-zA-Z0-9]+$/.test(name)),
);

export const isBuiltIn = (name: string): boolean => builtIns.has(name);

const isInstance = (value: object, Class: unknown): boolean => {
  try {
    return value instanceof (Class as { new (): object });
  } catch {
    return false;
  }
};

/** Name of the class of an object, also one whose prototype was replaced; null where there is no prototype. `found` gets the prototype. */
export function classOf(value: object, found?: (prototype: object) => void): string | null {
  const own = Object.getPrototypeOf(value) as object | null;
  for (let at: object | null = value; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const made = Object.getOwnPropertyDescriptor(at, "constructor")?.value as { name?: unknown } | undefined;
    if (typeof made !== "function" || !made.name || !isInstance(value, made)) continue;
    found?.(at);
    return String(made.name);
  }
  if (own === null) return null;
  const beneath = classOf(own);
  return `${typeof value === "function" ? "Function" : "Object"} <${beneath ?? "[Object: null prototype] {}"}>`;
}

/** What stands before the braces: class, size and tag. */
export function prefixOf(name: string | null, tag: string, fallback: string, size = ""): string {
  if (name === null)
    return `[${fallback}${size}: null prototype] ${tag !== "" && fallback !== tag ? `[${tag}] ` : ""}`;
  if (tag === "") return `${name}${size} `;
  const dot = tag.lastIndexOf(".");
  return name === (dot >= 1 ? tag.slice(dot + 1) : tag) ? `${tag}${size} ` : `${name}${size} [${tag}] `;
}

/** The tag of an object, unless it is a property that is shown anyway. */
export function tagOf(value: object, { showHidden }: Inspection): string {
  let tag: unknown;
  try {
    tag = (value as Record<symbol, unknown>)[Symbol.toStringTag];
  } catch {
    return "";
  }
  if (typeof tag !== "string" || tag === "") return "";
  const isShown = showHidden
    ? Object.hasOwn(value, Symbol.toStringTag)
    : Object.prototype.propertyIsEnumerable.call(value, Symbol.toStringTag);
  return isShown ? "" : tag;
}
