import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

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
/** NIST SP 800-38D, section 8.2: 96 bits, random for each value. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface MasterKey {
  /** Tells keys apart without saying anything about them. */
  id: string;
  bytes: Uint8Array;
}

/** Seals values with AES-256-GCM. What a value belongs to is authenticated with it, so that none can be put in another's place. */
export class Vault {
  /** The first one seals, all open. */
  #keys: readonly MasterKey[];

  /** @param keys 32 bytes each; the first one seals, the others open what they sealed before it. */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys.map(named);
  }

  /** Seals with this key from now on; what others sealed can still be opened. */
  sealWith(key: Uint8Array): void {
    this.#keys = [named(key), ...this.#keys];
  }

  /** Whether the key that seals now sealed this. */
  isCurrent(sealed: string): boolean {
    return sealed.startsWith(`${this.#current.id}.`);
  }

  get #current(): MasterKey {
    return this.#keys[0]!;
  }

  /** `<key id>.<base64url of nonce, ciphertext, tag>`. */
  seal(value: string, owner: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const { id, bytes } = this.#current;
    const cipher = createCipheriv(CIPHER, bytes, nonce).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return `${id}.${sealed.toString("base64url")}`;
  }

  /** Throws {@link VaultError}. */
  open(sealed: string, owner: string): string {
    const [keyId, text = ""] = sealed.split(".");
    const key = this.#keys.find(({ id }) => id === keyId);
    if (!key) {
      throw new VaultError(
        "master_key_wrong",
        "The secrets in the platform's database were sealed with another master key. Set THIMBLE_MASTER_KEY to that one, or restore master-key in the data folder",
      );
    }
    const bytes = Buffer.from(text, "base64url");
    try {
      const decipher = createDecipheriv(CIPHER, key.bytes, bytes.subarray(0, NONCE_BYTES))
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

const named = (bytes: Uint8Array): MasterKey => ({
  id: createHash("sha256").update("thimble master key").update(bytes).digest("hex").slice(0, 8),
  bytes,
});
