import type { Client } from './client.js';
import { eventText } from './contents.js';
import { EVENTS } from './routes.js';
import type { Tally } from './tally.js';

/**
 * Reads an event stream until its server ends it. Its events must go on where the one before ended, in order and without
 * gaps.
 * @param last number of the last event of the stream before
 * @returns that of this one
 */
export async function readEvents(client: Client, last: number, tally: Tally): Promise<number> {
  tally.requests++;
  let began = performance.now();
  const fields = { accept: 'text/event-stream', 'last-event-id': String(last) };
  const stream = await client.open({ host: EVENTS, path: '/events', fields });
  if (stream.statusCode !== 200) tally.fail(`status ${stream.statusCode} instead of 200`);
  let id = last;
  let rest = '';
  for await (const text of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const events = (rest + text).split('\n\n');
    rest = events.pop()!;
    for (const event of events) {
      tally.answer(began, event.length + 2, event === eventText(++id) ? undefined : `no event ${id}`);
      began = performance.now();
    }
  }
  if (rest !== '') tally.fail('a part of an event');
  if (id === last) tally.fail('a stream without events');
  return id;
}
