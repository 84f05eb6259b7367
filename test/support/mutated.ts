import type { Random } from './random.js';

/** What breaks messages of HTTP/1.1. */
export const ODD_PIECES = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  ':',
  '0',
  'ffffffff',
  '\0',
  'Content-Length: 1\r\n',
  'HTTP/1.1',
  '\xff',
  ';',
];

/**
 * Some texts, one behind the other, of which up to three places are cut out, filled or both.
 * @param most how many texts
 * @param cut up to so many characters of a place
 */
export function mutated(
  random: Random,
  texts: readonly string[],
  most: number,
  cut: number,
  filling: () => string,
): string {
  let text = Array.from({ length: random.integer(1, most) }, () => random.pick(texts)).join('');
  for (let i = random.integer(0, 3); i > 0; i--) {
    const at = random.integer(0, text.length);
    const end = at + random.integer(0, cut);
    text = text.slice(0, at) + (random.next() < 0.7 ? filling() : '') + text.slice(end);
  }
  return text;
}
