/** One row of the table: what the Web Platform Tests say about one part of the platform. */
export interface Area {
  name: string;
  /** Folders or files, relative to the tests' root. */
  paths: string[];
  /** Files that are left out, by a part of their path, and why. */
  excluded?: Record<string, string>;
}

const harnessOnly = "checks interface definitions of a browser's global scope";
const network = "needs the tests' own HTTP server";

/** What is run when no path is given. */
export const areas: Area[] = [
  { name: "URL, URLSearchParams", paths: ["url"], excluded: { idlharness: harnessOnly } },
  {
    name: "URLPattern",
    paths: ["urlpattern"],
    excluded: { generate: "is a proposal", "https.any": "is the same for pages with https" },
  },
  {
    name: "encoding",
    paths: ["encoding"],
    excluded: { idlharness: harnessOnly, "encoding/streams/": "counted with streams" },
  },
  {
    name: "Headers",
    paths: ["fetch/api/headers"],
    excluded: { "headers-no-cors": "no-cors is for browsers" },
  },
  {
    name: "Request",
    paths: ["fetch/api/request"],
    excluded: {
      "request-headers": "forbidden header names are for browsers",
      "request-cache": network,
      "request-keepalive": network,
      "request-upload": network,
      destination: "destinations are for browsers",
      "request-init-priority": network,
      "request-bad-port": network,
    },
  },
  {
    name: "Response",
    paths: ["fetch/api/response", "fetch/api/body"],
    excluded: {
      "response-cancel-stream": network,
      "response-error-from-stream": network,
      "response-stream-disturbed": "needs the tests' own HTTP server",
      "response-blob-realm": harnessOnly,
      "response-body-read-task-handling": "needs a document",
    },
  },
  { name: "FormData", paths: ["xhr/formdata"] },
  {
    name: "Blob, File",
    paths: ["FileAPI/blob", "FileAPI/file", "FileAPI/reading-data-section"],
    excluded: {
      filereader: "FileReader is for browsers",
      FileReader: "FileReader is for browsers",
      "Determining-Encoding": "FileReader is for browsers",
    },
  },
  { name: "AbortController, AbortSignal", paths: ["dom/abort"], excluded: { shadowrealm: "is a proposal" } },
  { name: "EventTarget, Event", paths: ["dom/events"] },
  { name: "structuredClone", paths: ["html/webappapis/structured-clone"] },
  { name: "atob, btoa", paths: ["html/webappapis/atob"] },
  { name: "timers, microtasks", paths: ["html/webappapis/timers", "html/webappapis/microtask-queuing"] },
  {
    name: "streams",
    paths: ["streams", "encoding/streams"],
    excluded: {
      idlharness: harnessOnly,
      transferable: "streams are not transferred: there are no workers",
      realms: "a function has one realm",
      "owning-type": "is a proposal",
      shadowrealm: "is a proposal",
    },
  },
  { name: "CompressionStream", paths: ["compression"], excluded: { idlharness: harnessOnly } },
  {
    name: "WebCrypto",
    paths: ["WebCryptoAPI"],
    excluded: { idlharness: harnessOnly, historical: "is about pages without https" },
  },
  { name: "performance", paths: ["hr-time"], excluded: { idlharness: harnessOnly } },
  { name: "console", paths: ["console"], excluded: { idlharness: harnessOnly } },
];
