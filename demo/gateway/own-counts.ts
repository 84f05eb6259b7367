import { ROUTES, type RouteName } from './routes.js';

/** A table of the status of a program, as /stats has it. */
interface Table {
  name: string;
  columns: { name: string }[];
  rows: (string | number | null)[][];
}

/** What the gateway counts itself. */
export interface OwnCounts {
  requests(route: RouteName): number;
  /** TLS handshakes. */
  full: number;
  resumed: number;
  failed: number;
  /** Open now. */
  connections: number;
  tunnels: number;
}

/** @param url where the gateway serves its status */
export async function readOwnCounts(url: string): Promise<OwnCounts> {
  const response = await fetch(`${url}stats`, { signal: AbortSignal.timeout(2_000) });
  const { tables } = (await response.json()) as { tables: Table[] };
  const cells = (table: string, name: string): [row: string, value: number][] => {
    const { columns, rows } = tables.find((found) => found.name === table) ?? { columns: [], rows: [] };
    const at = columns.findIndex((found) => found.name === name);
    return rows.map((row) => [String(row[0]), Number(row[at] ?? 0)]);
  };
  // Two listeners can have the same name.
  const sum = (table: string, name: string) => cells(table, name).reduce((all, [, one]) => all + one, 0);
  const requests = new Map(cells('routes', 'requests'));
  return {
    requests: (route) => requests.get(ROUTES[route]) ?? 0,
    full: sum('listeners', 'TLS full'),
    resumed: sum('listeners', 'TLS resumed'),
    failed: sum('listeners', 'TLS failed'),
    connections: sum('listeners', 'connections now'),
    tunnels: sum('tunnels', 'now'),
  };
}
