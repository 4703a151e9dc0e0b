import { describeApi } from "../openapi.ts";
import { type Operation, operation } from "../operation.ts";
import { functionOperations } from "./functions.ts";
import { keyOperations } from "./keys.ts";
import { runningOperations } from "./running.ts";
import { secretOperations } from "./secrets.ts";

const described: Operation[] = [
  ...functionOperations,
  ...secretOperations,
  ...runningOperations,
  ...keyOperations,
];

/** Everything that the admin API can do. */
export const OPERATIONS: readonly Operation[] = [
  ...described,
  operation({
    method: "get",
    path: "/v1/openapi.json",
    scope: null,
    summary: "This description",
    answer: { status: 200 },
    errors: [],
    handle: ({ c }) => c.json(describeApi(OPERATIONS)),
  }),
];
