import { resolve } from 'node:path';

/** What a document that is read has in common: where it is, and what is wrong with it. */
export interface Reading {
  /** The folder that relative paths start from. */
  folder: string;
  /** `routes[2].upstreams[0]: "ftp://x": ...; expected ...`, in the order of their discovery. */
  problems: string[];
  /** How places are called that are not in the document, by their paths: `listen[0]` is `--listen-addr`. */
  names?: ReadonlyMap<string, string>;
}

/** A place in a document: `routes[2].upstreams[0]`. */
export class Place {
  /** @param path '': the document itself */
  constructor(
    private readonly path: string,
    private readonly reading: Reading,
    private readonly inside?: string,
  ) {}

  /** The place of a key of the object that is here. */
  key(name: string): Place {
    const step = /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
    return this.#within(this.path === '' ? step : `${this.path}.${step}`);
  }

  /** The place of an element of the list that is here. */
  at(index: number): Place {
    return this.#within(`${this.path}[${index}]`);
  }

  /** For messages. What is within a place that has another name has its name. */
  get name(): string {
    return this.inside ?? this.path;
  }

  /** The document is wrong here. @param problem `"x": what is wrong; what is expected` */
  report(problem: string): void {
    this.reading.problems.push(this.name === '' ? problem : `${this.name}: ${problem}`);
  }

  /** The same for a place whose name alone is known. */
  reportAt(name: string, problem: string): void {
    this.reading.problems.push(`${name}: ${problem}`);
  }

  /** How many problems were reported so far, anywhere. */
  get problemCount(): number {
    return this.reading.problems.length;
  }

  /** A path of the document, absolute; one that is not in the document is relative to the current folder. */
  file(path: string): string {
    return this.inside === undefined ? resolve(this.reading.folder, path) : resolve(path);
  }

  #within(path: string): Place {
    return new Place(path, this.reading, this.inside ?? this.reading.names?.get(path));
  }
}

/** Reports a value that is not what is expected. @param why what is wrong beyond that */
export function wrong(place: Place, given: unknown, expected: string, why = ''): undefined {
  place.report(`${showValue(given)}: ${why && `${why}; `}expected ${expected}`);
}

const SHOWN_LENGTH = 60;

/** A value as a document has it, shortened. */
export function showValue(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = String(JSON.stringify(value instanceof Substituted ? value.text : value));
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH - 3)}...`;
}

/** A whole value that came from the environment: text, number or boolean, as the key wants it. */
export class Substituted {
  constructor(readonly text: string) {}
}
