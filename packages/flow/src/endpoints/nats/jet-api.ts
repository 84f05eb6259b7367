import { plain, printable } from './protocol-error.js';
import { NoResponders, type Requests } from './requests.js';
import { subjectError } from './subject.js';

/** Limit on an answer of the API, in milliseconds. */
const TIMEOUT_MS = 5000;
/** Errors of the API that another attempt cannot mend (nats-server, errors.json). */
const JETSTREAM_OFF = [10_039, 10_076];
const STREAM_NOT_FOUND = 10_059;
/** Limit on the subjects of a stream that a command lists. */
const MAX_SUBJECTS = 16;

/** What the JetStream API answered instead of a result. */
export class JetError extends Error {
  /**
   * @param message made plain
   * @param isFinal whether another attempt has the same result, until the server's configuration changes
   * @param apiCode the API's number of the error; 0: the error is ours
   */
  constructor(
    message: string,
    readonly isFinal: boolean,
    readonly apiCode = 0,
  ) {
    super(plain(message));
  }
}

/** Fields of an answer in JSON. What a server left out, or gave another type, is undefined, or has the value of nothing. */
export class Fields {
  constructor(private readonly fields: Record<string, unknown>) {}

  text(name: string): string {
    const value = this.fields[name];
    return typeof value === 'string' ? value : '';
  }

  /** 0: not a whole number from 0. */
  count(name: string): number {
    const value = this.fields[name];
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0;
  }

  texts(name: string): string[] {
    const value = this.fields[name];
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  }

  flag(name: string): boolean {
    return this.fields[name] === true;
  }

  has(name: string): boolean {
    return this.fields[name] !== undefined;
  }

  /** An empty one where there is no object. */
  object(name: string): Fields {
    const value = this.fields[name];
    return new Fields(typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {});
  }
}

/** @throws Error: not a JSON object */
export function parseFields(json: string): Fields {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null) return new Fields(value as Record<string, unknown>);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Error('the answer of the server is not a JSON object');
}

/** The state of a stream. Sequence numbers begin at 1. */
export interface StreamInfo {
  /** Patterns of what it takes; empty: it copies another stream. */
  subjects: string[];
  /** The first message that it still has, or will have. */
  first: number;
  /** How many messages it has, and how many it removed after the first. */
  messages: number;
  deleted: number;
  /** Whether it removes what was acknowledged: all that it has is to be received. */
  isWorkQueue: boolean;
  /** The last message that it ever had; 0: none. */
  last: number;
  /** When it was created, as the server writes it. */
  created: string;
  /** How long it knows identities of messages, in milliseconds. */
  duplicateWindowMs: number;
  /** Whether it acknowledges what it stores. */
  acknowledges: boolean;
}

/** A request of the JetStream API (NATS ADR-2). @throws JetError; without an answer, Error */
export async function callApi(requests: Requests, subject: string, body: object = {}): Promise<Fields> {
  const json = Buffer.from(JSON.stringify(body));
  const answer = await requests.send(`$JS.API.${subject}`, json, TIMEOUT_MS).catch((error) => {
    throw error instanceof NoResponders ? jetStreamOff() : error;
  });
  const fields = parseFields(String(answer.payload));
  if (!fields.has('error')) return fields;
  const error = fields.object('error');
  const number = error.count('err_code');
  if (JETSTREAM_OFF.includes(number)) throw jetStreamOff();
  const isFinal = number === STREAM_NOT_FOUND || error.count('code') === 400;
  throw new JetError(describeError(error), isFinal, number);
}

/** An error of the API in words, for terminals and logs. */
export function describeError(error: Fields): string {
  const description = printable(error.text('description'));
  return `the server reports: ${description || 'an error'} (${error.count('err_code')})`;
}

/**
 * Asks for the state of a stream.
 * @param subject for the advice where there is none
 * @throws JetError; without an answer, Error
 */
export async function streamInfo(requests: Requests, stream: string, subject: string): Promise<StreamInfo> {
  const answer = await callApi(requests, `STREAM.INFO.${stream}`).catch((error) => {
    if (!(error instanceof JetError && error.apiCode === STREAM_NOT_FOUND)) throw error;
    const command = `nats --server ${requests.server} stream add ${stream} --subjects ${quoted(subject)}`;
    const advice = `create it: ${command} --storage file --defaults`;
    throw new JetError(`stream ${stream} does not exist; ${advice}`, true);
  });
  const config = answer.object('config');
  const state = answer.object('state');
  return {
    subjects: config.texts('subjects'),
    first: Math.max(state.count('first_seq'), 1),
    messages: state.count('messages'),
    deleted: state.count('num_deleted'),
    isWorkQueue: config.text('retention') === 'workqueue',
    last: state.count('last_seq'),
    created: answer.text('created'),
    duplicateWindowMs: config.count('duplicate_window') / 1e6,
    acknowledges: !config.flag('no_ack'),
  };
}

/** A stream without the subject. The command replaces all its subjects; it is left out where the server's have other characters. */
export function notCovered(stream: string, subjects: readonly string[], subject: string): JetError {
  const takes = subjects.length > 0 ? printable(subjects.join(', ')) : 'what another stream stores';
  const areGood = subjects.length <= MAX_SUBJECTS && subjects.every((one) => !subjectError(one, true));
  const command = `nats stream edit ${stream} --subjects ${quoted([...subjects, subject].join(','))}`;
  const advice = areGood ? `add it: ${command}` : 'add it to its subjects';
  return new JetError(`stream ${stream} stores ${takes}, not the subject; ${advice}`, true);
}

/** A word of a shell's command (POSIX, Shell Command Language, 2.2.2). */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function jetStreamOff(): JetError {
  return new JetError(
    'JetStream is not enabled on the server, or for the account of the login; enable it in the configuration of the server',
    true,
  );
}
