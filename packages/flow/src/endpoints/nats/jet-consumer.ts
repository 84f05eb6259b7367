import { callApi, type Fields, JetError, type StreamInfo } from './jet-api.js';
import type { Requests } from './requests.js';
import { matches } from './subject.js';

const SECOND_NS = 1e9;
/** A consumer of our own, without a request for this long, is removed by the server. */
const INACTIVE_NS = 60 * SECOND_NS;
/** What a durable consumer that we create has: when a message without acknowledgement is sent again, and their limit. */
const ACK_WAIT_NS = 5 * SECOND_NS;
const MAX_ACK_PENDING = 8192;
/** The server waits a little longer before it sends a message again. */
const ACK_SLACK_MS = 500;
const CONSUMER_NOT_FOUND = 10_014;

/** A durable consumer, as it was found. */
export interface Durable {
  name: string;
  /** The most messages that can be without acknowledgement. */
  maxPending: number;
  isNew: boolean;
  /** All messages of the stream up to this one are acknowledged. */
  floor: number;
  /** The last message of the stream that was sent, and the number of the last delivery. */
  delivered: number;
  number: number;
  /** Messages that were sent and are not acknowledged. */
  pending: number;
  /** After what time such a message is sent again, and how long until all of these are, in milliseconds. */
  ackWaitMs: number;
  waitMs: number;
}

/** Creates a consumer that sends each message once, in order, from a sequence number on. @returns its name @throws as `callApi` */
export async function createOrdered(
  requests: Requests,
  stream: string,
  subject: string,
  first: number,
): Promise<string> {
  const config = {
    ...from(first, subject),
    ack_policy: 'none',
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: INACTIVE_NS,
  };
  const answer = await callApi(requests, `CONSUMER.CREATE.${stream}`, { stream_name: stream, config });
  return answer.text('name');
}

/** Which durable consumer is wanted. */
export interface DurableUse {
  stream: string;
  subject: string;
  durable: string;
  /** Where a new one begins. */
  first: number;
  info: StreamInfo;
}

/**
 * Finds a durable consumer, or creates it.
 * @throws JetError: there is one that messages cannot be requested from, or for another subject; as `callApi`
 */
export async function openDurable(requests: Requests, use: DurableUse): Promise<Durable> {
  const { stream, subject, durable, first, info } = use;
  const found = await callApi(requests, `CONSUMER.INFO.${stream}.${durable}`).catch((error) => {
    if (error instanceof JetError && error.apiCode === CONSUMER_NOT_FOUND) return undefined;
    throw error;
  });
  if (found) return checked(found, use);
  const config = {
    // A work queue accepts no other way.
    ...(info.isWorkQueue ? { ...ALL, filter_subject: subject } : from(first, subject)),
    durable_name: durable,
    ack_policy: 'explicit',
    ack_wait: ACK_WAIT_NS,
    max_ack_pending: MAX_ACK_PENDING,
  };
  const body = { stream_name: stream, config };
  const created = await callApi(requests, `CONSUMER.DURABLE.CREATE.${stream}.${durable}`, body);
  return { ...checked(created, use), isNew: true };
}

const ALL = { deliver_policy: 'all', replay_policy: 'instant' };

function from(first: number, subject: string) {
  return {
    deliver_policy: 'by_start_sequence',
    opt_start_seq: Math.max(first, 1),
    replay_policy: 'instant',
    filter_subject: subject,
  };
}

function checked(answer: Fields, { subject, durable: name, info }: DurableUse): Durable {
  const config = answer.object('config');
  const wrong = (why: string) => new JetError(`durable consumer ${name} ${why}; use another name`, true);
  const filter = config.text('filter_subject');
  const readsAll = filter === '' && info.subjects.every((one) => matches(subject, one));
  if (config.has('deliver_subject')) throw wrong('is a push consumer, not a pull consumer');
  if (config.text('ack_policy') !== 'explicit') throw wrong('does not use explicit acknowledgement');
  if (filter !== subject && !readsAll)
    throw wrong(`reads ${filter || 'all subjects of the stream'}, not this subject alone`);
  const delivered = answer.object('delivered');
  const number = delivered.count('consumer_seq');
  const ackWaitMs = config.count('ack_wait') / 1e6;
  return {
    name,
    // -1: no limit.
    maxPending: config.count('max_ack_pending') || MAX_ACK_PENDING,
    isNew: false,
    // Of one that has sent nothing yet, the floor is not that of the stream.
    floor: (number > 0 ? answer.object('ack_floor') : delivered).count('stream_seq'),
    delivered: delivered.count('stream_seq'),
    number,
    pending: answer.count('num_ack_pending'),
    ackWaitMs,
    waitMs: ackWaitMs + ACK_SLACK_MS,
  };
}
