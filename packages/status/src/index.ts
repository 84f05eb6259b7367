import { failure } from 'mproxy-base';
import type { Notice } from 'mproxy-flow';
import { noticeOf } from 'mproxy-flow/events';
import { type Address, resolveAll, scoped } from 'mproxy-net';
import { readPage } from '#parts';
import { STATUS_LISTENING } from './events.js';
import { STATUS_NAMES } from './flags.js';
import type { StatusData } from './messages.js';
import type { StatusValues } from './options.js';
import { StatusThread } from './thread.js';

export { readStatusOptions, type StatusOptions } from './options.js';

export interface StatusSettings {
  /** The name of the program. */
  program: string;
  /** Aborted when the program stops. */
  stopping: AbortSignal;
  /** Is given the addresses that it listens on, and failures of its thread. */
  onNotice: (notice: Notice) => void;
}

/** Opens the status of a program. @throws MPROXY_LISTEN, MPROXY_RESOLVE */
export async function openStatus(
  { listen, peers, healthIdle, statusAllow: allow }: StatusValues,
  { program, stopping, onNotice }: StatusSettings,
): Promise<StatusThread> {
  const at = typeof listen === 'string' ? { path: listen } : await resolve(listen, stopping);
  const data = { program, page: readPage(), listen: at, allow, healthIdle, peers };
  const thread = new StatusThread(data, stopping, onNotice);
  try {
    for (const url of await thread.start()) onNotice(noticeOf(STATUS_LISTENING, { url }));
  } catch (error) {
    const address = typeof listen === 'string' ? `unix:${listen}` : listen.text;
    throw failure('MPROXY_LISTEN', STATUS_NAMES.statusAddr, address, error);
  }
  return thread;
}

async function resolve(listen: Address, signal: AbortSignal): Promise<StatusData['listen']> {
  const answers = await resolveAll(listen, signal);
  const hosts = answers.map((answer) => ({ host: scoped(answer), family: answer.family }));
  return { port: listen.port, hosts };
}
