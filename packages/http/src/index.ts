export * from './authority.js';
export * from './chunk-encoding.js';
export * from './chunked-decoder.js';
export * from './date.js';
export * from './field-rules.js';
export * from './fields.js';
export * from './forwarded.js';
export { FORWARDING, KNOWN, maskOf } from './known-names.js';
export { normalPath, otherReading } from './path.js';
export { HEAD_LIMITS, type HeadLimits, Rejection } from './rejection.js';
export {
  parseRequestHead,
  type RequestHead,
  RequestParser,
  type RequestParserOptions,
} from './request-parser.js';
export {
  parseResponseHead,
  type ResponseHead,
  ResponseParser,
  type ResponseParserOptions,
} from './response-parser.js';
export * from './status-text.js';
export * from './target.js';
export * from './via.js';
export * from './write-head.js';
