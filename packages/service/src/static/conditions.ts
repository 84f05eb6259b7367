import type { Fields } from 'mproxy-http';
import { parseHttpDate } from 'mproxy-http/date';

/** What identifies the state of a file. */
export interface Validators {
  /** A strong entity tag, quoted. */
  etag: string;
  /** Milliseconds since 1970, whole seconds. */
  modified: number;
}

/**
 * Evaluates the preconditions of a GET or HEAD (RFC 9110, section 13.2.2).
 * @returns the status to answer with; undefined: they hold
 */
export function failedPrecondition(fields: Fields, { etag, modified }: Validators): 304 | 412 | undefined {
  const ifMatch = fields.get('if-match');
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, etag, false)) return 412;
  } else {
    const date = dateOf(fields, 'if-unmodified-since');
    if (date !== undefined && modified > date) return 412;
  }
  const ifNoneMatch = fields.get('if-none-match');
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, etag, true) ? 304 : undefined;
  const date = dateOf(fields, 'if-modified-since');
  return date !== undefined && modified <= date ? 304 : undefined;
}

/** Whether Range is to be regarded, by If-Range (section 13.1.5). A date has to be exactly the file's. */
export function rangeHolds(fields: Fields, { etag, modified }: Validators): boolean {
  const condition = fields.get('if-range');
  if (condition === undefined) return true;
  return condition === etag || dateOf(fields, 'if-range') === modified;
}

const TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/;

/** Whether a list of entity tags has one. @param weak whether weak ones count (section 8.8.3.2) */
function lists(value: string, etag: string, weak: boolean): boolean {
  if (value === '*') return true;
  for (let rest = value; ; ) {
    rest = rest.replace(/^[ \t,]+/, '');
    const [whole, isWeak, tag] = TAG.exec(rest) ?? [];
    if (whole === undefined) return false;
    if (tag === etag && (weak || isWeak === undefined)) return true;
    rest = rest.slice(whole.length);
  }
}

function dateOf(fields: Fields, name: string): number | undefined {
  const value = fields.get(name);
  return value === undefined ? undefined : parseHttpDate(value);
}
