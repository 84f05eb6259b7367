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
  '{action}: {address}: {server} is shutting down: moving to another server',
  'move(s) to another server',
);
export const PERMISSION_DENIED = loss(
  'permission_denied',
  '{action}: {address}: {reason}; until the login has this permission {effect}',
  'denied permission(s)',
);

export const SENDING_REFUSED = loss('sending_refused', 'sending: {address}: {reason}');

export const SUBSCRIPTION_INTERRUPTED = loss(
  'subscription_interrupted',
  'receiving: {address}: disconnected for {gapMs:duration}: messages may be lost',
  'interruption(s)',
);
export const PACKETS_WRITTEN = info(
  'packets_written',
  'receiving: {address}: the first message is a MoldUDP64 packet: packets are written as they are; frame=mold writes their messages',
);
export const MESSAGES_UNCONFIRMED = loss(
  'messages_unconfirmed',
  'sending: {address}: the connection ended: up to {unconfirmed:unconfirmed message(s)} may be lost[, and {again:message(s)} may arrive twice]',
  'broken connection(s)',
);

export const STREAM_UNUSABLE = info(
  'stream_unusable',
  '{action}: {address}: stream {stream}: {reason}; trying again in {retryMs:duration}',
  'failure(s) of the stream',
);
export const MESSAGES_RESENT = info(
  'messages_resent',
  'sending: {address}: sending {messages:unacknowledged message(s)} again; the stream drops duplicates of the last {windowMs:duration}',
  'resumption(s)',
);
export const ACKNOWLEDGEMENT_LATE = info(
  'acknowledgement_late',
  'sending: {address}: no acknowledgement for {waitedMs:duration}: sending {messages:message(s)} again',
  'late acknowledgement(s)',
);
export const PUBLISH_REFUSED = info(
  'publish_refused',
  'sending: {address}: {reason}; sending again in {retryMs:duration}; the stream may already have later messages, out of order',
  'refusal(s)',
);
export const MESSAGE_REFUSED = loss(
  'message_refused',
  'sending: {address}: a message was refused: {reason}',
  'refused message(s)',
);
export const STREAM_LOST = loss(
  'stream_lost',
  'receiving: {address}: messages {first:number} to {last:number} of stream {stream} are lost: the stream removed them before they were received; check its limits',
  'range(s) of removed messages',
);
export const STREAM_REMOVED = loss(
  'stream_removed',
  'receiving: {address}: messages {first:number} to {last:number} of stream {stream} may be lost: the stream removed them, and they were not received here; check its limits',
  'range(s) of messages that may be lost',
);
export const STREAM_SKIPPED = info(
  'stream_skipped',
  'receiving: {address}: {messages:stored message(s)} of stream {stream} skipped; --from-start delivers them',
  'start(s) after stored messages',
);
export const STREAM_REPLACED = loss(
  'stream_replaced',
  'receiving: {address}: stream {stream} was created again, or its last messages were removed: continuing at message {next:number}',
  'replaced stream(s)',
);
export const CONSUMER_RENEWED = info(
  'consumer_renewed',
  'receiving: {address}: {reason}: opening the consumer of stream {stream} again',
  'resumption(s)',
);
export const CONSUMER_CREATED = info(
  'consumer_created',
  'receiving: {address}: created the durable consumer {durable} of stream {stream}',
  'created consumer(s)',
);
export const CONSUMER_RESUMED = info(
  'consumer_resumed',
  'receiving: {address}: resuming after message {floor:number} of stream {stream}[ in {waitMs:duration}][; {pending:message(s)} may arrive twice][; --from-start is for a new durable consumer, and {durable} exists]',
  'resumption(s)',
);
