/** Bytes of a file: from the first to before the end. */
export interface Range {
  start: number;
  end: number;
}

const MOST = 16;
const SPEC = /^[ \t]*(\d*)-(\d*)[ \t]*$/;

/**
 * Reads a Range (RFC 9110, section 14.2).
 * @returns the ranges that can be satisfied, in the order asked for; none: none can; undefined: the whole file is to be sent, as the field is
 * not understood, or asks for more than 16 ranges, or for more bytes than the file has, with which ranges that overlap would multiply it
 */
export function parseRange(value: string, size: number): Range[] | undefined {
  const [, list] = /^bytes=(.*)$/i.exec(value) ?? [];
  if (list === undefined) return undefined;
  const specs = list.split(',', MOST + 1);
  if (specs.length > MOST) return undefined;
  const ranges: Range[] = [];
  for (const spec of specs) {
    const [, first, last] = SPEC.exec(spec) ?? [];
    if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
    if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
    const range =
      first === ''
        ? { start: Math.max(0, size - Number(last)), end: size }
        : { start: Number(first), end: last === '' ? size : Math.min(size, Number(last) + 1) };
    if (range.start < range.end) ranges.push(range);
  }
  const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  return bytes > size ? undefined : ranges;
}
