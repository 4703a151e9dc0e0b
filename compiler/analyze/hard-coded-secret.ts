import type { Finding } from "../types.ts";
import type { Check } from "./rule.ts";
import type { RuleId } from "./rules.ts";
import { RULES } from "./rules.ts";
import { SourceText } from "./source-text.ts";
import { propertyName, type SyntaxNode, unwrap } from "./tree.ts";
import { textsOf } from "./value.ts";

const RULE = "hard-coded-secret" satisfies RuleId;

/**
 * Formats that say of themselves that they are secrets, as their issuers document them. Repetitions are bounded, so that no line
 * takes more than linear time.
 */
const FORMATS: readonly [what: string, pattern: RegExp][] = [
  ["A private key", /-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY-----(?:\\n|\s){1,9}[A-Za-z0-9+/]{16}/],
  ["An AWS access key", /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ["A Stripe key", /\b[rs]k_live_[0-9A-Za-z]{20,200}/],
  ["A webhook secret", /\bwhsec_[0-9A-Za-z+/]{24,100}/],
  ["A GitHub token", /\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59})/],
  ["A GitLab token", /\bglpat-[\w-]{20}\b/],
  ["A Slack token", /\bxox[abposr]-[0-9A-Za-z-]{20,200}/],
  ["A Slack webhook address", /hooks\.slack\.com\/services\/T\w{6,20}\/B\w{6,20}\/\w{20,64}/],
  ["A Google API key", /\bAIza[\w-]{35}\b/],
  ["An OpenAI key", /\bsk-(?:proj-|svcacct-)?[\w-]{20,200}T3BlbkFJ[\w-]{20,200}/],
  ["An Anthropic key", /\bsk-ant-(?:api|admin)\d\d-[\w-]{40,200}/],
  ["A SendGrid key", /\bSG\.[\w-]{22}\.[\w-]{43}\b/],
  ["A Twilio key", /\bSK[0-9a-f]{32}\b/],
  ["An npm token", /\bnpm_[0-9A-Za-z]{36}\b/],
  ["A Telegram bot token", /\b\d{8,10}:AA[\w-]{33}\b/],
  ["A Mailgun key", /\bkey-[0-9a-f]{32}\b/],
  ["A Hugging Face token", /\bhf_[A-Za-z]{34}\b/],
];

