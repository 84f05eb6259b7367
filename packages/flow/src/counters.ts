import { reason, showBytes, showDuration, showNumber } from 'mproxy-base';
import { ALLOW_NAME } from 'mproxy-net/networks';
import { always, type Counters, ifAny, type Metric, ofSink } from './counter.js';
import type { SinkCounts, SourceCounts } from './counts.js';
import { MOLD_RECEIVED, MOLD_SENT } from './endpoints/mold/counters.js';
import { counted } from './events.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** Limit on addresses listed in a report. */
const MAX_PEERS = 4;

const totals = (datagrams: number, { bytes }: { bytes: number }) =>
  `${counted(datagrams, 'datagram(s)')} ${showBytes(bytes)}`;

const nowAndEver = (words: string, now: number, ever = 0) =>
  `${counted(now, words)} now ${showNumber(ever)} ever`;

const dropped = (count: number) => `dropped ${counted(count, 'datagram(s)')}`;
const droppedBecause = (reason: string): Metric => {
  return { name: 'received_dropped_datagrams', reason, help: 'Datagrams dropped, by reason.' };
};
const REFUSED_SENDERS: Metric = {
  name: 'refused_senders',
  help: 'Connections to a TCP listener that were refused.',
};
const ofClients =
  (name: string) =>
  ({ clients }: SinkCounts): Metric | undefined =>
    clients && { name, names: 'listener' };
const isUdp = ({ connections }: SourceCounts) => !connections;
/** Missing messages of a session are requested again. */
const isFinal = ({ mold }: SourceCounts) => !mold;

/** All counters of sources. */
export const SOURCE_COUNTERS: Counters<SourceCounts, Source> = {
  datagrams: {
    help: 'Datagrams received, or made of a received stream.',
    metric: { name: 'received_datagrams' },
    stats: totals,
  },
  bytes: { help: 'Bytes of these datagrams.', metric: { name: 'received_bytes' } },
  empty: {
    help: 'Datagrams without payload.',
    metric: { name: 'received_empty_datagrams' },
    stats: ifAny('empty datagram(s)'),
  },
  'connections.now': {
    help: 'Connections at present.',
    metric: { name: 'source_connections' },
    gauge: true,
    stats: (now, { connections }) => nowAndEver('connection(s)', now, connections?.ever),
  },
  'connections.ever': { help: 'Connections since the start.', metric: { name: 'source_connects' } },
  reconnects: {
    help: 'Times that an input was connected or opened again.',
    metric: { name: 'reconnects' },
    stats: ifAny('reconnect(s)'),
  },
  refused: {
    help: 'Datagrams, or connections to a TCP listener, that were refused.',
    metric: ({ connections }) => (connections ? REFUSED_SENDERS : droppedBecause('not_allowed')),
    stats: (count, { connections }) => ifAny(`refused ${connections ? 'connection' : 'datagram'}(s)`)(count),
    // The listener reports refused connections.
    loss: { order: 1, applies: isUdp, lost: dropped, reason: `${ALLOW_NAME} does not name their sender` },
  },
  timedOut: {
    help: 'Senders disconnected after --sender-timeout.',
    metric: { name: 'timed_out_senders' },
    stats: ifAny('timed-out sender(s)'),
  },
  brokenLines: {
    help: 'Lines cut short by a disconnect.',
    metric: { name: 'broken_lines' },
    stats: ifAny('broken line(s)'),
    loss: { order: 6, lost: always('line(s) cut short by a disconnect') },
  },
  discarded: {
    help: 'Messages discarded because they are too long or incomplete.',
    metric: { name: 'discarded_messages' },
    stats: ifAny('discarded message(s)'),
    loss: {
      order: 5,
      lost: always('message(s) discarded'),
      reason: 'longer than 65,507 bytes, or cut short by a disconnect',
    },
  },
  interruptedMs: {
    help: 'Time without a connection, in which messages may be lost.',
    metric: { name: 'nats_interrupted_seconds', divisor: 1000 },
    stats: (ms) => (ms > 0 ? `interrupted ${showDuration(ms)}` : undefined),
    loss: {
      order: 4,
      isOther: true,
      isTold: true,
      lost: (ms) => `was disconnected for ${showDuration(ms)}`,
      reason: 'messages of that time may be lost',
    },
  },
  duplicates: {
    help: 'Messages received again, which were not delivered again.',
    metric: { name: 'nats_duplicate_messages' },
    stats: ifAny('duplicate(s)'),
  },
  lost: {
    help: 'Messages that the stream removed before they were received.',
    metric: { name: 'nats_lost_messages' },
    stats: ifAny('message(s) lost'),
    loss: {
      order: 4,
      lost: always('message(s) lost'),
      reason: 'they were removed before they were received',
    },
  },
  kernelDropped: {
    help: 'Datagrams dropped by the kernel because the receive buffer was full.',
    metric: droppedBecause('receive_buffer_full'),
    stats: ifAny('kernel drop(s)'),
    loss: {
      order: 2,
      applies: isFinal,
      lost: (count) => `the kernel ${dropped(count)}`,
      reason: 'its receive buffer was full',
      remedy: ({ advice }) => advice,
    },
  },
  dropped: {
    help: 'Datagrams dropped because this program did not keep up.',
    metric: droppedBecause('overload'),
    stats: ifAny('dropped datagram(s)'),
    loss: { order: 3, applies: isFinal, lost: dropped, reason: 'this program did not keep up' },
  },
  ...MOLD_RECEIVED,
};

