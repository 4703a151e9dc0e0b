import { createECDH, diffieHellman, ECDH } from "node:crypto";
import { GuestMessageError } from "../guest-message.ts";
import { keyOf } from "./keys.ts";

const curves = ["prime256v1", "secp256k1", "secp384r1", "secp521r1"];
const formats = ["compressed", "uncompressed", "hybrid"];

/**
 * `["generate", curve]`: a private key and its public one; `["public", curve]`: the public key of the payload; `["secret", curve, length]`: what the
 * payload's private key of so many bytes and the public key behind it agree on; `["convert", curve, format]`: a public key in another form.
 * `["agree", privateKey, publicKey]`: the same for written keys.
 */
export async function agree(args: unknown[], bytes: Uint8Array): Promise<Uint8Array> {
  const [step, curve, detail] = args as [string, string, unknown];
  if (step === "agree") {
    const own = keyOf(curve, bytes);
    const other = keyOf(detail, own.rest);
    return diffieHellman({ privateKey: own.material, publicKey: other.material });
  }
  if (!curves.includes(curve)) throw new GuestMessageError("call");
  const ecdh = createECDH(curve);
  switch (step) {
    case "generate": {
      const key = ecdh.generateKeys();
      const secret = ecdh.getPrivateKey();
      return Buffer.concat([Uint8Array.of(secret.length), secret, key]);
    }
    case "public":
      ecdh.setPrivateKey(bytes);
      return ecdh.getPublicKey();
    case "secret":
      ecdh.setPrivateKey(bytes.subarray(0, Number(detail)));
      return ecdh.computeSecret(bytes.subarray(Number(detail)));
    case "convert":
      if (!formats.includes(detail as string)) throw new GuestMessageError("call");
      return ECDH.convertKey(bytes, curve, undefined, undefined, detail as "compressed") as Buffer;
    default:
      throw new GuestMessageError("call");
  }
}
