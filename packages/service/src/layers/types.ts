import { HEADERS } from './headers.js';
import { IP_ALLOW } from './ip-allow.js';
import type { LayerType } from './layer-type.js';
import { REDIRECT } from './redirect.js';
import { REQUEST_ID_LAYER } from './request-id.js';
import { RESPOND } from './respond.js';
import { REWRITE } from './rewrite.js';
import { STATIC } from './static.js';

/** The layers that a configuration can name. A new one is one more line here. */
export const LAYERS: Readonly<Record<string, LayerType>> = Object.fromEntries(
  [HEADERS, REWRITE, REDIRECT, RESPOND, STATIC, IP_ALLOW, REQUEST_ID_LAYER].map((one) => [one.type, one]),
);
