import { HEADERS } from './headers.js';
import { IP_ALLOW } from './ip-allow.js';
import type { LayerType } from './layer-type.js';
import { REDIRECT } from './redirect.js';
import { REQUEST_ID_LAYER } from './request-id.js';
import { RESPOND } from './respond.js';
import { REWRITE } from './rewrite.js';
import { STATIC } from './static.js';

const ALL: readonly LayerType[] = [HEADERS, REWRITE, REDIRECT, RESPOND, STATIC, IP_ALLOW, REQUEST_ID_LAYER];

/** All layers that a configuration can name, by their types. A new one is one more word above, and a line of load.ts. */
export const LAYERS: ReadonlyMap<string, LayerType> = new Map(ALL.map((one) => [one.type, one]));
