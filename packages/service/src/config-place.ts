import { resolve } from 'node:path';

/** What a document that is read has in common: where it is, and what is wrong with it. */
export interface Reading {
  /** The folder that relative paths start from. */
  folder: string;
  /** `routes[2].upstreams[0]: "ftp://x": ...; expected ...`, in the order of their discovery. */
  problems: string[];
}

/** A place in a document: `routes[2].upstreams[0]`. */
export class Place {
  /** @param path '': the document itself */
  constructor(
    readonly path: string,
    private readonly reading: Reading,
  ) {}

  /** The place of a key of the object that is here. */
  key(name: string): Place {
    const step = /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
    return new Place(this.path === '' ? step : `${this.path}.${step}`, this.reading);
  }

  /** The place of an element of the list that is here. */
  at(index: number): Place {
    return new Place(`${this.path}[${index}]`, this.reading);
  }

  /** The document is wrong here. @param problem `"x": what is wrong; what is expected` */
  report(problem: string): void {
    this.reading.problems.push(this.path === '' ? problem : `${this.path}: ${problem}`);
  }

  /** Whether anything is wrong here, or within. */
  get isWrong(): boolean {
    const { problems } = this.reading;
    if (this.path === '') return problems.length > 0;
    return problems.some((one) => /^[:.[]/.test(one.slice(this.path.length)) && one.startsWith(this.path));
  }

  /** A path of the document, absolute. */
  file(path: string): string {
    return resolve(this.reading.folder, path);
  }
}

/** Reports a value that is not what is expected. @param why what is wrong beyond that */
export function wrong(place: Place, given: unknown, expected: string, why = ''): undefined {
  place.report(`${showValue(given)}: ${why && `${why}; `}expected ${expected}`);
}

const SHOWN_LENGTH = 60;

/** A value as a document has it, shortened. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = String(JSON.stringify(value instanceof Substituted ? value.text : value));
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH - 3)}...`;
}

/** A whole value that came from the environment: text, number or boolean, as the key wants it. */
export class Substituted {
  constructor(readonly text: string) {}
}
