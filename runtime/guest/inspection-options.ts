/** What Node's `util.inspect` takes. */
export interface InspectOptions {
  showHidden?: boolean;
  /** Levels that are shown; null is all. */
  depth?: number | null;
  colors?: boolean;
  customInspect?: boolean;
  showProxy?: boolean;
  /** Entries of arrays, maps and sets that are shown; null is all. */
  maxArrayLength?: number | null;
  maxStringLength?: number | null;
  /** Columns of a line. */
  breakLength?: number;
  /** Levels that may share a line; true is as few lines as fit, false is a line for each. */
  compact?: boolean | number;
  sorted?: boolean | ((a: string, b: string) => number);
  getters?: boolean | "get" | "set";
  numericSeparator?: boolean;
}

export type Stylize = (text: string, style: string) => string;

/** One inspection under way. */
export interface Inspection extends Required<InspectOptions> {
  stylize: Stylize;
  maxArrayLength: number;
  maxStringLength: number;
  /** Objects that are being shown, outermost first. */
  seen: unknown[];
  /** Numbers of those that contain themselves. */
  circular: Map<unknown, number> | null;
  indentation: number;
  /** Level of what was last begun. */
  currentDepth: number;
  /** Options that only objects which show themselves know. */
  userOptions: object | undefined;
}

export const defaultOptions: Required<InspectOptions> = Object.seal({
  showHidden: false,
  depth: 2,
  colors: false,
  customInspect: true,
  showProxy: false,
  maxArrayLength: 100,
  maxStringLength: 10_000,
  breakLength: 80,
  compact: 3,
  sorted: false,
  getters: false,
  numericSeparator: false,
});

const [foreground, background] = [39, 49];
const hues = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const capital = (name: string) => name[0]!.toUpperCase() + name.slice(1);

/** Codes that begin and end a colour (https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters). */
export const colors: Record<string, [begin: number, end: number]> = Object.assign(Object.create(null), {
  reset: [0, 0],
  bold: [1, 22],
  dim: [2, 22],
  italic: [3, 23],
  underline: [4, 24],
  blink: [5, 25],
  inverse: [7, 27],
  hidden: [8, 28],
  strikethrough: [9, 29],
  doubleunderline: [21, 24],
  framed: [51, 54],
  overlined: [53, 55],
  gray: [90, foreground],
  bgGray: [100, background],
});
hues.forEach((hue, i) => {
  colors[hue] = [30 + i, foreground];
  colors[`bg${capital(hue)}`] = [40 + i, background];
  if (i > 0) {
    colors[`${hue}Bright`] = [90 + i, foreground];
    colors[`bg${capital(hue)}Bright`] = [100 + i, background];
  }
});
const aliases = {
  gray: ["grey", "blackBright"],
  bgGray: ["bgGrey", "bgBlackBright"],
  dim: ["faint"],
  strikethrough: ["crossedout", "strikeThrough", "crossedOut"],
  hidden: ["conceal"],
  inverse: ["swapColors", "swapcolors"],
  doubleunderline: ["doubleUnderline"],
};
for (const [name, others] of Object.entries(aliases))
  for (const alias of others) Object.defineProperty(colors, alias, { value: colors[name], writable: true });

export const styles: Record<string, string | ((text: string) => string)> = Object.assign(
  Object.create(null),
  {
    special: "cyan",
    number: "yellow",
    bigint: "yellow",
    boolean: "yellow",
    undefined: "grey",
    null: "bold",
    string: "green",
    symbol: "green",
    date: "magenta",
    regexp: "red",
    module: "underline",
  },
);

const coloured: Stylize = (text, name) => {
  const style = styles[name];
  if (typeof style === "function") return style(text);
  const color = style === undefined ? undefined : colors[style];
  return color ? `\u001b[${color[0]}m${text}\u001b[${color[1]}m` : text;
};
export const plain: Stylize = (text) => text;

export function startInspection(options: (InspectOptions & { stylize?: Stylize }) | undefined): Inspection {
  const inspection: Inspection = {
    ...(defaultOptions as Inspection),
    stylize: plain,
    seen: [],
    circular: null,
    indentation: 0,
    currentDepth: 0,
    userOptions: undefined,
  };
  if (options !== undefined && options !== null) {
    for (const [name, value] of Object.entries(options)) {
      if (Object.hasOwn(defaultOptions, name) || name === "stylize")
        Object.assign(inspection, { [name]: value });
      else inspection.userOptions = options;
    }
    if (options.depth === undefined) inspection.depth = defaultOptions.depth;
  }
  if (inspection.colors) inspection.stylize = coloured;
  inspection.maxArrayLength ??= Number.POSITIVE_INFINITY;
  inspection.maxStringLength ??= Number.POSITIVE_INFINITY;
  return inspection;
}

/** Whether what is `level` levels in is beyond what is shown. */
export const isTooDeep = ({ depth }: Inspection, level: number): boolean => depth !== null && level > depth;

/** What an object that shows itself gets: the same options, for the values that it inspects in its turn. */
export function optionsFor(inspection: Inspection): InspectOptions & { stylize: Stylize } {
  const { seen, circular, indentation, currentDepth, userOptions, ...options } = inspection;
  return { ...options, ...userOptions };
}

/** Sequences that colour a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what they begin with
const controlSequence = /[\u001b\u009b][[\]()#;?]*(?:\d{1,4}(?:[;:]\d{0,4})*)?[\dA-PR-TZcf-nqry=><~]/g;
export const withoutColors = (text: string): string => text.replace(controlSequence, "");