/** All counters of sinks. */
export const SINK_COUNTERS: Counters<SinkCounts, Sink> = {
  datagrams: { help: 'Datagrams sent or written.', metric: { name: 'sent_datagrams' }, stats: totals },
  bytes: { help: 'Bytes sent or written.', metric: { name: 'sent_bytes' } },
  'clients.now': {
    help: 'Clients at present.',
    metric: { name: 'clients', names: 'listener' },
    gauge: true,
    stats: (now, { clients }) => nowAndEver('client(s)', now, clients?.ever),
  },
  'clients.ever': {
    help: 'Clients since the start.',
    metric: { name: 'clients_connected', names: 'listener' },
  },
  'connections.now': {
    help: 'Connections to the destination at present.',
    metric: ofSink('sink_connections'),
    gauge: true,
    stats: (now, { connections }) => nowAndEver('connection(s)', now, connections?.ever),
  },
  'connections.ever': {
    help: 'Connections to the destination since the start.',
    metric: ofSink('sink_connects'),
  },
  reconnects: {
    help: 'Times that the destination was connected again.',
    metric: ofSink('sink_reconnects'),
    stats: ifAny('reconnect(s)'),
  },
  refused: {
    help: 'Clients refused.',
    metric: ofClients('refused_clients'),
    stats: ifAny('refused client(s)'),
  },
  timedOut: {
    help: 'Clients disconnected after --client-timeout.',
    metric: ofClients('timed_out_clients'),
    stats: ifAny('timed-out client(s)'),
    loss: {
      order: 2,
      isOther: true,
      lost: (count) => `disconnected ${counted(count, 'client(s)')} that took nothing`,
    },
  },
  split: {
    help: 'Messages that were split because they are larger than a datagram.',
    metric: { name: 'sent_split_messages' },
    stats: ifAny('split message(s)'),
  },
  rotations: {
    help: 'Times that the file was rotated.',
    metric: ofSink('rotations'),
    stats: ifAny('rotation(s)'),
  },
  dropped: {
    help: 'Datagrams dropped because the sink or one of its clients did not take them.',
    metric: { name: 'sent_dropped_datagrams', reason: 'not_taken' },
    stats: ifAny('dropped datagram(s)'),
    loss: {
      order: 1,
      lost: dropped,
      reason: ({ dropReason }) => dropReason,
      remedy: ({ dropAdvice }) => dropAdvice,
    },
  },
  acknowledged: {
    help: 'Messages that the destination acknowledged.',
    metric: ofSink('nats_acknowledged_messages'),
    stats: ifAny('acknowledged'),
  },
  resent: {
    help: 'Messages that were sent again.',
    metric: ofSink('nats_resent_messages'),
    stats: ifAny('message(s) sent again'),
  },
  duplicates: {
    help: 'Messages that the destination had stored before.',
    metric: ofSink('nats_stored_before_messages'),
    stats: ifAny('duplicate(s)'),
  },
  refusedMessages: {
    help: 'Messages that the destination refused.',
    metric: ofSink('nats_refused_messages'),
    stats: ifAny('refused message(s)'),
    loss: { order: 2, lost: always('message(s) refused by the destination') },
  },
  unconfirmed: {
    help: 'Messages that were unconfirmed when their connection ended.',
    metric: ofSink('nats_unconfirmed_messages'),
    stats: ifAny('unconfirmed message(s)'),
    loss: {
      order: 4,
      lost: (count) => `up to ${counted(count, 'message(s)')} may be lost`,
      reason: 'their connection ended before the server confirmed them',
    },
  },
  errors: {
    help: 'Errors of sending or writing, by name, as ENOSPC or ECONNREFUSED.',
    metric: { name: 'send_errors', names: 'sink', label: 'code' },
    stats: (count, _counts, code) => `${code} ${count}`,
    loss: {
      order: 3,
      lost: (count, { name }, { returned }, code) => {
        const why = reason(Object.assign(new Error(code), { code }));
        return `${why}${peers(name, code, returned)}, ${counted(count, 'time(s)')}`;
      },
      remedy: (sink, code) => sink.errorAdvice?.(code),
    },
  },
  returned: {
    help: 'Those of the errors that the network returned later, by name and destination.',
    metric: undefined,
  },
  ...MOLD_SENT,
};

/** The destinations of returned errors, unless the sink's name already says it. */
function peers(name: string, code: string, returned: Record<string, number>): string {
  const all = Object.keys(returned).flatMap((key) => {
    const [returnedCode, to = ''] = key.split(' ');
    return returnedCode === code && !name.startsWith(to) ? [to] : [];
  });
  if (all.length === 0) return '';
  return ` (for ${all.slice(0, MAX_PEERS).join(', ')}${all.length > MAX_PEERS ? ', ...' : ''})`;
}
