import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { CliError } from "../cli-error.ts";
import { functionNameOf } from "../dev/dev-function.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const TEMPLATES = ["basics", "http", "database", "hono"] as const;

/** Packages that a template needs. */
const DEPENDENCIES: Partial<Record<(typeof TEMPLATES)[number], Record<string, string>>> = {
  hono: { hono: "^4.13.0" },
};

/** `init`: a folder to begin with. Needs neither a server nor settings. */
export const init = new Command("init")
  .description("make a new function, typed and with a test")
  .argument("<folder>", "where; it must be new or empty")
  .addOption(new Option("-t, --template <name>", "what to begin with").choices(TEMPLATES).default("basics"))
  .option("--json", "print one JSON document")
  .action(async (folder: string, options: { template: (typeof TEMPLATES)[number]; json?: boolean }) => {
    const { template } = options;
    const target = resolve(folder);
    await makeEmpty(target, folder);
    const name = functionNameOf(target);
    const source = join(ROOT, "templates", template);
    for (const file of await readdir(source)) await copyFile(join(source, file), join(target, file));
    await copyFile(join(ROOT, "examples/thimble.d.ts"), join(target, "thimble.d.ts"));
    const dependencies = DEPENDENCIES[template];
    await writeJson(join(target, "package.json"), {
      name,
      private: true,
      type: "module",
      main: "index.ts",
      ...(dependencies && { dependencies }),
      devDependencies: { "@types/node": "^26.0.0" },
    });
    await writeJson(join(target, "tsconfig.json"), TSCONFIG);
    const files = (await readdir(target)).sort();
    const shown = relative(process.cwd(), target) || ".";
    const next = nextSteps(shown, name, dependencies !== undefined);
    process.stdout.write(
      `${options.json ? JSON.stringify({ folder: target, name, files, next }) : told(shown, next)}\n`,
    );
  });

const TSCONFIG = {
  compilerOptions: {
    target: "esnext",
    module: "nodenext",
    lib: ["esnext", "dom", "dom.iterable"],
    types: ["node"],
    noEmit: true,
    strict: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  },
};

async function makeEmpty(target: string, shown: string): Promise<void> {
  await mkdir(target, { recursive: true }).catch((cause: unknown) => {
    throw new CliError(`cannot make ${shown}`, { exitCode: 2, code: "usage", cause });
  });
  if ((await readdir(target)).length > 0) {
    throw new CliError(`${shown} is not empty`, { exitCode: 2, code: "usage" });
  }
}

const writeJson = (path: string, value: unknown) => writeFile(path, `${JSON.stringify(value, null, 2)}\n`);

function nextSteps(folder: string, name: string, packages: boolean): string[] {
  return [
    ...(packages ? [`npm install --prefix ${folder}`] : []),
    `npx thimble dev ${folder}`,
    `npx thimble test ${folder}`,
    `npx thimble deploy ${name} ${folder}`,
  ];
}

const told = (folder: string, next: string[]) =>
  [`Made ${folder}. Next:`, "", ...next.map((step) => `  ${step}`)].join("\n");
