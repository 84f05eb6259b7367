import { Client, type Question, type Received } from './client.js';
import { HEALTH } from './config.js';
import { ASSET, type Content, DOWNLOAD, digestOf, PAGE, randomContent } from './contents.js';
import { readEvents } from './event-reader.js';
import { ANSWERED_BY } from './origin.js';
import { APP, type RouteName } from './routes.js';
import { talk } from './talker.js';
import type { Tally } from './tally.js';

/** Where the gateway listens. */
export interface Entry {
  secure: number;
  plain: number;
  /** The certificate. */
  authority: string;
}

/** Sends one request after another. */
export interface Visitor {
  route: RouteName;
  /** Asks once, or for a series of answers. @throws if there is none */
  visit(tally: Tally): Promise<void>;
  /** Between two visits. */
  pauseMs: number;
  close(): void;
}

/** Who visits the routes of the gateway, all at the same time. */
export function visitorsOf(entry: Entry): Visitor[] {
  const { secure, plain, authority } = entry;
  const client = (keeps?: boolean) => new Client(secure, authority, keeps);
  const location = `https://${APP}:${secure}/from?here=1`;
  return [
    ...[1, 2, 3, 4].map(() => asker('page', client(), { path: '/?visit=1' }, isContent(PAGE, 'app'))),
    turnTaker(client()),
    uploader(client()),
    asker('download', client(), { path: '/large' }, isContent(DOWNLOAD, 'app'), 150),
    asker('file', client(), { path: '/assets/file.bin' }, isContent(ASSET)),
    asker('respond', client(false), { path: '/health' }, isText(HEALTH)),
    asker('redirect', client(), { path: '/old/from?here=1' }, redirects(301, '/from?here=1')),
    asker('plain', new Client(plain, undefined), { path: '/from?here=1' }, redirects(308, location)),
    ...[1, 2, 3].map(() => ({
      route: 'socket' as const,
      pauseMs: 0,
      visit: (tally: Tally) => talk(secure, authority, tally),
      close: () => undefined,
    })),
    eventReader(client()),
  ];
}

/** What is wrong with an answer. */
type Check = (received: Received) => string | undefined;

function asker(
  route: RouteName,
  client: Client,
  question: Omit<Question, 'host'>,
  check: Check,
  pauseMs = 20,
): Visitor {
  const visit = (tally: Tally) => ask(client, question, check, tally);
  return { route, pauseMs, visit, close: () => client.close() };
}

async function ask(
  client: Client,
  question: Omit<Question, 'host'>,
  check: Check,
  tally: Tally,
): Promise<void> {
  const began = performance.now();
  tally.requests++;
  const received = await client.ask({ host: APP, ...question });
  tally.answer(began, received.bytes + (question.body?.length ?? 0), check(received));
}

/** On one connection, each of the two servers has every other request. */
function turnTaker(client: Client): Visitor {
  const path = '/turns?mine=1';
  let before: unknown;
  const check: Check = (received) => {
    const who = received.fields[ANSWERED_BY];
    const same = who === before;
    before = who;
    if (who !== 'app' && who !== 'events') return `answered by ${who}`;
    return isText(path, who)(received) ?? (same ? `${who} answered twice running` : undefined);
  };
  return asker('turns', client, { path }, check);
}

/** Sends other bytes each time. */
function uploader(client: Client): Visitor {
  const visit = (tally: Tally) => {
    const { bytes, digest } = randomContent();
    return ask(client, { path: '/api/upload', body: bytes }, isText(digest, 'app'), tally);
  };
  return { route: 'upload', pauseMs: 50, visit, close: () => client.close() };
}

function eventReader(client: Client): Visitor {
  let last = 0;
  const visit = async (tally: Tally) => {
    last = await readEvents(client, last, tally);
  };
  return { route: 'events', pauseMs: 0, visit, close: () => client.close() };
}

function isContent({ bytes, digest }: Content, by?: string): Check {
  return (received) => {
    if (received.status !== 200) return `status ${received.status} instead of 200`;
    if (received.fields[ANSWERED_BY] !== by) return `answered by ${received.fields[ANSWERED_BY]}`;
    if (received.bytes !== bytes.length) return `${received.bytes} bytes instead of ${bytes.length}`;
    return received.digest === digest ? undefined : 'other bytes';
  };
}

function isText(text: string, by?: string): Check {
  return isContent({ bytes: Buffer.from(text), digest: digestOf(text) }, by);
}

function redirects(status: number, location: string): Check {
  return ({ status: found, fields }) => {
    if (found !== status) return `status ${found} instead of ${status}`;
    return fields.location === location ? undefined : `to ${fields.location} instead of ${location}`;
  };
}
