import { formatFindings } from "../../../compiler/code-frame.ts";
import { command, contextOf } from "../command.ts";
import { readModuleInput, withModuleOptions } from "../module-input.ts";
import { type Deployed, sendDeployment, sendModule } from "../send-deployment.ts";

/** `deploy`: bundled here, analysed and built by the server. */
export const deploy = withModuleOptions(command("deploy", "deploy a function"))
  .argument("<name>", "name of the function")
  .argument("<path>", "its folder or file, or a WebAssembly file")
  .option("--allow-unannotated", "make a missing @function a warning")
  .option("--no-traffic", "store the version without sending requests to it; its preview answers")
  .action(async (name: string, path: string, options) => {
    const context = contextOf(options);
    const sending = {
      withoutTraffic: options.traffic === false,
      // In a script or a log the result is enough.
      ...(process.stderr.isTTY && { progress: context.note }),
    };
    const module = await readModuleInput(path, options);
    const deployed = module
      ? await sendModule(context.client, name, module, sending)
      : await sendDeployment(context.client, name, path, {
          ...sending,
          allowUnannotated: options.allowUnannotated === true,
        });
    const { findings } = deployed.analysis;
    if (findings.length > 0) context.note(formatFindings(findings, { color: process.stderr.isTTY }));
    context.print(deployed, () => described(deployed));
  });

function described({ function: fn, version, created }: Deployed): string {
  const what = created
    ? `Deployed ${fn.name}, version ${version}.`
    : `${fn.name} has this content as version ${version}.`;
  if (fn.traffic[version]) return `${what} It answers at ${fn.path}`;
  return `${what} It has no traffic; its preview answers at ${fn.previews[version]}`;
}
