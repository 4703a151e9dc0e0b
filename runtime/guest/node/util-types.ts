const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);
const tagged =
  (...tags: string[]) =>
  (value: unknown): boolean =>
    typeof value === "object" && value !== null && tags.includes(tagOf(value));
const getTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;
const arrayTag = (value: unknown): string | undefined => getTag.call(value) as string | undefined;
const arrayOf = (tag: string) => (value: unknown) => arrayTag(value) === tag;
const functionTag =
  (...tags: string[]) =>
  (value: unknown): boolean =>
    typeof value === "function" && tags.includes(tagOf(value));

export const isAnyArrayBuffer = tagged("ArrayBuffer", "SharedArrayBuffer");
export const isArgumentsObject = tagged("Arguments");
export const isArrayBuffer = tagged("ArrayBuffer");
export const isArrayBufferView = (value: unknown): value is ArrayBufferView => ArrayBuffer.isView(value);
export const isAsyncFunction = functionTag("AsyncFunction", "AsyncGeneratorFunction");
export const isBigInt64Array = arrayOf("BigInt64Array");
export const isBigUint64Array = arrayOf("BigUint64Array");
export const isBigIntObject = (value: unknown): boolean => value instanceof BigInt;
export const isBooleanObject = (value: unknown): boolean => value instanceof Boolean;
export const isBoxedPrimitive = (value: unknown): boolean =>
  value instanceof Number ||
  value instanceof String ||
  value instanceof Boolean ||
  value instanceof BigInt ||
  value instanceof Symbol;
export const isCryptoKey = (value: unknown): boolean => value instanceof CryptoKey;
export const isDataView = tagged("DataView");
export const isDate = (value: unknown): value is Date => value instanceof Date;
export const isExternal = (): boolean => false;
export const isFloat32Array = arrayOf("Float32Array");
export const isFloat64Array = arrayOf("Float64Array");
export const isGeneratorFunction = functionTag("GeneratorFunction", "AsyncGeneratorFunction");
export const isGeneratorObject = tagged("Generator", "AsyncGenerator");
export const isInt8Array = arrayOf("Int8Array");
export const isInt16Array = arrayOf("Int16Array");
export const isInt32Array = arrayOf("Int32Array");
export const isKeyObject = tagged("KeyObject");
export const isMap = (value: unknown): boolean => value instanceof Map;
export const isMapIterator = tagged("Map Iterator");
export const isModuleNamespaceObject = tagged("Module");
export const isNativeError = (value: unknown): boolean => value instanceof Error;
export const isNumberObject = (value: unknown): boolean => value instanceof Number;
export const isPromise = (value: unknown): boolean => value instanceof Promise;
export const isProxy = (): boolean => false;
export const isRegExp = (value: unknown): value is RegExp => value instanceof RegExp;
export const isSet = (value: unknown): boolean => value instanceof Set;
export const isSetIterator = tagged("Set Iterator");
export const isSharedArrayBuffer = tagged("SharedArrayBuffer");
export const isStringObject = (value: unknown): boolean => value instanceof String;
export const isSymbolObject = (value: unknown): boolean => value instanceof Symbol;
export const isTypedArray = (value: unknown): boolean => arrayTag(value) !== undefined;
export const isUint8Array = arrayOf("Uint8Array");
export const isUint8ClampedArray = arrayOf("Uint8ClampedArray");
export const isUint16Array = arrayOf("Uint16Array");
export const isUint32Array = arrayOf("Uint32Array");
export const isWeakMap = (value: unknown): boolean => value instanceof WeakMap;
export const isWeakSet = (value: unknown): boolean => value instanceof WeakSet;

export default {
  isAnyArrayBuffer,
  isArgumentsObject,
  isArrayBuffer,
  isArrayBufferView,
  isAsyncFunction,
  isBigInt64Array,
  isBigUint64Array,
  isBigIntObject,
  isBooleanObject,
  isBoxedPrimitive,
  isCryptoKey,
  isDataView,
  isDate,
  isExternal,
  isFloat32Array,
  isFloat64Array,
  isGeneratorFunction,
  isGeneratorObject,
  isInt8Array,
  isInt16Array,
  isInt32Array,
  isKeyObject,
  isMap,
  isMapIterator,
  isModuleNamespaceObject,
  isNativeError,
  isNumberObject,
  isPromise,
  isProxy,
  isRegExp,
  isSet,
  isSetIterator,
  isSharedArrayBuffer,
  isStringObject,
  isSymbolObject,
  isTypedArray,
  isUint8Array,
  isUint8ClampedArray,
  isUint16Array,
  isUint32Array,
  isWeakMap,
  isWeakSet,
};
