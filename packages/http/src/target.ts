import { parseAuthority } from './authority.js';
import { normalPath } from './path.js';
import { Rejection } from './rejection.js';

export type TargetForm = 'origin' | 'absolute' | 'authority' | 'asterisk';

/** A request target (RFC 9112, section 3.2). */
export interface Target {
  readonly form: TargetForm;
  /** Of the absolute form. */
  readonly scheme: 'http' | 'https' | undefined;
  /** Of the absolute and the authority form, as it was sent, and its host, as in {@link parseAuthority}. */
  readonly authority: string | undefined;
  readonly host: string | undefined;
  /** Normal (see {@link normalPath}), or `*`; '' in the authority form. */
  readonly path: string;
  /** With its `?`; '': none. */
  readonly query: string;
  /** The origin form of path and query, and nothing else, was sent. */
  readonly isPlain: boolean;
}

const FORM = new Rejection(400, 'invalid request target');
const FOREIGN = new Rejection(400, 'authority of the request target is invalid');

/** Reads a target in the form that its method has. @param target bytes 0x21 to 0x7E without `#` */
export function parseTarget(method: string, target: string): Target | Rejection {
  if (method === 'CONNECT') return connectTarget(target);
  if (target.charCodeAt(0) === 0x2f) return pathTarget('origin', target, undefined, undefined, undefined);
  if (target === '*') return method === 'OPTIONS' ? ASTERISK : FORM;
  const match = /^(https?):\/\/([^/?]*)(.*)$/i.exec(target);
  if (!match) return FORM;
  const [, scheme, authority, rest] = match as unknown as [string, string, string, string];
  const parsed = parseAuthority(authority);
  if (!parsed) return FOREIGN;
  // RFC 9112, section 3.2.4.
  const path = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
  return pathTarget('absolute', path, scheme.toLowerCase() as 'http' | 'https', authority, parsed.host);
}

const ASTERISK: Target = {
  form: 'asterisk',
  scheme: undefined,
  authority: undefined,
  host: undefined,
  path: '*',
  query: '',
  isPlain: false,
};

function connectTarget(target: string): Target | Rejection {
  const parsed = parseAuthority(target);
  if (parsed?.port === undefined) return FOREIGN;
  return { ...ASTERISK, form: 'authority', authority: target, host: parsed.host, path: '' };
}

function pathTarget(
  form: TargetForm,
  rest: string,
  scheme: 'http' | 'https' | undefined,
  authority: string | undefined,
  host: string | undefined,
): Target | Rejection {
  const mark = rest.indexOf('?');
  const sent = mark < 0 ? rest : rest.slice(0, mark);
  const path = rest === '*' ? rest : normalPath(sent);
  if (path instanceof Rejection) return path;
  const query = mark < 0 ? '' : rest.slice(mark);
  return { form, scheme, authority, host, path, query, isPlain: form === 'origin' && path === sent };
}
