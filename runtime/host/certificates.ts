import { X509Certificate } from "node:crypto";
import { GuestMessageError } from "../guest-message.ts";
import { HostError } from "../services.ts";

/** Longest certificate, bytes. */
const maxCertificateBytes = 64 * 1024;

const read = (bytes: Uint8Array): X509Certificate => {
  if (bytes.length > maxCertificateBytes)
    throw new HostError("ERR_OUT_OF_RANGE", "the certificate is too long", { name: "RangeError" });
  return new X509Certificate(bytes);
};

const fields = [
  "subject",
  "subjectAltName",
  "infoAccess",
  "issuer",
  "serialNumber",
  "validFrom",
  "validTo",
  "fingerprint",
  "fingerprint256",
  "fingerprint512",
  "keyUsage",
  "ca",
] as const;
const checks = ["checkHost", "checkEmail", "checkIP"] as const;

/**
 * `["read"]`: the payload is a certificate as PEM or DER; the result JSON of its fields, with its bytes and its key's in base64.
 * `["check", method, name]`: the name that it is for, or null. `["issued", length]`: whether by the certificate behind the first.
 */
export function callCertificates([step, ...args]: unknown[], bytes: Uint8Array): Uint8Array {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  switch (step) {
    case "read": {
      const certificate = read(bytes);
      const shown = Object.fromEntries(fields.map((field) => [field, certificate[field]]));
      const key = certificate.publicKey.export({ type: "spki", format: "der" });
      return json({ ...shown, raw: certificate.raw.toString("base64"), key: key.toString("base64") });
    }
    case "check": {
      const [method, name] = args as [(typeof checks)[number], string];
      if (!checks.includes(method) || typeof name !== "string") throw new GuestMessageError("call");
      return json(read(bytes)[method](name) ?? null);
    }
    case "issued": {
      const length = Number(args[0]);
      return json(read(bytes.subarray(0, length)).checkIssued(read(bytes.subarray(length))));
    }
    default:
      throw new GuestMessageError("call");
  }
}
