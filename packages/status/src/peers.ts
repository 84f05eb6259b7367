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
  /** When contact was lost, or else when it began. */
  since: Date;
  /** Why there is no contact. */
  error?: string | undefined;
  /** Its last `/stats`, without the peers that it shows itself and their problems; undefined: there was none yet. */
  stats?: TheirStats | undefined;
}

/** What is read of the status of another program. */
interface TheirStats {
  routes: unknown[];
  problems: PeerProblem[];
  wellSince?: string;
}

/** A problem of another program, or that there is no contact to it. */
export interface PeerProblem {
  text: string;
  since: string | Date;
  /** The URL of its page. */
  peer?: string;
}

/** Fetches the status of other programs, while somebody looks. */
export class Peers {
  readonly #urls: URL[];
  readonly #peers: Peer[];
  readonly #running = new Set<ClientRequest>();
  #at = Number.NEGATIVE_INFINITY;

  /** @param urls of their `/stats` */
  constructor(urls: readonly string[]) {
    this.#urls = urls.map((url) => new URL(url));
    this.#peers = this.#urls.map(({ origin }) => ({ url: `${origin}/`, since: new Date() }));
  }

  /** Of all programs, as they were last seen. */
  get problems(): PeerProblem[] {
    return this.#peers.flatMap(({ url, since, error, stats }) => {
      const theirs =
        error === undefined ? (stats?.problems ?? []) : [{ text: `no contact: ${error}`, since }];
      return theirs.map((problem) => ({ ...problem, peer: url }));
    });
  }

  /** When the last problem of any program ended, in milliseconds since 1970, if there is none now. */
  get wellSince(): number {
    return Math.max(
      ...this.#peers.map(({ since, stats }) => Date.parse(stats?.wellSince ?? '') || +since),
      0,
    );
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
    const request = get(url, { agent: false, signal: AbortSignal.timeout(ANSWER_MS) }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_ANSWER) request.destroy(new Error('its answer is too long'));
      });
      response.on('end', () => {
        this.#answered(i, parseStats(response.statusCode, Buffer.concat(chunks)));
      });
      response.on('error', fail);
    });
    const fail = (error: Error) => {
      const why =
        error.name === 'AbortError' || error.name === 'TimeoutError' ? 'it does not answer' : reason(error);
      this.#answered(i, { error: why });
    };
    request.on('error', fail);
    this.#running.add(request);
    request.on('close', () => this.#running.delete(request));
  }

  /** The last figures of a program without contact are kept. */
  #answered(i: number, { error, stats }: Pick<Peer, 'error' | 'stats'>): void {
    const last = this.#peers[i]!;
    const isSame = (last.error === undefined) === (error === undefined);
    const since = isSame ? last.since : new Date();
    this.#peers[i] = { ...last, since, error, stats: stats ?? last.stats };
  }
}

function parseStats(status: number | undefined, answer: Buffer): Pick<Peer, 'error' | 'stats'> {
  if (status !== 200) return { error: `it answers ${status}` };
  try {
    const { peers: _theirs, ...stats } = JSON.parse(answer.toString()) as TheirStats & { peers: unknown };
    const { routes, problems } = stats;
    if (Array.isArray(routes) && Array.isArray(problems))
      return { stats: { ...stats, problems: problems.filter(({ peer }) => peer === undefined) } };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { error: 'its answer is no status' };
}
