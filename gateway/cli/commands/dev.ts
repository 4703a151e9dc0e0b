import { command, contextOf } from "../command.ts";
import { devFunction, withFunctionOptions } from "../dev/dev-function.ts";
import { Rebuilder } from "../dev/rebuilder.ts";
import { DevTerminal } from "../dev/terminal.ts";
import { watchSources } from "../dev/watch-sources.ts";

/** `dev`: one function on a server of its own, built anew at every save. */
export const dev = withFunctionOptions(
  command("dev", "run a function and rebuild it at every save", "all"),
).action(async (path: string, options) => {
  const { config } = contextOf(options);
  const worked = await devFunction(path, options);
  const { folder, isFile, name } = worked;
  const terminal = new DevTerminal(folder, process.stdout);
  const [{ withDevServer }, { endSignal }] = await Promise.all([
    import("../dev/dev-server.ts"),
    import("../run-server.ts"),
  ]);
  await withDevServer(config, worked, terminal, async ({ url, deploy }) => {
    let shown: number | undefined;
    const rebuilder = new Rebuilder(async (changedAt) => {
      try {
        const { version, analysis } = await deploy();
        // Saved without a change, or only in a file that the function does not use.
        if (version !== shown) terminal.built(version, performance.now() - changedAt, analysis);
        shown = version;
      } catch (error) {
        shown = undefined;
        terminal.failed(error);
      }
    });
    const watcher = watchSources(folder, !isFile, () => void rebuilder.change());
    terminal.line(`${name} answers at ${url}\nCtrl+C stops it.\n`);
    await rebuilder.change();
    await endSignal();
    watcher.close();
  });
});
