import { randomUUID } from "node:crypto";
import postgres from "postgres";

/** What is told of changes that servers on one database make, this one's included. */
export interface ChangeListener {
  /** A function was deployed, changed or removed. */
  changed(name: string): void;
  /** A key was made or revoked. */
  keysChanged(): void;
  /** Any of that may have happened without word: at the beginning, and when the connection was away. */
  missed(): void;
  /** The database cannot be listened to; it is tried again. */
  failed(error: unknown): void;
}

/** The triggers of the migration `0002_changes` write there: a function's name, or nothing for keys. */
const CHANNEL = "thimble_changes";
/** How often it is made sure that messages come through. */
const PROBE_MS = 5_000;
/** No function's name has a blank. */
const PROBE = `probe ${randomUUID()}`;

/**
 * Follows the changes by LISTEN. A message to itself shows every few seconds that it is still heard: a connection can be dead without a
 * word, and poolers let LISTEN pass without effect. Then the listener is told that it may have missed some, which makes it a slow poll.
 */
export class ChangeFeed {
  readonly #url: string;
  readonly #listener: ChangeListener;
  readonly #timer: NodeJS.Timeout;
  #client: postgres.Sql;
  #heard = true;
  #probing: Promise<void>;

  constructor(url: string, listener: ChangeListener) {
    this.#url = url;
    this.#listener = listener;
    this.#client = this.#connect();
    this.#probing = this.#listen();
    this.#timer = setInterval(() => {
      this.#probing = this.#probing.then(() => this.#probe());
    }, PROBE_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#client.end({ timeout: 1 });
  }

  #connect(): postgres.Sql {
    const connection = { application_name: "thimble changes" };
    return postgres(this.#url, { max: 1, connection, onnotice() {}, connect_timeout: 5 });
  }

  async #listen(): Promise<void> {
    const hear = (text: string) => {
      if (text === PROBE) this.#heard = true;
      else if (text === "") this.#listener.keysChanged();
      else if (!text.includes(" ")) this.#listener.changed(text);
    };
    try {
      await this.#client.listen(CHANNEL, hear, () => this.#listener.missed());
    } catch (error) {
      this.#heard = false;
      this.#listener.failed(error);
    }
  }

  async #probe(): Promise<void> {
    if (!this.#heard) {
      await this.#client.end({ timeout: 1 });
      this.#client = this.#connect();
      await this.#listen();
    }
    this.#heard = false;
    try {
      await this.#client`select pg_notify(${CHANNEL}, ${PROBE})`;
    } catch (error) {
      this.#listener.failed(error);
    }
  }
}
