import { URLPattern as Polyfill } from "urlpattern-polyfill/urlpattern";

type Init = ConstructorParameters<typeof Polyfill>[0];
type Input = Parameters<Polyfill["exec"]>[0];

/** Characters by which a pattern is more than text. */
const syntax = /[(){}*:?+\\]/;

/** Text as the URL parser takes a part of an address that is set: without tabs and line breaks, up to what ends the part. */
const ends = {
  hostname: (text: string) => text.replace(/[\t\n\r]|[#/].*$/gs, ""),
  port: (text: string) => text.replace(/[\t\n\r]/g, "").replace(/^(\d+)\D.*$/s, "$1"),
};

/** `urlpattern-polyfill` with what the standard has said since: texts are well-formed, host names and ports are parsed as a URL's are. */
function wellFormed<T extends Init | Input>(input: T, isPattern: boolean): T {
  if (typeof input === "string") return input.toWellFormed() as T;
  if (typeof input !== "object" || input === null) return input;
  const parts: Record<string, unknown> = { ...input };
  for (const [name, part] of Object.entries(parts))
    if (typeof part === "string") parts[name] = part.toWellFormed();
  for (const [name, parse] of Object.entries(ends)) {
    const part = parts[name];
    if (typeof part === "string" && !(isPattern && syntax.test(part))) parts[name] = parse(part);
  }
  return parts as T;
}

export class URLPattern extends Polyfill {
  constructor(init: Init = {}, ...rest: unknown[]) {
    super(wellFormed(init, true), ...(rest as []));
  }
  override test(input: Input = {}, base?: string): boolean {
    return base === undefined
      ? super.test(wellFormed(input, false))
      : super.test(wellFormed(input, false), base);
  }
  override exec(input: Input = {}, base?: string): ReturnType<Polyfill["exec"]> {
    const given = wellFormed(input, false);
    const result = base === undefined ? super.exec(given) : super.exec(given, base);
    if (result) result.inputs[0] = input as never;
    return result;
  }
}
