import { type ClientRequest, get } from 'node:http';
import { reason } from 'mproxy-base';

/** How often the status of other programs is fetched, and how long one answer may take, in milliseconds. */
const PERIOD_MS = 2000;
const ANSWER_MS = 1500;
/** Limit on an answer, in bytes. */
const MAX_ANSWER = 4 * 1024 * 1024;

/** The status of another program. */
export interface Peer {
  /** Of its page. */
  url: string;
  /** Why there is no status. */
  error?: string;
  /** Its last `/stats`, without the peers that it shows itself. */
  stats?: Record<string, unknown>;
}

/** Fetches the status of other programs, while somebody looks. */
export class Peers {
  readonly #peers: Peer[];
  readonly #running = new Set<ClientRequest>();
  #at = Number.NEGATIVE_INFINITY;

  readonly #urls: URL[];

  /** @param urls of their `/stats` */
  constructor(urls: readonly string[]) {
    this.#urls = urls.map((url) => new URL(url));
    this.#peers = this.#urls.map(({ origin }) => ({ url: `${origin}/`, error: 'not asked yet' }));
  }

  /** What was last fetched. Fetches again if that is older than {@link PERIOD_MS}. */
  look(): Peer[] {
    const now = performance.now();
    if (now - this.#at >= PERIOD_MS) {
      this.#at = now;
      for (const [i, url] of this.#urls.entries()) this.#fetch(i, url);
    }
    return this.#peers;
  }

  close(): void {
    for (const request of this.#running) request.destroy();
  }

  #fetch(i: number, url: URL): void {
    const page = `${url.origin}/`;
    const request = get(url, { agent: false, signal: AbortSignal.timeout(ANSWER_MS) }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_ANSWER) request.destroy(new Error('its answer is too long'));
      });
      response.on('end', () => {
        this.#peers[i] = { url: page, ...parseStats(response.statusCode, Buffer.concat(chunks)) };
      });
      response.on('error', fail);
    });
    const fail = (error: Error) => {
      const why =
        error.name === 'AbortError' || error.name === 'TimeoutError' ? 'it does not answer' : reason(error);
      this.#peers[i] = { url: page, error: why };
    };
    request.on('error', fail);
    this.#running.add(request);
    request.on('close', () => this.#running.delete(request));
  }
}

function parseStats(status: number | undefined, answer: Buffer): Pick<Peer, 'error' | 'stats'> {
  if (status !== 200) return { error: `it answers ${status}` };
  try {
    const { peers: _theirs, ...stats } = JSON.parse(answer.toString()) as Record<string, unknown>;
    if (Array.isArray(stats.routes)) return { stats };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { error: 'its answer is no status' };
}
