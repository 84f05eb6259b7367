import { info, loss } from '../../events.js';

/** A transport is `udp` or `group`; the destination is given if it is a name. */
export const SENDING = info(
  'sending',
  'sending: {transport} {address}[ by interface {interface}][ for {destination}]',
);
/** A name that is resolved again while it is sent to. The reason contains it. */
export const RESOLUTION_FAILED = info('resolution_failed', '{reason}; going on with {address}');
export const RECEIVE_BUFFER_LIMITED = info('receive_buffer_limited', 'rcvbuf: {source}: {advice}');
export const SEND_BUFFER_LIMITED = info('send_buffer_limited', 'sndbuf: {destination}: {advice}');
export const EMPTY_FLOOD = loss(
  'empty_datagram_flood',
  'receiving: {source}: {count:empty datagram(s)} in a second[, the last from {from}]; an mproxy 0.1.8 reverse sends these after its TCP sender closed: restart it',
);
