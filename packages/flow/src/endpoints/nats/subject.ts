/** Limit on a subject, in bytes: with its line it stays below the limit of servers (nats-server, max_control_line, 4096). */
const MAX_SUBJECT = 1024;

/**
 * What is wrong with a subject (NATS ADR-6); undefined: nothing.
 * @param wildcards whether `*` and `>` may stand for tokens
 */
export function subjectError(subject: string, wildcards: boolean): string | undefined {
  if (subject === '') return 'no subject';
  if (Buffer.byteLength(subject) > MAX_SUBJECT) return `a subject of more than ${MAX_SUBJECT} bytes`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\s\x00-\x1f\x7f]/.test(subject)) return 'a space or control character in the subject';
  const tokens = subject.split('.');
  if (tokens.includes('')) return 'an empty token in the subject: dots stand between tokens';
  const mixed = tokens.find((token) => token.length > 1 && /[*>]/.test(token));
  if (mixed !== undefined) return `* and > stand for whole tokens, and ${mixed} has other characters`;
  if (tokens.slice(0, -1).includes('>')) return '> can only be the last token';
  if (!wildcards && /[*>]/.test(subject)) return 'a wildcard: data are sent to one subject';
  return undefined;
}

/** Whether all that a subject stands for, one without wildcards for itself, is among what a pattern stands for. */
export function matches(pattern: string, subject: string): boolean {
  const tokens = subject.split('.');
  const parts = pattern.split('.');
  const isSame = (part: string, i: number) =>
    tokens[i] !== undefined && (part === tokens[i] || (part === '*' && tokens[i] !== '>'));
  if (parts.at(-1) === '>') return tokens.length >= parts.length && parts.slice(0, -1).every(isSame);
  return tokens.length === parts.length && parts.every(isSame);
}
