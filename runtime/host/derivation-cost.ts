import { createHash } from "node:crypto";

/** Rounds that one derivation may take: about a second of a thread of the host's pool, which all functions share. */
export const maxRounds = 2_000_000;

/** Bytes that a hash takes in at once; some take more. */
const hashBlockBytes = 64;
/** Assumed of hashes that are unknown here. */
const leastHashBytes = 16;

export interface Derivation {
  /** Name of the hash, as OpenSSL or WebCrypto know it. */
  hash: string;
  outputBytes: number;
  /** What is hashed anew for each block of the output: the salt of PBKDF2, the info of HKDF. */
  inputBytes: number;
  /** Default 1, which is HKDF. */
  iterations?: number;
}

/** Rounds of PBKDF2 or HKDF (RFC 8018, section 5.2; RFC 5869, section 2.3): each block of output takes all iterations and all of the input. */
export function derivationRounds({ hash, outputBytes, inputBytes, iterations = 1 }: Derivation): number {
  return Math.ceil(outputBytes / hashBytes(hash)) * (iterations + inputBytes / hashBlockBytes);
}

/** The two runs of PBKDF2 in scrypt (RFC 7914, section 6); its memory bounds the rest. */
export function scryptRounds(outputBytes: number, saltBytes: number, mixedBytes: number): number {
  const hash = "sha256";
  return (
    derivationRounds({ hash, outputBytes: mixedBytes, inputBytes: saltBytes }) +
    derivationRounds({ hash, outputBytes, inputBytes: mixedBytes })
  );
}

const sizes = new Map<string, number>();

function hashBytes(name: string): number {
  const known = sizes.get(name);
  if (known !== undefined) return known;
  try {
    const size = createHash(name).digest().length || leastHashBytes;
    sizes.set(name, size);
    return size;
  } catch {
    return leastHashBytes;
  }
}
