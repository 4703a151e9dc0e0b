/** Words after which an operand or a statement must come, contextual ones of TypeScript too. */
export const operatorWords: ReadonlySet<string> = new Set(
  (
    "typeof void delete new await yield in instanceof as satisfies extends keyof infer readonly unique asserts is " +
    "if else while for do with return throw case of function class async import export default var let const " +
    "abstract declare type namespace module static implements enum interface try finally catch switch"
  ).split(" "),
);

/** Words whose parenthesis is followed by a statement. */
export const controlWords: ReadonlySet<string> = new Set(["if", "while", "for", "with", "await"]);

/** Words that go on with a statement or expression after a `}` or a line break. */
export const continuationWords: ReadonlySet<string> = new Set([
  "else",
  "in",
  "instanceof",
  "of",
  "as",
  "satisfies",
  "extends",
  "is",
]);
