import { TLS_NAMES } from 'mproxy-net/tls-flags';
import { info, loss } from '../../events.js';

export const CLIENT_CONNECTED = info(
  'client_connected',
  'client: {peer} connected to {listener}',
  'client(s) connected',
);
export const CLIENT_FAILED = info('client_failed', 'client: {peer}: {reason}', 'client(s) failed');
export const CLIENT_LEFT = info('client_left', 'client: {peer} left {listener}', 'client(s) left');

export const SENDER_CONNECTED = info(
  'sender_connected',
  'sender: {peer} connected to {listener}',
  'sender(s) connected',
);
export const SENDER_LEFT = info(
  'sender_left',
  'sender: {peer} left {listener}[: {reason}]',
  'sender(s) left',
);

export const CONNECTION_REFUSED = info(
  'connection_refused',
  'listening: {listener}: {peer} refused: {reason}',
  'connection(s) refused ({by})',
);
export const ACCEPT_FAILED = info('accept_failed', 'listening: {listener}: {reason}', 'failed accept(s)');
export const HANDSHAKE_FAILED = info(
  'tls_handshake_failed',
  "listening: {listener}: a client's TLS handshake failed: {reason}",
  'failed TLS handshake(s)',
);

export const UPSTREAM_CONNECTED = info(
  'upstream_connected',
  'upstream: {upstream}: connected to {peer}',
  'connect(s)',
);
export const UPSTREAM_FAILED = info(
  'upstream_failed',
  'upstream: {upstream}: {reason}; trying again in {retryMs:duration}',
  'failure(s) or end(s)',
);
export const UPSTREAM_ENDED = info('upstream_ended', 'upstream: {upstream}: ended');

export const DESTINATION_CONNECTED = info(
  'destination_connected',
  'sending: {destination}: connected to {peer}',
  'connect(s)',
);
export const DESTINATION_FAILED = info(
  'destination_failed',
  'sending: {destination}: {reason}; trying again in {retryMs:duration}',
  'failure(s) or end(s)',
);

export const DESTINATION_BROKEN = loss(
  'destination_broken',
  'sending: {destination}: {reason}; up to {unconfirmed:bytes} that it took may be lost; trying again in {retryMs:duration}',
  'broken connection(s)',
);
export const DESTINATION_RESET = loss(
  'destination_reset',
  'sending: {destination}: {reason} after the end of the data: its last part is lost',
  'reset(s) at the end',
);

export const CERTIFICATES_RELOADED = info('certificates_reloaded', 'tls: certificates read again');
export const TLS_INSECURE = loss(
  'tls_insecure',
  `tls: ${TLS_NAMES.tlsInsecure}: peers are not verified; anyone can pose as them`,
);
