import type { Place } from '../config-place.js';
import type { Keys, ValuesOf } from '../config-table.js';
import type { HttpContext, HttpLayer } from '../http/message.js';

/** What the layers of a server share. */
export interface LayerSetup {
  /** Whether the peer is a trusted proxy, whose forwarding fields are believed. */
  isTrusted(context: HttpContext): boolean;
}

/** A layer that a configuration can name. */
export interface LayerType<K extends Keys = Keys> {
  /** `ip_allow` */
  readonly type: string;
  /** One sentence for the docs. */
  readonly help: string;
  readonly keys: K;
  /** Reports what is wrong between the values of keys. */
  check?(values: ValuesOf<K>, place: Place): void;
  /** @param values as its keys have read them: plain data */
  layer(values: ValuesOf<K>, setup: LayerSetup): HttpLayer;
}

export function layerType<const K extends Keys>(definition: LayerType<K>): LayerType<K> {
  return definition;
}
