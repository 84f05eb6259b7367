import { VERSION } from 'mproxy-base';
import { type Login, loginFields } from './credentials.js';

/**
 * The line that logs in.
 * @param nonce of the server's INFO, which keys sign; empty: it wants no signature
 * @throws MPROXY_FILE, which names the file; ProtocolError
 */
export function connectLine(login: Login, nonce: string, usesTls: boolean): string {
  const fields = {
    ...{ verbose: false, pedantic: false, headers: true, no_responders: true, echo: true, protocol: 1 },
    ...{ name: 'mproxy', lang: 'mproxy', version: VERSION, tls_required: usesTls },
    ...loginFields(login, nonce),
  };
  return `CONNECT ${JSON.stringify(fields)}\r\n`;
}
