import { Buffer } from "./buffer.ts";

type Source = AsyncIterable<Uint8Array | string>;

async function collect(stream: Source): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks);
}

export const buffer = async (stream: Source) => Buffer.from(await collect(stream));
export const text = async (stream: Source): Promise<string> =>
  new TextDecoder().decode(await collect(stream));
export const json = async (stream: Source): Promise<unknown> => JSON.parse(await text(stream));
export const arrayBuffer = async (stream: Source): Promise<ArrayBuffer> =>
  (await collect(stream)).slice().buffer as ArrayBuffer;
export const blob = async (stream: Source): Promise<Blob> =>
  new Blob([(await collect(stream)) as Uint8Array<ArrayBuffer>]);
export default { arrayBuffer, blob, buffer, json, text };
