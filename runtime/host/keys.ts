import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { GuestMessageError } from "../guest-message.ts";
import { HostError } from "../services.ts";

/** How a guest's key is written: DER of PKCS #8 or SPKI, which the payload begins with. */
interface WrittenKey {
  kind: "public" | "private";
  length: number;
}

/** Longest key as text or DER, bytes. */
const maxKeyBytes = 16 * 1024;

/**
 * `["read", kind, { format, type }]`: the payload is PEM, DER or a JSON Web Key; the result JSON of what it is, a NUL, and its DER.
 * `["write", kind, { format, type }]`: the other way. Encrypted keys are refused: how long it takes to open one is written in it.
 */
export function callKeys(args: unknown[], bytes: Uint8Array): Uint8Array {
  const [step, kind, options] = args as [string, string, { format?: string; type?: string } | undefined];
  if (bytes.length > maxKeyBytes)
    throw new HostError("ERR_OUT_OF_RANGE", "the key is too long", { name: "RangeError" });
  if (kind !== "public" && kind !== "private") throw new GuestMessageError("call");
  const { format = "pem", type } = options ?? {};
  if (step === "read") return described(read(kind, format, type, bytes));
  if (step === "write")
    return written(read(kind, "der", kind === "public" ? "spki" : "pkcs8", bytes), format, type);
  throw new GuestMessageError("call");
}

function read(
  kind: "public" | "private",
  format: string,
  type: string | undefined,
  bytes: Uint8Array,
): KeyObject {
  const make = kind === "public" ? createPublicKey : createPrivateKey;
  const key = format === "jwk" ? JSON.parse(Buffer.from(bytes).toString()) : Buffer.from(bytes);
  return checked(make({ key, format, ...(type === undefined ? {} : { type }) } as never));
}

/** Keys whose use would take long are not for the thread pool that all share. */
function checked(key: KeyObject): KeyObject {
  const known = ["rsa", "rsa-pss", "ec", "ed25519", "ed448", "x25519", "x448"];
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits > 4096 || !known.includes(key.asymmetricKeyType ?? ""))
    throw new HostError(
      "ERR_CRYPTO_INVALID_KEYTYPE",
      "A sandbox takes RSA keys of up to 4096 bits, EC, Ed25519 and X25519 keys",
      { name: "TypeError" },
    );
  return key;
}

function described(key: KeyObject): Uint8Array {
  const { modulusLength, publicExponent, namedCurve } = key.asymmetricKeyDetails ?? {};
  const head = JSON.stringify({
    type: key.type,
    asymmetricKeyType: key.asymmetricKeyType,
    details: {
      modulusLength,
      publicExponent: publicExponent === undefined ? undefined : `${publicExponent}`,
      namedCurve,
    },
  });
  const der =
    key.type === "public"
      ? key.export({ type: "spki", format: "der" })
      : key.export({ type: "pkcs8", format: "der" });
  return Buffer.concat([Buffer.from(`${head}\0`), der]);
}

function written(key: KeyObject, format: string, type: string | undefined): Uint8Array {
  if (format === "jwk") return Buffer.from(JSON.stringify(key.export({ format: "jwk" })));
  return Buffer.from(key.export({ format: format as "pem", type: type as "spki" }));
}

/** The key at the beginning of a payload, and the rest. */
export function keyOf(value: unknown, bytes: Uint8Array): { material: KeyObject; rest: Uint8Array } {
  const { kind, length } = value as WrittenKey;
  if ((kind !== "public" && kind !== "private") || !Number.isInteger(length))
    throw new GuestMessageError("call");
  const material = read(kind, "der", kind === "public" ? "spki" : "pkcs8", bytes.subarray(0, length));
  return { material, rest: bytes.subarray(length) };
}
