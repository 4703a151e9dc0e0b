import { formatFindings } from "../../../compiler/code-frame.ts";
import { command, contextOf } from "../command.ts";
import { readModuleInput, withModuleOptions } from "../module-input.ts";
import { sendDeployment, sendModule } from "../send-deployment.ts";

/** `deploy`: bundled here, analysed and built by the server. */
export const deploy = withModuleOptions(command("deploy", "deploy a function"))
  .argument("<name>", "name of the function")
  .argument("<path>", "its folder or file, or a WebAssembly file")
  .option("--allow-unannotated", "make a missing @function a warning")
  .action(async (name: string, path: string, options) => {
    const context = contextOf(options);
    const module = await readModuleInput(path, options);
    const deployed = module
      ? await sendModule(context.client, name, module)
      : await sendDeployment(context.client, name, path, options.allowUnannotated === true);
    const { findings } = deployed.analysis;
    if (findings.length > 0) context.note(formatFindings(findings, { color: process.stderr.isTTY }));
    context.print(
      deployed,
      () => `Deployed ${name}, version ${deployed.version}. It answers at ${deployed.function.path}`,
    );
  });
