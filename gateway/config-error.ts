/** One setting that cannot be used. */
export interface ConfigProblem {
  name: string;
  /** As it was given; secrets and passwords masked. */
  value: string;
  message: string;
}

/** The settings are unusable; the message quotes each bad one by name and value. The process exits with `exitCode`. */
export class ConfigError extends Error {
  readonly code = "invalid_config";
  readonly exitCode = 2;
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((p) => `${p.name}=${JSON.stringify(p.value)}: ${p.message}`).join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}
