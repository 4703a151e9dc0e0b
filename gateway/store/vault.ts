import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A sealed value cannot be opened: another key sealed it, or it was changed. */
export class VaultError extends Error {
  readonly code: "master_key_wrong" | "master_key_invalid" | "secret_damaged";
  constructor(code: VaultError["code"], message: string) {
    super(message);
    this.name = "VaultError";
    this.code = code;
  }
}

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
/** NIST SP 800-38D, section 8.2: 96 bits, random for each value. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals values with AES-256-GCM. What a value belongs to is authenticated with it, so that none can be put in another's place. */
export class Vault {
  readonly #key: Uint8Array;
  /** Tells keys apart without saying anything about them. */
  readonly #keyId: string;

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    this.#key = key;
    this.#keyId = createHash("sha256").update("thimble master key").update(key).digest("hex").slice(0, 8);
  }

  /** `<key id>.<base64url of nonce, ciphertext, tag>`. */
  seal(value: string, owner: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return `${this.#keyId}.${sealed.toString("base64url")}`;
  }

  /** Throws {@link VaultError}. */
  open(sealed: string, owner: string): string {
    const [keyId, text = ""] = sealed.split(".");
    if (keyId !== this.#keyId) {
      throw new VaultError(
        "master_key_wrong",
        "The secrets in the platform's database were sealed with another master key. Set THIMBLE_MASTER_KEY to that one, or restore master-key in the data folder",
      );
    }
    const bytes = Buffer.from(text, "base64url");
    try {
      const decipher = createDecipheriv(CIPHER, this.#key, bytes.subarray(0, NONCE_BYTES))
        .setAAD(Buffer.from(owner))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      return (
        decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8")
      );
    } catch {
      throw new VaultError("secret_damaged", "A secret in the platform's database was changed from outside");
    }
  }
}

const masterKeyPath = (dataDir: string): string => join(dataDir, "master-key");

/**
 * The vault of a server: its key from the setting, else from `master-key` in the data folder, which the first call makes
 * (256 random bits, mode 0600). Throws {@link VaultError} for a file that holds no key.
 */
export function openVault({
  masterKey,
  dataDir,
}: {
  masterKey?: string | undefined;
  dataDir: string;
}): Vault {
  const text = masterKey ?? readKeyFile(dataDir) ?? makeKeyFile(dataDir);
  const key = decodeMasterKey(text);
  if (key) return new Vault(key);
  throw new VaultError(
    "master_key_invalid",
    `${masterKeyPath(dataDir)} does not hold 32 bytes in base64 or hexadecimal`,
  );
}

/** 32 bytes as 64 hexadecimal digits or in base64 (either alphabet); undefined for anything else. */
export function decodeMasterKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES ? bytes : undefined;
}

function readKeyFile(dataDir: string): string | undefined {
  try {
    return readFileSync(masterKeyPath(dataDir), "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function makeKeyFile(dataDir: string): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const text = randomBytes(KEY_BYTES).toString("base64url");
  writeFileSync(masterKeyPath(dataDir), `${text}\n`, { mode: 0o600, flag: "wx" });
  return text;
}
