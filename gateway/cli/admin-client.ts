import type { Analysis } from "../../compiler/types.ts";
import { readAdminKey } from "../admin/key.ts";
import type { Config } from "../config.ts";
import { CliError } from "./cli-error.ts";

/** Speaks to a server's admin port. */
export class AdminClient {
  readonly #url: string;
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
    this.#url = adminUrl(config);
  }

  get url(): string {
    return this.#url;
  }

  /** The JSON answer. Throws {@link CliError} for every other. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.open(method, path, body);
    return (await response.json()) as T;
  }

  /** The answer, unread. Throws {@link CliError} when it is an error. */
  async open(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#key()}` };
    const init: RequestInit = { method, headers };
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    let response: Response;
    try {
      response = await fetch(this.#url + path, init);
    } catch (error) {
      throw new CliError(
        `No answer from ${this.#url}${reasonOf(error)}. Is \`thimble serve\` running? (ADMIN_PORT, ADMIN_HOST and THIMBLE_ADMIN_URL say where.)`,
        { code: "unreachable", cause: error },
      );
    }
    if (!response.ok) throw await failure(response);
    return response;
  }

  #key(): string {
    const key = this.#config.admin.key ?? readAdminKey(this.#config.dataDir);
    if (key) return key;
    throw new CliError(
      `There is no admin key in ${this.#config.dataDir}. Is \`thimble serve\` running? When it runs from another folder, set THIMBLE_DATA_DIR or THIMBLE_ADMIN_KEY.`,
      { code: "unreachable" },
    );
  }
}

/** Where the admin API is, as this machine reaches it. */
function adminUrl({ admin }: Config): string {
  if (admin.url !== undefined) return admin.url.replace(/\/+$/, "");
  const host = admin.host === "0.0.0.0" || admin.host === "::" ? "127.0.0.1" : admin.host;
  return `${admin.tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${admin.port}`;
}

/** Why a request got no answer, where that is not just that nobody listens. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code === undefined || cause.code === "ECONNREFUSED" ? "" : ` (${cause.code})`;
}

async function failure(response: Response): Promise<CliError> {
  type Body = { error?: { code?: string; message?: string; requestId?: string }; analysis?: Analysis };
  const body = (await response.json().catch(() => ({}))) as Body;
  const message = body.error?.message ?? `The server answered ${response.status}`;
  const code = body.error?.code ?? "failed";
  const traced = code === "internal_error" ? `${message} (request ${body.error?.requestId})` : message;
  return new CliError(traced, body.analysis ? { code, analysis: body.analysis } : { code });
}
