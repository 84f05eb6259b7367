import { isFieldValue, isToken } from './field-rules.js';

/** One hop of Forwarded (RFC 7239). Addresses of IPv6 are in brackets: `[2001:db8::1]:8080`. */
export interface ForwardedElement {
  for?: string;
  by?: string;
  host?: string;
  proto?: string;
}

const PAIR = /[ \t]*([!#$%&'*+\-.^_`|~\w]+)=(?:([!#$%&'*+\-.^_`|~\w]+)|"((?:[^"\\]|\\.)*)")[ \t]*/y;

/** The elements of Forwarded, nearest proxy last; parameters other than the four are left out. Undefined: it is malformed. */
export function parseForwarded(value: string): ForwardedElement[] | undefined {
  const elements: ForwardedElement[] = [];
  let element = new Map<string, string>();
  let at = 0;
  for (;;) {
    PAIR.lastIndex = at;
    const match = PAIR.exec(value);
    if (!match) return undefined;
    at = PAIR.lastIndex;
    const name = match[1]!.toLowerCase();
    if (element.has(name)) return undefined;
    element.set(name, match[2] ?? match[3]!.replace(/\\(.)/g, '$1'));
    const next = value[at++];
    if (next === ';') continue;
    elements.push(pick(element));
    element = new Map();
    if (next === undefined) return elements;
    if (next !== ',') return undefined;
  }
}

const NAMES = ['for', 'by', 'host', 'proto'] as const;

function pick(element: Map<string, string>): ForwardedElement {
  const known: ForwardedElement = {};
  for (const name of NAMES) {
    const value = element.get(name);
    if (value !== undefined) known[name] = value;
  }
  return known;
}

/** @throws a RangeError if a value cannot stand in a field */
export function formatForwarded(element: ForwardedElement): string {
  return NAMES.filter((name) => element[name] !== undefined)
    .map((name) => `${name}=${quoted(element[name]!)}`)
    .join(';');
}

function quoted(value: string): string {
  if (isToken(value)) return value;
  if (!isFieldValue(value)) throw new RangeError(`invalid value of Forwarded: ${JSON.stringify(value)}`);
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
