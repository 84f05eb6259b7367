import type { Test } from 'tap';
import { missing } from '../lan/tools.js';
import { type RunOptions, startProgram } from '../support/command.js';

/** Why curl cannot be used here; false where it can. For `skip`. */
export const noCurl: string | false = missing('curl');

/** What curl tells of a transfer (curl(1), --write-out). */
export interface Transfer {
  status: number;
  version: string;
  /** Connections that it made for it; 0: it used one again. */
  connects: number;
  /** Names in lower case; fields of the last response head. */
  headers: Record<string, string[]>;
  uploaded: number;
  /** Undefined: there was none. */
  error: string | undefined;
}

export interface Curled {
  /** Bodies of all transfers, one behind the other. */
  stdout: Buffer;
  transfers: Transfer[];
  /** Of the first transfer. */
  first: Transfer;
}

const TELL = '%{stderr}{"told":%{json},"headers":%{header_json}}\\n';

/** Runs curl to its end. @param input its stdin */
export async function curl(
  t: Test,
  args: string[],
  input: Buffer | string = '',
  options: RunOptions = {},
): Promise<Curled> {
  const running = startProgram(t, 'curl', ['-s', '--max-time', '30', '-w', TELL, ...args], options);
  running.child.stdin!.end(input);
  await running.exited;
  const transfers = running.stderr
    .split(/(?<=\})\n(?=\{"told"|$)/)
    .filter((text) => text !== '')
    .map((text): Transfer => {
      const { told, headers } = JSON.parse(text);
      return {
        ...{ status: told.http_code, version: told.http_version, connects: told.num_connects, headers },
        ...{ uploaded: told.size_upload, error: told.errormsg ?? undefined },
      };
    });
  if (transfers.length === 0) throw new Error(`curl ended with ${running.status}: ${running.stderr}`);
  return { stdout: running.stdout, transfers, first: transfers[0]! };
}
