import { HEADERS } from './headers.js';
import { IP_ALLOW } from './ip-allow.js';
import type { LayerType } from './layer-type.js';
import { REDIRECT } from './redirect.js';
import { REQUEST_ID_LAYER } from './request-id.js';
import { RESPOND } from './respond.js';
import { REWRITE } from './rewrite.js';

const ALL: readonly LayerType[] = [HEADERS, REWRITE, REDIRECT, RESPOND, IP_ALLOW, REQUEST_ID_LAYER];

/** All layers that a configuration can name, by their types. */
export const LAYERS: ReadonlyMap<string, LayerType> = new Map(ALL.map((one) => [one.type, one]));
