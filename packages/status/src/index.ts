import type { Notice } from 'mproxy-flow';
import { noticeOf } from 'mproxy-flow/events';
import { STATUS_LISTENING } from './events.js';
import { answers } from './handler.js';
import type { StatusValues } from './options.js';
import { loadPage } from './page/page.js';
import { StatusServer } from './server.js';
import { Status, type StatusSettings } from './status.js';

export { readStatusOptions, type StatusOptions } from './options.js';

/**
 * Opens the status server of a program.
 * @param onNotice is given the addresses that it listens on
 * @returns the status, and a function that ends it
 * @throws MPROXY_LISTEN, MPROXY_RESOLVE
 */
export async function openStatus(
  { listen, peers, healthIdle, statusAllow }: StatusValues,
  { program, stopping }: Pick<StatusSettings, 'program' | 'stopping'>,
  onNotice: (notice: Notice) => void,
): Promise<{ status: Status; close: () => void }> {
  const status = new Status({ program, stopping, healthIdle, peers });
  const server = new StatusServer(statusAllow, answers(status, loadPage()));
  const close = () => {
    status.close();
    server.close();
  };
  try {
    for (const url of await server.listen(listen, stopping)) {
      onNotice(noticeOf(STATUS_LISTENING, { url }));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { status, close };
}
