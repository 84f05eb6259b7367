import { MproxyError, reason } from 'mproxy-base';
import type { Program } from '../../program.js';
import { SENDING_REFUSED } from './events.js';
import { JetError } from './jet-api.js';
import { ServerError } from './server-error.js';

/** Why data were dropped after {@link endSending}. */
export const NOT_SENT = 'nothing could be sent';

/**
 * Ends a program that has nothing to send to: the server refused the login, or has no such stream. The reason is reported
 * before what is lost by it.
 * @throws `error` itself, if it is another one; MPROXY_LOOP has ended the program
 */
export function endSending(program: Program, address: string, error: unknown): void {
  if (error instanceof MproxyError && error.code === 'MPROXY_LOOP') return;
  if (!(error instanceof ServerError || error instanceof JetError)) throw error;
  program.emit(SENDING_REFUSED, { address, reason: reason(error) });
  program.fail('MPROXY_SEND', 'sending', address, error).reported = true;
  void program.end();
}
