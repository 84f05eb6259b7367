/**
 * A table of Markdown.
 *
 * @param words how many of the first columns hold words, which stand at the left
 */
export function table(heads: string[], rows: string[][], words = heads.length): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const rule = line(heads.map((_, i) => (i < words ? '---' : '---:')));
  return [line(heads), rule, ...rows.map(line)].join('\n');
}
