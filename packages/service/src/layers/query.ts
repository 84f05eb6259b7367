/** Splits a query off a path. @returns the query with its `?`; '': none */
export function splitQuery(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at)];
}

/** One query of two, each with its `?` or ''. */
export function joinQueries(first: string, second: string): string {
  if (first === '' || second === '') return first + second;
  return `${first}&${second.slice(1)}`;
}
