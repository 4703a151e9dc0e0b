import { continuationWords, controlWords, operatorWords } from "./nesting-words.ts";

/**
 * Guards the native parsers, which recurse on the native stack and take the whole process down when it overflows: no
 * exception, a segmentation fault. Measured on Linux with 8 MiB main and 2 MiB worker stacks (swc 1.16, rolldown 1.3): the
 * first to fall is rolldown, between 1,000 and 2,000 levels of `a=>a=>…` or nested JSX, then swc at 2,000 to 4,000 of `((…`.
 * Not covered: a reading of `/` after `}` that differs from the parser's; the builder is a process of its own for that.
 */
export const MAX_BRACKET_DEPTH = 256;
/** Operators and prefix keywords that may stack up without a `;` or `,` between, over all open brackets together. */
export const MAX_OPERATOR_CHAIN = 1000;
/** Tokens of one source file or bundle: swc's tree of the worst source takes about 600 bytes for each. A minified bundle has one per 2.5 bytes. */
export const MAX_TOKENS = 1_500_000;
/** Bytes of UTF-8 of one source file or bundle. */
export const MAX_SOURCE_LENGTH_BYTES = 5 * 1024 * 1024;

export interface TooDeep {
  rule: "too-deep" | "too-large";
  /** Index in UTF-16 code units. */
  index: number;
  message: string;
}

export interface NestingOptions {
  /** `<` where an operand must stand begins an element. */
  jsx: boolean;
  /** A comma between `<` and `>` is within type parameters. */
  types: boolean;
}

interface Frame {
  kind: "(" | "[" | "{" | "${" | "tag" | "children";
  /** Operators since the last separator on this level. */
  chain: number;
  openAngles: number;
  /** `(` of if, while, for, with: what follows the `)` is a statement. */
  control: boolean;
  /** `{` where an operand must stand: after the `}` comes an operator. */
  operand: boolean;
}

const word = /[\p{ID_Start}$_\\][\p{ID_Continue}$_\\\u200c\u200d]*/uy;
const number = /\.?[0-9][\w.]*/y;
const elementStart = /<\s*(?:>|(?!const\s)[\p{ID_Start}$_][\p{ID_Continue}$_.:-]*(?!\s*,|\s+extends\b))/uy;

/** Finds the place where a source gets too deep for the parsers; undefined for every reasonable source. Linear, never throws. */
export function findTooDeep(text: string, options: NestingOptions): TooDeep | undefined {
  return new NestingScanner(text, options).run();
}

class NestingScanner {
  readonly #text: string;
  readonly #options: NestingOptions;
  #frames: Frame[] = [newFrame("{")];
  #chain = 0;
  #index = 0;
  #tokens = 0;
  /** The last token can end an operand, so that what follows is an operator or a new statement. */
  #afterOperand = false;
  #afterDot = false;
  #afterBlock = false;
  #afterSemicolon = false;
  #lastWord = "";
  #newline = false;

  constructor(text: string, options: NestingOptions) {
    this.#text = text;
    this.#options = options;
    if (text.startsWith("#!")) this.#skipLine();
  }

