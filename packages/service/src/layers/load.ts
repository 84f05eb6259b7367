import type { LayerType } from './layer-type.js';

/** One for each of LAYERS (see types.ts). */
const LOADS: Readonly<Record<string, () => Promise<LayerType>>> = {
  headers: async () => (await import('./headers.js')).HEADERS,
  rewrite: async () => (await import('./rewrite.js')).REWRITE,
  redirect: async () => (await import('./redirect.js')).REDIRECT,
  respond: async () => (await import('./respond.js')).RESPOND,
  static: async () => (await import('./static.js')).STATIC,
  ip_allow: async () => (await import('./ip-allow.js')).IP_ALLOW,
  request_id: async () => (await import('./request-id.js')).REQUEST_ID_LAYER,
};

/** Loads a layer by its type, and no other. @throws RangeError if there is no such type */
export async function loadLayer(type: string): Promise<LayerType> {
  const load = Object.hasOwn(LOADS, type) ? LOADS[type] : undefined;
  if (!load) throw new RangeError(`${type}: there is no such layer`);
  return load();
}
