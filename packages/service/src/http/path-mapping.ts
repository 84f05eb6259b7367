import { type Context, ExtensionKey } from '../context.js';

/** How paths of the client and of the upstream correspond: what is `outer` followed by a rest there is `inner` followed by it here. */
export interface PathMapping {
  /** `/api`, without a slash at its end; '': nothing. */
  readonly outer: string;
  readonly inner: string;
}

/** Of a request whose path was changed by prefixes: Location and the Path of cookies are mapped back by it. */
export const PATH_MAPPING = new ExtensionKey<PathMapping>('path mapping');

/** Notes that the prefix of a path was replaced, after what was replaced before. */
export function addPathMapping(context: Context, { outer, inner }: PathMapping): void {
  const before = context.get(PATH_MAPPING) ?? { outer: '', inner: '' };
  // Both are prefixes of one path: one of them is a prefix of the other.
  context.set(PATH_MAPPING, {
    outer: before.outer + outer.slice(before.inner.length),
    inner: inner + before.inner.slice(outer.length),
  });
}
