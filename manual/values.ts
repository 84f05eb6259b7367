import type { Flag } from 'mproxy-base';

/** How a flag's value is completed. */
export type Values = { kind: 'none' | 'text' | 'file' | 'interface' } | { kind: 'words'; words: string[] };

export function valuesOf({ name, value, choices }: Flag): Values {
  if (value === undefined) return { kind: 'none' };
  if (name === '--interface') return { kind: 'interface' };
  if (value.split('|').includes('FILE')) return { kind: 'file' };
  if (choices) return { kind: 'words', words: [...choices] };
  if (/^[a-z]+(\|[a-z]+)+$/.test(value)) return { kind: 'words', words: value.split('|') };
  return { kind: 'text' };
}

/** The names of a flag, the short one first. */
export function namesOf({ name, short }: Flag): string[] {
  return short === undefined ? [name] : [short, name];
}
