import { unsupported } from "./errors.ts";

export const isatty = (): boolean => false;
export const ReadStream = unsupported("tty", "ReadStream");
export const WriteStream = unsupported("tty", "WriteStream");
export default { isatty, ReadStream, WriteStream };
