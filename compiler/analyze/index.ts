export { type AnalyzeOptions, analyze } from "./analyze.ts";
export { analyzeBundle, BUNDLE_FILE } from "./analyze-bundle.ts";
