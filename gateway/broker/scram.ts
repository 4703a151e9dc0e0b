import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

/** SCRAM-SHA-256 as Postgres has it. RFC 5802, RFC 7677; https://www.postgresql.org/docs/current/sasl-authentication.html */

const derive = promisify(pbkdf2);
const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest();

/** More than 20 times what servers ask for: a server must not keep us computing. */
const MAX_ITERATIONS = 100_000;

/** Salted passwords of the servers met last: deriving one takes a millisecond and more. */
const salted = new Map<string, Buffer>();
const MAX_SALTED = 1000;

async function saltedPassword(password: string, salt: Buffer, iterations: number): Promise<Buffer> {
  const id = hash(Buffer.from(`${iterations} ${salt.toString("hex")} ${password}`)).toString("hex");
  const known = salted.get(id);
  if (known) return known;
  const key = await derive(password.normalize("NFKC"), salt, iterations, 32, "sha256");
  if (salted.size >= MAX_SALTED) salted.clear();
  salted.set(id, key);
  return key;
}

/** What a role's password is stored as: with it, a server can check the password and never sees it. */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(16);
  const iterations = 4096;
  const key = await derive(password.normalize("NFKC"), salt, iterations, 32, "sha256");
  const stored = hash(hmac(key, "Client Key")).toString("base64");
  const server = hmac(key, "Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${server}`;
}

/** The client's part of one exchange. */
export class Scram {
  readonly #password: string;
  readonly #nonce: string = randomBytes(18).toString("base64");
  #serverSignature: Buffer | null = null;

  constructor(password: string) {
    this.#password = password;
  }

  first(): string {
    return `n,,n=,r=${this.#nonce}`;
  }

  /** Throws for an answer that is no continuation of `first`. */
  async final(serverFirst: string): Promise<string> {
    const { r: nonce, s: salt, i: iterations } = attributes(serverFirst);
    const rounds = Number(iterations);
    if (!nonce?.startsWith(this.#nonce) || !salt || !(rounds >= 1 && rounds <= MAX_ITERATIONS))
      throw new Error("unexpected answer to SCRAM");
    const key = await saltedPassword(this.#password, Buffer.from(salt, "base64"), rounds);
    const clientKey = hmac(key, "Client Key");
    const withoutProof = `c=biws,r=${nonce}`;
    const all = `n=,r=${this.#nonce},${serverFirst},${withoutProof}`;
    const signature = hmac(hash(clientKey), all);
    this.#serverSignature = hmac(hmac(key, "Server Key"), all);
    return `${withoutProof},p=${Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!)).toString("base64")}`;
  }

  /** Throws when the server does not know the password either. */
  verify(serverFinal: string): void {
    const signature = Buffer.from(attributes(serverFinal).v ?? "", "base64");
    const expected = this.#serverSignature;
    if (!expected || signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new Error("the server did not prove that it knows the password");
  }
}

function attributes(text: string): Record<string, string | undefined> {
  return Object.fromEntries(text.split(",").map((part) => [part[0], part.slice(2)]));
}
