// Stands behind a function's bundle in an exported component, where the engine brings fetch events: calls what the function registered, in the
// order of the platform's own guest library (runtime/guest/entry.ts).
const context = (event) => ({
  requestId: event.request.headers.get("x-request-id") ?? "",
  functionName: "function",
  version: 1,
  waitUntil: (work) => event.waitUntil(Promise.resolve(work)),
});

const isFunction = (value) => typeof value === "function";

async function call(event) {
  const { request } = event;
  const exports = globalThis[Symbol.for("thimble.registered")];
  const { default: main, handler } = exports;
  if (isFunction(main?.fetch)) return main.fetch(request, {}, context(event));
  if (isFunction(main)) return main(request, context(event));
  if (isFunction(handler)) {
    const text = await request.text();
    try {
      return handler(text === "" ? undefined : JSON.parse(text), context(event));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      const message = `The request body is not valid JSON: ${error.message}`;
      return Response.json({ error: { code: "invalid_input", message, requestId: "" } }, { status: 400 });
    }
  }
  const method = exports[request.method] ?? (request.method === "HEAD" ? exports.GET : undefined);
  if (isFunction(method)) return method(request, context(event));
  const served = globalThis[Symbol.for("thimble.served")];
  if (isFunction(served)) return served(request, context(event));
  return new Response(null, { status: 405 });
}

async function answer(event) {
  let result;
  try {
    result = await call(event);
  } catch (error) {
    console.error(error?.stack ?? String(error));
    const message = "The function threw an error";
    return Response.json({ error: { code: "function_error", message, requestId: "" } }, { status: 500 });
  }
  if (result instanceof Response) return result;
  if (result === undefined || result === null) return new Response(null, { status: 204 });
  if (typeof result === "string")
    return new Response(result, { headers: { "content-type": "text/plain;charset=UTF-8" } });
  return Response.json(result);
}

addEventListener("fetch", (event) => event.respondWith(answer(event)));
