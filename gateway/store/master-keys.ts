import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VaultError } from "./vault.ts";

const KEY_BYTES = 32;

/** Where the keys that seal secrets come from: the setting, or `master-key` in the data folder, which the first use makes. */
export class MasterKeys {
  /** The first one seals. */
  readonly keys: readonly Uint8Array[];
  readonly #path: string;
  /** Null: they are in the setting. */
  #texts: readonly string[] | null;

  /** Throws {@link VaultError} for a file that holds no key. */
  constructor({ masterKey, dataDir }: { masterKey?: string | undefined; dataDir: string }) {
    this.#path = join(dataDir, "master-key");
    const text = masterKey ?? readKeyFile(this.#path) ?? makeKeyFile(dataDir, this.#path);
    const keys = decodeMasterKeys(text);
    if (!keys) {
      throw new VaultError(
        "master_key_invalid",
        `${this.#path} does not hold 32 bytes in base64 or hexadecimal`,
      );
    }
    this.keys = keys;
    this.#texts = masterKey === undefined ? textsOf(text) : null;
  }

  /** Makes a new key and keeps it before the others; undefined when they are in the setting, which is not ours to change. */
  add(): Uint8Array | undefined {
    if (!this.#texts) return undefined;
    const text = newKey();
    this.#write([text, ...this.#texts]);
    return decodeMasterKey(text);
  }

  /** Forgets all but the newest key. */
  forgetFormer(): void {
    if (this.#texts) this.#write(this.#texts.slice(0, 1));
  }

  #write(texts: readonly string[]): void {
    writeKeyFile(this.#path, texts);
    this.#texts = texts;
  }
}

/** One key or several, apart by commas or white space; undefined when one of them is none. */
export function decodeMasterKeys(text: string): Uint8Array[] | undefined {
  const keys = textsOf(text).map(decodeMasterKey);
  return keys.length > 0 && keys.every((key) => key !== undefined) ? keys : undefined;
}

const textsOf = (text: string) => text.split(/[\s,]+/).filter(Boolean);

/** 32 bytes as 64 hexadecimal digits or in base64 (either alphabet); undefined for anything else. */
function decodeMasterKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES ? bytes : undefined;
}

const newKey = () => randomBytes(KEY_BYTES).toString("base64url");

function readKeyFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function makeKeyFile(dataDir: string, path: string): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const text = newKey();
  writeKeyFile(path, [text]);
  return text;
}

/** As a whole or not at all: a crash or a full disk leaves the file of before. */
function writeKeyFile(path: string, texts: readonly string[]): void {
  writeFileSync(`${path}.new`, `${texts.join("\n")}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
