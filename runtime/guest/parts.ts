/** Parts of the guest library that are not in the base image, but loaded when they are first used. */
export const partNames = ["streams", "urlPattern", "intl", "sql", "inspection"] as const;
export type PartName = (typeof partNames)[number];
