import { type IncomingHttpHeaders, request } from 'node:http';
import type { Test } from 'tap';
import { type Name, type Running, start } from '../support/command.js';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A running program with its status server. */
export async function startShown(
  t: Test,
  name: Name,
  args: string[],
): Promise<{ program: Running; url: string }> {
  const program = start(t, name, ['--status-addr', '127.0.0.1:0', ...args]);
  await program.says(/status: http:.*\n/);
  return { program, url: /status: (http:\S+)\//.exec(program.stderr)![1]! };
}

export function ask(
  url: string,
  options: Parameters<typeof request>[1] = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: text }),
      );
      response.on('error', reject);
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

/** The value of a sample, by its line without the value. */
export function sample(metrics: string, series: string): number | undefined {
  const line = metrics.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}
