import { always, type Counters, ifAny, ofSink } from '../../counter.js';
import { MOLD_FLAG_NAMES } from './flags.js';

/** What a source of `frame=mold` received: messages, except `gaps`, `asked` (requests sent) and `malformed` (packets). */
export interface MoldReceived {
  gaps: number;
  asked: number;
  repaired: number;
  duplicates: number;
  lost: number;
  malformed: number;
}

/** What a session sent: messages; requests received and refused; packets retransmitted, and those not taken by the kernel. */
export interface MoldSent {
  messages: number;
  requests: number;
  refused: number;
  answers: number;
  unsent: number;
}

/** What a source of `frame=mold` says of its losses; see `Source`. */
interface LossWords {
  readonly lost?: string;
  readonly lossAdvice?: string | undefined;
}

export const MOLD_RECEIVED: Counters<{ mold?: MoldReceived }, LossWords> = {
  'mold.gaps': {
    help: 'Gaps in the numbers of received messages.',
    metric: { name: 'mold_gaps' },
    stats: always('gap(s)'),
  },
  'mold.asked': {
    help: 'Retransmission requests sent.',
    metric: { name: 'mold_requests_sent' },
    stats: ifAny('request(s)'),
  },
  'mold.repaired': {
    help: 'Messages received by retransmission.',
    metric: { name: 'mold_repaired_messages' },
    stats: ifAny('message(s) repaired'),
  },
  'mold.duplicates': {
    help: 'Messages received more than once.',
    metric: { name: 'mold_duplicate_messages' },
    stats: ifAny('duplicate(s)'),
  },
  'mold.lost': {
    help: 'Messages given up because no retransmission arrived.',
    metric: { name: 'mold_lost_messages' },
    stats: ifAny('message(s) lost'),
    loss: {
      order: 4,
      lost: (_count, { lost = '' }) => lost,
      remedy: ({ lossAdvice }) =>
        lossAdvice ??
        `the sender can keep more (${MOLD_FLAG_NAMES.retain}), this side wait longer (${MOLD_FLAG_NAMES.repairTimeout})`,
    },
  },
  'mold.malformed': {
    help: 'Datagrams that are no MoldUDP64 packets.',
    metric: { name: 'mold_malformed_packets' },
    stats: ifAny('malformed packet(s)'),
  },
};

export const MOLD_SENT: Counters<{ mold?: MoldSent }> = {
  'mold.messages': {
    help: 'Messages of the session.',
    metric: ofSink('mold_sent_messages'),
    stats: always('message(s)'),
  },
  'mold.requests': {
    help: 'Retransmission requests received.',
    metric: ofSink('mold_requests_received'),
    stats: ifAny('request(s)'),
  },
  'mold.refused': {
    help: 'Retransmission requests refused.',
    metric: ofSink('mold_requests_refused'),
    stats: ifAny('refused request(s)'),
  },
  'mold.answers': {
    help: 'Packets retransmitted.',
    metric: ofSink('mold_retransmitted_packets'),
    stats: ifAny('packet(s) sent again'),
  },
  'mold.unsent': {
    help: 'Retransmitted packets that the kernel did not take.',
    metric: ofSink('mold_unsent_retransmissions'),
    stats: ifAny('of them not sent'),
  },
};
