/** What can be imported and exported, in the order of the format's numbers. */
export const kinds = ["function", "table", "memory", "global", "tag"] as const;

/** How a module begins: the magic number and the version. */
export const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** Bytes of a number below 2^32 in LEB128. */
export const lebLength = (value: number): number => Math.max(1, Math.ceil((32 - Math.clz32(value)) / 7));