  run(): TooDeep | undefined {
    while (this.#index < this.#text.length) {
      if (this.#top.kind === "children") this.#elementText();
      else this.#token();
      if (this.#frames.length > MAX_BRACKET_DEPTH)
        return this.#refuse("too-deep", "Brackets are nested deeper than the compiler goes");
      if (this.#chain > MAX_OPERATOR_CHAIN)
        return this.#refuse("too-deep", "This is nested deeper than the compiler goes");
      if (this.#tokens > MAX_TOKENS)
        return this.#refuse("too-large", `The file has more than ${MAX_TOKENS} tokens`);
    }
    return undefined;
  }

  #refuse(rule: TooDeep["rule"], message: string): TooDeep {
    return { rule, message, index: Math.max(0, this.#index - 1) };
  }

  get #top(): Frame {
    return this.#frames[this.#frames.length - 1]!;
  }

  #token(): void {
    const character = this.#text[this.#index]!;
    switch (character) {
      case "\n":
      case "\r":
      case "\u2028":
      case "\u2029":
        this.#newline = true;
        this.#index++;
        return;
      case "'":
      case '"':
        this.#string(character);
        return;
      case "`":
        if (this.#afterOperand) this.#operator();
        this.#index++;
        this.#template();
        return;
      case "/":
        this.#slash();
        return;
      case "(":
      case "[":
      case "{":
        this.#open(character);
        return;
      case ")":
      case "]":
      case "}":
        this.#close(character);
        return;
      case ";":
        this.#index++;
        this.#after(false);
        // Not before the next token is seen: `if (a); else if (b); else …` goes on nesting.
        this.#afterSemicolon = true;
        return;
      case ",":
        if (!this.#options.types || this.#top.openAngles === 0) this.#separate();
        this.#index++;
        this.#after(false);
        return;
    }
    const start = this.#index;
    if (this.#match(number)) this.#operandToken();
    else if (this.#match(word)) this.#word(this.#text.slice(start, this.#index));
    else if (/\s/.test(character)) this.#index++;
    else this.#punctuator(character);
  }

  #word(value: string): void {
    const name = this.#afterDot || this.#text[this.#index] === ":";
    if (!name && (value === "case" || value === "default")) this.#separate();
    else if (this.#startsStatement() && !continuationWords.has(value)) this.#separate();
    this.#afterSemicolon = false;
    const operator = !this.#afterDot && operatorWords.has(value);
    if (operator) this.#operator();
    this.#after(!operator);
    this.#lastWord = operator ? value : "";
  }

  #operandToken(): void {
    if (this.#startsStatement()) this.#separate();
    this.#after(true);
  }

  /** Two operands in a row: the statement before has ended, by a line break or by its block. */
  #startsStatement(): boolean {
    return this.#afterSemicolon || this.#afterBlock || (this.#afterOperand && this.#newline);
  }

  #punctuator(character: string): void {
    const top = this.#top;
    if (character === "<") {
      if (!this.#afterOperand && this.#options.jsx && this.#matches(elementStart)) {
        this.#operator();
        this.#frames.push(newFrame("tag"));
        this.#index++;
        this.#after(false);
        return;
      }
      top.openAngles++;
    } else if (character === ">") {
      if (top.kind === "tag") {
        this.#endTag();
        return;
      }
      if (this.#text[this.#index - 1] !== "=") top.openAngles = Math.max(0, top.openAngles - 1);
    }
    if (!this.#continuesOperator(character)) this.#operator();
    const postfix = (character === "+" || character === "-") && this.#text[this.#index + 1] === character;
    this.#index += postfix ? 2 : 1;
    if (!postfix && !(character === "!" && this.#afterOperand)) this.#after(false);
    this.#afterDot = character === "." && this.#text[this.#index - 2] !== ".";
  }

  #continuesOperator(character: string): boolean {
    const before = this.#text[this.#index - 1] ?? "";
    if (character === "=") return "=!<>+-*/%&|^?".includes(before);
    if (character === ">") return before === "=";
    return "&|?*.".includes(character) && before === character;
  }

  #slash(): void {
    const next = this.#text[this.#index + 1];
    if (next === "/") {
      this.#skipLine();
      return;
    }
    if (next === "*") {
      const end = this.#text.indexOf("*/", this.#index + 2);
      const stop = end < 0 ? this.#text.length : end + 2;
      if (/[\n\r]/.test(this.#text.slice(this.#index, stop))) this.#newline = true;
      this.#index = stop;
      return;
    }
    if (this.#top.kind === "tag" && next === ">") {
      this.#pop();
      this.#index += 2;
      this.#after(true);
      return;
    }
    if (!this.#afterOperand && this.#regularExpression()) {
      this.#after(true);
      return;
    }
    this.#operator();
    this.#index++;
    this.#after(false);
  }

  /** False, and nothing consumed, when the line ends first. */
  #regularExpression(): boolean {
    let inClass = false;
    for (let index = this.#index + 1; index < this.#text.length; index++) {
      const character = this.#text[index]!;
      if (character === "\n" || character === "\r") return false;
      if (character === "\\") index++;
      else if (character === "[") inClass = true;
      else if (character === "]") inClass = false;
      else if (character === "/" && !inClass) {
        this.#index = index + 1;
        this.#match(word);
        return true;
      }
    }
    return false;
  }

  #string(quote: string): void {
    let index = this.#index + 1;
    for (; index < this.#text.length; index++) {
      const character = this.#text[index];
      if (character === quote || character === "\n") break;
      if (character === "\\" && this.#top.kind !== "tag")
        index += this.#text.startsWith("\r\n", index + 1) ? 2 : 1;
    }
    this.#index = index + 1;
    this.#operandToken();
  }

  #template(): void {
    for (; this.#index < this.#text.length; this.#index++) {
      const character = this.#text[this.#index];
      if (character === "\\") this.#index++;
      else if (character === "`") {
        this.#index++;
        this.#after(true);
        return;
      } else if (character === "$" && this.#text[this.#index + 1] === "{") {
        this.#frames.push(newFrame("${"));
        this.#index += 2;
        this.#after(false);
        return;
      }
    }
  }

  #open(kind: "(" | "[" | "{"): void {
    if (kind === "{" && this.#afterBlock) this.#separate();
    const frame = newFrame(kind);
    frame.control = kind === "(" && controlWords.has(this.#lastWord);
    frame.operand = kind === "{" && !this.#afterOperand && !["", "else", "do"].includes(this.#openingWord());
    this.#operator();
    this.#frames.push(frame);
    this.#index++;
    this.#after(false);
  }

  /** What stands before a `{`: a word, or a punctuator that wants an operand; empty where a statement begins. */
  #openingWord(): string {
    if (this.#lastWord !== "") return this.#lastWord;
    const before = this.#text.slice(Math.max(0, this.#index - 200), this.#index).trimEnd();
    return before.endsWith("=>") || /[;{})]$/.test(before) ? "" : before.slice(-1);
  }

  #close(character: string): void {
    const frame = this.#frames.length > 1 ? this.#pop() : newFrame("{");
    this.#index++;
    if (frame.kind === "${") {
      this.#template();
      return;
    }
    if (character === "}") {
      this.#after(frame.operand);
      this.#afterBlock = !frame.operand;
    } else this.#after(!frame.control);
  }

  #endTag(): void {
    this.#pop();
    this.#index++;
    this.#frames.push(newFrame("children"));
  }

  #elementText(): void {
    const offset = this.#text.slice(this.#index).search(/[<{]/);
    this.#index = offset < 0 ? this.#text.length : this.#index + offset;
    if (this.#text[this.#index] === "{") {
      this.#frames.push({ ...newFrame("{"), operand: true });
      this.#index++;
      this.#after(false);
    } else if (/<\s*\//y.test(this.#text.slice(this.#index, this.#index + 32))) {
      const end = this.#text.indexOf(">", this.#index);
      this.#index = end < 0 ? this.#text.length : end + 1;
      this.#pop();
      this.#after(true);
    } else if (this.#index < this.#text.length) {
      this.#frames.push(newFrame("tag"));
      this.#index++;
      this.#after(false);
    }
  }

  #pop(): Frame {
    const frame = this.#frames.pop()!;
    this.#chain -= frame.chain;
    return frame;
  }

  #operator(): void {
    if (this.#afterSemicolon) this.#separate();
    this.#afterSemicolon = false;
    this.#top.chain++;
    this.#chain++;
  }

  #separate(): void {
    const top = this.#top;
    this.#chain -= top.chain;
    top.chain = 0;
    top.openAngles = 0;
  }

  #after(operand: boolean): void {
    this.#tokens++;
    this.#afterOperand = operand;
    this.#afterDot = false;
    this.#afterBlock = false;
    this.#afterSemicolon = false;
    this.#newline = false;
    this.#lastWord = "";
  }

  #skipLine(): void {
    const end = this.#text.indexOf("\n", this.#index);
    this.#index = end < 0 ? this.#text.length : end;
  }

  #match(pattern: RegExp): boolean {
    if (!this.#matches(pattern)) return false;
    this.#index = pattern.lastIndex;
    return true;
  }

  #matches(pattern: RegExp): boolean {
    pattern.lastIndex = this.#index;
    return pattern.test(this.#text);
  }
}

function newFrame(kind: Frame["kind"]): Frame {
  return { kind, chain: 0, openAngles: 0, control: false, operand: false };
}
