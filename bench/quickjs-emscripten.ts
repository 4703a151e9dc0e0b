import { getQuickJS, type QuickJSWASMModule, Scope, shouldInterruptAfterDeadline } from "quickjs-emscripten";
import { limits } from "./thimble.ts";

const quickjs: QuickJSWASMModule = await getQuickJS();

/** Text through a function that a script's value is, in a new QuickJS runtime and context with limits. */
export function runInNewQuickJs(script: string, input: string): string {
  return Scope.withScope((scope) => {
    const context = scope.manage(quickjs.newContext());
    context.runtime.setMemoryLimit(limits.memoryLimitBytes);
    context.runtime.setInterruptHandler(shouldInterruptAfterDeadline(Date.now() + limits.timeoutMs));
    const handler = scope.manage(context.unwrapResult(context.evalCode(script)));
    const argument = scope.manage(context.newString(input));
    const result = scope.manage(
      context.unwrapResult(context.callFunction(handler, context.undefined, argument)),
    );
    return context.getString(result);
  });
}
