import { compile, createRuntime, FunctionFailure } from "thimble";

// Somebody else's code: it may loop, it may eat memory, it may look for files.
const source = `
  let calls = 0;
  export default async function handler(request) {
    const { name, spin } = await request.json();
    while (spin) {}
    return { hello: name, calls: ++calls, secret: process.env.GREETING };
  }
`;

const { artifact } = await compile({ entry: "index.js", files: { "index.js": source } });

await using runtime = await createRuntime({ limits: { timeoutMs: 1_000 } });
const greet = await runtime.load(artifact, { name: "greet", env: { GREETING: "hi" } });

const ask = (body: unknown) =>
  greet.fetch(new Request("http://localhost/", { method: "POST", body: JSON.stringify(body) }));

for (const name of ["Ada", "Grace"]) console.log(await (await ask({ name })).text());

try {
  await ask({ spin: true });
} catch (error) {
  if (!(error instanceof FunctionFailure)) throw error;
  console.log(error.outcome.kind, error.message);
}
