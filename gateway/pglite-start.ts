import { PGlite } from "@electric-sql/pglite";

/**
 * Parameters that the embedded Postgres is started with. Its buffers come beside what the system keeps of the files anyway: the default of
 * 128 MB would come to be resident in full.
 */
export const startParams: string[] = [...PGlite.defaultStartParams, "-c", "shared_buffers=32MB"];
