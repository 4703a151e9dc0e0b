import { sortFindings } from "./analyze/sort-findings.ts";
import { SourceText } from "./analyze/source-text.ts";
import { isVirtual } from "./bundle-modules.ts";
import { packageOf, shownPath } from "./bundle-paths.ts";
import { CompileError } from "./errors.ts";
import type { Finding } from "./types.ts";

type Reason = Pick<Finding, "rule" | "message" | "hint">;
type Code = { code: string; map: null };

/** What is learned of a function's files while they are bundled: their text, what is wrong, what deserves a warning. */
export class BundleReport {
  readonly #root: string;
  readonly #files = new Map<string, string>();
  readonly #texts = new Map<string, string>();
  readonly #errors: Finding[] = [];
  readonly #warnings = new Map<string, Finding>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Files of the platform's own, with the packages that those are made of. */
  readonly platform = new Set<string>();

  get errors(): Finding[] {
    return sortFindings([...this.#errors]);
  }

  get warnings(): Finding[] {
    return sortFindings([...this.#warnings.values()]);
  }

  addFile(path: string, text: string): void {
    this.#files.set(shownPath(this.#root, path), text);
    this.remember(path, text);
  }

  /** Keeps a text for the source lines of findings. */
  remember(path: string, text: string): void {
    this.#texts.set(shownPath(this.#root, path), text);
  }

  sortedFiles(): Record<string, string> {
    return Object.fromEntries([...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Records an error and returns an empty module, so that the rest is looked at too. */
  fail(finding: Finding): Code {
    this.#errors.push(finding);
    return { code: "export {};", map: null };
  }

  addError(path: string, { line, column }: { line: number; column: number }, reason: Reason): void {
    const file = shownPath(this.#root, path);
    const sourceLine = this.#text(file).line(line);
    this.#errors.push({ ...reason, severity: "error", file, line, column, sourceLine });
  }

  addUnresolved(importer: string, written: string, entry: string, specifier = written): void {
    if (isVirtual(importer)) {
      const message = `the entry "${entry}" cannot be found`;
      this.#errors.push({
        rule: "unresolved-import",
        severity: "error",
        message,
        hint: "Name a file of the function.",
        file: entry,
        line: 1,
        column: 1,
        sourceLine: "",
      });
      return;
    }
    const ofJsr = /^jsr:\/?(@[^/]+\/[^/@]+)/.exec(specifier)?.[1];
    const isFile = specifier.startsWith(".") || specifier.startsWith("/");
    const isUrl = /^[a-z][a-z0-9+.-]*:/i.test(specifier);
    this.#errors.push({
      rule: "unresolved-import",
      severity: "error",
      message:
        specifier === written
          ? `"${written}" cannot be found`
          : `"${written}", which is "${specifier}", cannot be found`,
      hint: isFile
        ? "Correct the path, or add the file."
        : ofJsr
          ? `Install it beside the function: npx jsr add ${ofJsr}`
          : isUrl
            ? "Nothing is downloaded when a function is built: install the package from npm, or map this address in deno.json's imports to a file or an npm package."
            : "Install the package in the function's folder (npm install), or correct its name.",
      ...this.#placeOf(importer, written),
    });
  }

  addImportWarning(importer: string, specifier: string, reason: Reason): void {
    const place = this.#placeOf(importer, specifier);
    const dependency = packageOf(place.file);
    this.#warnings.set(`${place.file}\0${specifier}`, {
      ...reason,
      severity: "warning",
      ...place,
      ...(dependency === undefined ? {} : { package: dependency }),
    });
  }

  /** A file of the function that can't be read at run time. */
  addLeftOut(file: string): void {
    this.#warnings.set(`${file}\0left-out`, {
      rule: "file-left-out",
      severity: "warning",
      message: `"${file}" is too large to be read at run time`,
      hint: "A function's files may have 256 KiB each and 1 MiB together; fetch larger ones from where they lie.",
      file,
      line: 1,
      column: 1,
      sourceLine: "",
    });
  }

  toError(cause?: unknown): CompileError {
    const [first] = this.errors;
    const more = this.#errors.length > 1 ? ` (and ${this.#errors.length - 1} more)` : "";
    const message = first
      ? `${first.file}:${first.line}:${first.column}: ${first.message}${more}`
      : "the function cannot be bundled";
    return new CompileError(message, { findings: this.errors, ...(cause === undefined ? {} : { cause }) });
  }

  #text(file: string): SourceText {
    return new SourceText(file, this.#texts.get(file) ?? "");
  }

  /** Where a file writes a specifier; resolvers are not told. The first one in quotes that an import or require leads to. */
  #placeOf(importer: string, specifier: string): Pick<Finding, "file" | "line" | "column" | "sourceLine"> {
    const file = shownPath(this.#root, importer);
    const source = this.#text(file);
    const quoted = specifier.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const written =
      new RegExp(`\\b(?:from|import|require)\\s*\\(?\\s*(["'\`])${quoted}\\1`).exec(source.text) ??
      new RegExp(`(["'\`])${quoted}\\1`).exec(source.text);
    const index = written ? written.index + written[0].length - specifier.length - 2 : 0;
    const position = source.positionAt(Buffer.byteLength(source.text.slice(0, index)));
    return { ...position, sourceLine: source.line(position.line) };
  }
}
