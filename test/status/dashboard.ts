import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../../../packaging/grafana/mproxy.json', import.meta.url));

interface Reference {
  type: string;
  uid: string;
}

export interface Target {
  refId: string;
  datasource: Reference;
  expr: string;
  legendFormat: string;
}

export interface Panel {
  id: number;
  title: string;
  type: string;
  datasource: Reference;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: { defaults: { unit: string } };
  targets: Target[];
}

/** What Grafana imports (its dashboard JSON model), as far as it is checked. */
export interface Dashboard {
  uid: string;
  title: string;
  schemaVersion: number;
  templating: { list: { name: string; type: string; query: string | { query: string } }[] };
  panels: Panel[];
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(FILE, 'utf8'));
}

/** Variables that Grafana sets itself, with a value, and those that select programs, with all of these. */
export const VALUES: Record<string, string> = {
  $__rate_interval: '20s',
  $__range: '1m',
  $job: '.+',
  $instance: '.+',
};

/** An expression as Grafana sends it to Prometheus; a variable without a value stays. */
export function filled({ expr }: Target): string {
  return expr.replace(/\$\w+/g, (name) => VALUES[name] ?? name);
}
