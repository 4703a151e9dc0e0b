import { dlopen, errno, priority, signals, UV_UDP_REUSEADDR } from "unenv/node/internal/os/constants";

export const constants = { UV_UDP_REUSEADDR, dlopen, errno, signals, priority };
export const EOL = "\n";
export const devNull = "/dev/null";
// A sandbox tells nothing of the machine that it runs on.
export const arch = () => "wasm32";
export const availableParallelism = () => 1;
export const cpus = () => [
  { model: "sandbox", speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } },
];
export const endianness = () => "LE";
export const freemem = () => 0;
export const totalmem = () => 0;
export const homedir = () => "/tmp";
export const hostname = () => "sandbox";
export const loadavg = () => [0, 0, 0];
export const machine = () => "wasm32";
export const networkInterfaces = () => ({});
export const platform = () => "linux";
export const release = () => "0.0.0";
export const tmpdir = () => "/tmp";
export const type = () => "Linux";
export const uptime = () => 0;
export const version = () => "";
export const userInfo = () => ({ username: "sandbox", uid: -1, gid: -1, shell: null, homedir: "/tmp" });
export const getPriority = () => 0;
export const setPriority = () => {};

export default {
  constants,
  EOL,
  devNull,
  arch,
  availableParallelism,
  cpus,
  endianness,
  freemem,
  totalmem,
  homedir,
  hostname,
  loadavg,
  machine,
  networkInterfaces,
  platform,
  release,
  tmpdir,
  type,
  uptime,
  version,
  userInfo,
  getPriority,
  setPriority,
};
