/**
 * A Markdown table.
 * @param words number of leading text columns, which are left-aligned
 */
export function table(heads: string[], rows: string[][], words = heads.length): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const rule = line(heads.map((_, i) => (i < words ? '---' : '---:')));
  return [line(heads), rule, ...rows.map(line)].join('\n');
}
