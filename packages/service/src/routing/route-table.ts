import { MethodTable } from './method-table.js';
import { type PathEntry, PathTable } from './path-table.js';
import { type PathPattern, parsePattern } from './pattern.js';

/** What requests a route serves, and what serves them. */
export interface RouteRule<T> {
  /** Where it was written, for messages: `routes[2]`. */
  place: string;
  /** `example.com`; `*.example.com`: one or more labels before it; undefined: hosts that no other rule names. */
  host?: string | undefined;
  /** `/api` or `/api/*`, which are the same; `/users/:id`: a segment of any text. What follows a whole segment matches, too. */
  path: string;
  /** Undefined: all that no other rule of this host and path names. */
  methods?: readonly string[] | undefined;
  value: T;
}

/** What is wrong with a rule, and where. */
export interface RouteProblem {
  place: string;
  text: string;
}

type Methods<T> = MethodTable<RouteRule<T>>;
type Entries<T> = Map<string, PathEntry<Methods<T>>>;

const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const IPV6 = /^\[[0-9a-f:.]+\]$/;

/**
 * Finds the rule of a request: by the host alone first, exact before the longest wildcard; among its paths by the longest; then by the
 * method. None of the three steps is taken back.
 */
export class RouteTable<T> {
  /** Of the rules that were left out: those that are no rule, and those that another one hides. */
  readonly problems: RouteProblem[] = [];
  readonly #exact = new Map<string, PathTable<Methods<T>>>();
  /** By what follows the star: `.example.com`. */
  readonly #wildcards = new Map<string, PathTable<Methods<T>>>();
  #others: PathTable<Methods<T>> | undefined;

  constructor(rules: readonly RouteRule<T>[]) {
    const hosts = new Map<string | undefined, Entries<T>>();
    for (const rule of rules) this.#add(rule, hosts);
    for (const [host, entries] of hosts) {
      const table = new PathTable([...entries.values()]);
      if (host === undefined) this.#others = table;
      else if (host.startsWith('*')) this.#wildcards.set(host.slice(1), table);
      else this.#exact.set(host, table);
    }
  }

  /** @param host in lower case, without port and trailing dot @param path normalised, or `*` */
  find(host: string, path: string): PathEntry<Methods<T>> | undefined {
    const exact = this.#exact.size === 0 ? undefined : this.#exact.get(host);
    const table = exact ?? this.#findWildcard(host) ?? this.#others;
    return table?.find(path === '*' ? '/' : path);
  }

  #findWildcard(host: string): PathTable<Methods<T>> | undefined {
    if (this.#wildcards.size === 0) return undefined;
    // A label stands before the dot.
    for (let dot = host.indexOf('.', 1); dot > 0; dot = host.indexOf('.', dot + 1)) {
      const table = this.#wildcards.get(host.slice(dot));
      if (table) return table;
    }
    return undefined;
  }

  #add(rule: RouteRule<T>, hosts: Map<string | undefined, Entries<T>>): void {
    const problem = (text: string) => this.problems.push({ place: rule.place, text });
    const host = rule.host?.toLowerCase().replace(/\.$/, '');
    if (host !== undefined && !IPV6.test(host) && !LABELS.test(host.replace(/^\*\./, ''))) {
      problem(`host ${rule.host}: expected a host name without a port, or one like *.example.com`);
      return;
    }
    const pattern = parsePattern(rule.path);
    if (typeof pattern === 'string') {
      problem(`path ${rule.path}: ${pattern}`);
      return;
    }
    const entries = hosts.get(host) ?? new Map();
    hosts.set(host, entries);
    const entry = entryOf(entries, pattern);
    const hidden = entry.value.add(rule.methods, rule);
    if (!hidden) return;
    const same = hidden.method === undefined ? 'host and path' : `host, path and method ${hidden.method}`;
    problem(`hidden by ${hidden.by.place}, which has the same ${same}`);
  }
}

/** What a host has for a path; parameters are equal, whatever their names. */
function entryOf<T>(entries: Entries<T>, pattern: PathPattern): PathEntry<Methods<T>> {
  const key = pattern.segments.map((segment) => segment ?? ':').join('/');
  const entry = entries.get(key) ?? { pattern, value: new MethodTable() };
  entries.set(key, entry);
  return entry;
}
