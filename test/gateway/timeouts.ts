import type { Test } from 'tap';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { type RawClient, rawClient } from './raw-client.js';
import { type RecordingOrigin, recordingOrigin } from './recording-origin.js';

/** Longer than any test; those that a test is about are short. */
export const LONG = {
  ...{ request_head: '1m', idle: '1m', request_body: '1m', send: '1m' },
  ...{ connect: '1m', response_head: '1m', response_body: '1m', event_stream: '1m' },
};
export const SHORT = 500;

export async function proxied(
  t: Test,
  timeouts: Record<string, unknown>,
): Promise<{ origin: RecordingOrigin; gateway: Program; client: RawClient }> {
  const origin = await recordingOrigin(t);
  const config = { routes: [{ path: '/', upstream: origin.url }], timeouts: { ...LONG, ...timeouts } };
  const gateway = await program(t, config);
  return { origin, gateway, client: await rawClient(t, gateway.port) };
}

/** Waits for an end, which must not come before the time-out. */
export async function endsAfter(t: Test, client: RawClient, ms = SHORT): Promise<void> {
  const from = performance.now();
  await until('an end or an answer', () => client.end !== 'open' || client.finals.length > 0);
  const after = performance.now() - from;
  t.ok(after >= ms / 2, `after ${after.toFixed(0)} ms`);
}
