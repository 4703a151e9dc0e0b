/** What an `Intl.Locale` tells: as properties, and as methods. */
export const localeGetters = [
  "baseName",
  "calendar",
  "caseFirst",
  "collation",
  "hourCycle",
  "language",
  "numberingSystem",
  "numeric",
  "region",
  "script",
  "variants",
  "firstDayOfWeek",
] as const;
export const localeMethods = [
  "getCalendars",
  "getCollations",
  "getHourCycles",
  "getNumberingSystems",
  "getTextInfo",
  "getTimeZones",
  "getWeekInfo",
] as const;
