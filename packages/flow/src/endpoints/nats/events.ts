import { info, loss } from '../../events.js';

/** An action is `receiving` or `sending`. */
export const SERVER_CONNECTED = info(
  'server_connected',
  '{action}: {address}: connected to {server}[ ({name})]',
  'connect(s)',
);
export const SERVER_FAILED = info(
  'server_failed',
  '{action}: {address}: {reason}; trying again in {retryMs:duration}',
  'failure(s) or end(s)',
);
export const SERVER_LEAVING = info(
  'server_leaving',
  '{action}: {address}: {server} is about to stop: moving to another server',
  'move(s) to another server',
);
export const PERMISSION_DENIED = loss(
  'permission_denied',
  '{action}: {address}: {reason}; data are lost until the login may do that',
  'denied permission(s)',
);

export const SUBSCRIPTION_INTERRUPTED = loss(
  'subscription_interrupted',
  'receiving: {address}: disconnected for {gapMs:duration}: messages may be lost',
  'interruption(s)',
);
export const MESSAGES_UNCONFIRMED = loss(
  'messages_unconfirmed',
  'sending: {address}: the connection ended: up to {unconfirmed:message(s)} that it took may be lost[, and {again:message(s)} may arrive twice]',
  'broken connection(s)',
);
