import { showNumber } from 'mproxy-base';
import type { Cell, Column, FigureTable } from 'mproxy-flow';
import { showCell } from 'mproxy-flow/figures';

/** The lines of tables of figures, one below the other. Each counter of requests or the like has its rate beside it. */
export function linesOfFigures(
  tables: readonly FigureTable[],
  last: readonly FigureTable[],
  elapsed: number,
): string[] {
  return tables.flatMap((table, i) => {
    const columns = table.columns.flatMap((column) =>
      isRated(column) ? [column, rateOf(column)] : [column],
    );
    const heads = columns.map(({ name }, column) => (column === 0 ? table.name : name));
    const rows = table.rows.map((row, j) => cellsOf(table.columns, row, last[i]?.rows[j], elapsed));
    return aligned([heads, ...rows], columns);
  });
}

/** @param elapsed since the last rows, in milliseconds */
function cellsOf(
  columns: readonly Column[],
  row: readonly Cell[],
  last: readonly Cell[] | undefined,
  elapsed: number,
): string[] {
  return columns.flatMap((column, i) => {
    const cell = row[i];
    const shown = showCell(cell, column);
    if (!isRated(column)) return [shown];
    const before = Number(last?.[i] ?? 0);
    const rate = elapsed > 0 && typeof cell === 'number' ? ((cell - before) / elapsed) * 1000 : 0;
    return [shown, showNumber(Math.max(0, Math.round(rate)))];
  });
}

function isRated({ unit }: Column): boolean {
  return unit === 'counter';
}

function rateOf({ name, unit }: Column): Column {
  return { name: `${name}/s`, unit };
}

function aligned(table: readonly string[][], columns: readonly Column[]): string[] {
  const widths = columns.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const isText = (column: number) => ['text', 'state'].includes(columns[column]!.unit);
  const padded = (cell: string, column: number) =>
    isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return table.map((row) => row.map(padded).join('  ').trimEnd());
}