const CONNECTION =
  /\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?):\/\/([^\s:/@"'`]{0,128}):([^\s@"'`]{1,256})@([\w.-]{1,253})/;
const LOCAL_HOST = /^(?:localhost|127\.0\.0\.1|0\.0\.0\.0|db|postgres|redis|host|example\.(?:com|org|net))$/;
const PLACEHOLDER =
  /example|placeholder|your|change.?me|dummy|sample|redacted|xxxx|\*\*\*|\.\.\.|0{8}|1234567890|<|\$\{/i;

const SECRET_NAME =
  /(?:secret|token|passw(?:or)?d|passphrase|api_?-?key|private_?-?key|access_?-?key|signing_?-?key|credential)s?$/i;

/** A secret in a text: what it is, and where. Undefined for placeholders and for databases on the own machine. */
function findSecret(text: string): { what: string; index: number; length: number } | undefined {
  for (const [what, pattern] of FORMATS) {
    const found = pattern.exec(text);
    if (found && !PLACEHOLDER.test(found[0])) return { what, index: found.index, length: found[0].length };
  }
  const found = CONNECTION.exec(text);
  const [whole = "", user = "", password = "", host = ""] = found ?? [];
  if (
    !found ||
    LOCAL_HOST.test(host) ||
    password === user ||
    PLACEHOLDER.test(password) ||
    (/^\w{1,8}$/.test(password) && /pass/i.test(password))
  )
    return undefined;
  return { what: "A connection string with its password", index: found.index, length: whole.length };
}

/** Secrets as they stand in a file of any kind, comments and data included. */
export function secretsInText(file: string, source: string): Finding[] {
  const text = new SourceText(file, source);
  const findings: Finding[] = [];
  let offset = 0;
  for (const line of text.text.split("\n")) {
    // A key in PEM format begins on the line after its head.
    const found =
      line.length > 10
        ? findSecret(/PRIVATE KEY-----\s*$/.test(line) ? `${line}\n${nextLine(text.text, offset)}` : line)
        : undefined;
    if (found) {
      const position = text.positionAt(Buffer.byteLength(text.text.slice(0, offset + found.index)));
      findings.push({
        ...position,
        rule: RULE,
        severity: RULES[RULE].severity,
        message: `${found.what} is in the source`,
        hint: RULES[RULE].hint,
        sourceLine: masked(text.line(position.line), position.column - 1, found.length),
      });
      if (findings.length >= 100) break;
    }
    offset += line.length + 1;
  }
  return findings;
}

const nextLine = (text: string, offset: number) =>
  text.slice(text.indexOf("\n", offset) + 1).split("\n", 1)[0]!;

/** The finding is stored and shown: its first four characters say enough. */
const masked = (line: string, index: number, length: number) =>
  line.slice(0, index + 4) +
  line.slice(index + 4, index + length).replace(/\S/g, "*") +
  line.slice(index + length);

/** Secrets that are put together from parts, and random texts under the name of a secret. */
export const hardCodedSecret: Check = ({ flow, report }) => {
  const inner = new Set<object>();
  const checkNamed = (name: string | undefined, value: object | null | undefined) => {
    if (!value || name === undefined || !SECRET_NAME.test(name)) return;
    const node = unwrap(value);
    if (node.type !== "StringLiteral" || findSecret(node.value) || !looksRandom(node.value)) return;
    report(RULE, node, `"${name}" holds what looks like a secret`, { masks: true });
  };
  return {
    BinaryExpression(node) {
      const { left, right } = node as unknown as { left: object; right: object };
      inner.add(unwrap(left)).add(unwrap(right));
      if (!inner.has(node)) checkBuilt(node);
    },
    TemplateLiteral(node) {
      if ((node as unknown as { expressions: object[] }).expressions.length > 0) checkBuilt(node);
    },
    CallExpression: checkBuilt,
    KeyValueProperty(node) {
      const { key, value } = node as unknown as { key: object; value: object };
      checkNamed(propertyName(key), value);
    },
    ClassProperty(node) {
      const { key, value } = node as unknown as { key: object; value: object };
      checkNamed(propertyName(key), value);
    },
    VariableDeclarator(node) {
      const { id, init } = node as unknown as { id: { value?: string }; init?: object };
      checkNamed(id.value, init);
    },
    AssignmentExpression(node) {
      const { left, right } = node as unknown as {
        left: SyntaxNode & { value?: string; property?: object };
        right: object;
      };
      checkNamed(left.property ? propertyName(left.property) : left.value, right);
    },
  };

  /** Only where the parts come together: what hands the whole on has been reported there. */
  function checkBuilt(node: SyntaxNode): void {
    const found = secretAmong(node);
    const {
      left,
      right,
      expressions,
      arguments: args = [],
    } = node as unknown as {
      left?: object;
      right?: object;
      expressions?: object[];
      arguments?: { expression: object }[];
    };
    const parts = [left, right, ...(expressions ?? []), ...args.map(({ expression }) => expression)];
    if (!found || parts.some((part) => part && secretAmong(part))) return;
    report(RULE, node, `${found.what} is put together in the source`, { masks: true });
  }

  function secretAmong(node: object) {
    return textsOf(flow.values(node)).map(findSecret).find(Boolean);
  }
};

/** Letters and digits in no order: at least 16, and 3.5 bits of entropy for each. */
function looksRandom(value: string): boolean {
  if (!/^[\w+/=.~-]{16,512}$/.test(value) || PLACEHOLDER.test(value)) return false;
  if (
    !/\d/.test(value) ||
    !/[a-z]/i.test(value) ||
    value.split(/[-_.]/).every((word) => /^[a-z]*$|^[A-Z]*$|^\d*$/.test(word))
  )
    return false;
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits >= 3.5;
}
